"""The whole deploy to a host of the EL family, as it would be: not a word in it is Debian's alone."""

import re
from collections.abc import Iterator

import pytest

from roles.filterd.wheelhouse import wheelhouse
from roles.history.programs import PROGRAMS
from roles.platforms import EL_9
from roles.registry import DEFENCES
from tests.unit.roles.examples import SETTINGS, gateway
from tests.unit.roles.plans import Case, Plan, plans
from tests.unit.roles.test_layers import BARE

EL = gateway(platform="el9")
ROCKY = ["/etc/os-release", "ID=rocky", 'VERSION_ID="9.6"', "---"]
# What only a host of Debian's has, as patterns.
DEBIANS = (
    *(r"\bdpkg", r"\bapt\b", r"\bapt-\w+", r"policy-rc\.d", r"statoverride", r"pam-auth-update"),
    *("/etc/clamav", r"/run/clamav/", "/etc/spamassassin", "debian-spamd", "_chrony", "clamav-daemon"),
    *(
        r"\bssh\.service",
        "netfilter-persistent",
        "configure-instance",
        "apparmor",
        "DebianBanner",
        "root\\.hints",
    ),
    *(r"/etc/chrony/", r"(?<![/\w.])python3 ", "/usr/bin/python3 ", "group=sudo", r"/etc/mail(?![/\w])"),
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    directory = tmp_path_factory.mktemp("checkout")
    wheels = directory / wheelhouse(EL_9.python)
    wheels.mkdir(parents=True)
    (wheels / "release").write_text("0.1.0+abcdef12\n")
    (wheels / "requirements.lock").write_text("bastide-filterd==0.1.0 --hash=sha256:0\n")
    answers = {key: value for key, value in BARE.items() if key != "dpkg-query"}
    answers |= {"-release | grep": ROCKY, "rpm -q": ["some-package"], "| base64 -w 0": []}
    found = plans(
        {"el": Case(target="deploy.py", data={**SETTINGS, "platform": "el9"}, responses=answers)}, directory
    )["el"]
    assert found.error == ""
    return found


def said(plan: Plan) -> Iterator[str]:
    """Give all that the host would be told and asked, but for the history's programs, which know each family's words."""
    yield from plan.texts()
    yield from plan.asked
    for path, content in plan.uploads().items():
        yield path
        # What chooses by the platform's package manager names them all.
        knowing = (*(f"bastide-history/{name}" for name in (*PROGRAMS, "packages")), "updates/manager.py")
        if not path.endswith(knowing):
            yield content


def test_no_word_of_it_is_debians_alone(plan: Plan) -> None:
    text = "\n".join(said(plan))
    assert len(text) > 50_000
    assert {word: found[0] for word in DEBIANS if (found := re.findall(f".*{word}.*", text))} == {}


def test_the_record_of_the_host_is_by_rpm(plan: Plan) -> None:
    (asks,) = (text for path, text in plan.uploads().items() if path.endswith("bastide-history/packages"))
    assert "rpm -qa" in asks
    assert "dpkg" not in asks


def test_records_ask_in_its_words_too() -> None:
    text = "\n".join(
        setting.question(EL)
        for defence in DEFENCES
        if defence.stands(EL)
        for setting in defence.sets
        if getattr(setting, "mta", None) in (None, "postfix")
    )
    # PRIVILEGED names a directory of Debian's that may be anywhere, and the audit's rules what is not there.
    assert {word: found[0] for word in DEBIANS if (found := re.findall(f".*{word}.*", text))} == {}


def test_what_a_unit_of_ours_loads_is_there_before_the_network(plan: Plan) -> None:
    (unit,) = (text for path, text in plan.uploads().items() if path.endswith("/bastide-firewall.service"))
    assert "Before=network-pre.target" in unit
    lines = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert [re.sub(".* -c '([a-z0-9]+).*", r"\1", line) for line in lines] == [
        "ipset",
        "iptables",
        "ip6tables",
    ]


def test_nothing_of_a_layer_that_it_has_not_is_planned(plan: Plan) -> None:
    assert not [name for name in plan.operations if name.startswith("Integrity")]


def test_no_program_of_the_distributions_python_is_run(plan: Plan) -> None:
    units = [text for path, text in plan.uploads().items() if path.endswith(".service")]
    starts = [line for text in units for line in text.splitlines() if line.startswith("ExecStart=")]
    assert starts
    assert not [line for line in starts if re.search(r"python3(?!\.11)", line)]


def test_each_package_is_asked_for_by_a_layer(plan: Plan) -> None:
    asked = "\n".join(plan.asked)
    assert all(name in asked for layer in EL_9.packages.values() for name in layer)
