"""The layers and deploy.py: what a bare host gets, in which order, and that nothing is done twice or too early."""

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from roles.defence import Defence
from roles.firewall.defences import FILTERING
from roles.firewall.ruleset import ruleset
from roles.hardening.defences import DEFENCES as HARDENING
from roles.hardening.defences.passwords import UPDATE
from roles.integrity import copies
from roles.integrity.paths import FILES
from roles.kinds import HostState, LineOption, applies
from roles.operations import PRELUDE
from roles.platforms import DEBIAN_12
from roles.registry import LAYERS
from tests.unit.roles.deeds import OPERATIONS
from tests.unit.roles.examples import SETTINGS, gateway, settings
from tests.unit.roles.plans import Case, Plan, plans

NAMES = [name for name, _ in LAYERS]
TITLES = [
    "Firewall",
    "Hardening",
    "Sandbox",
    "DNS",
    "MTA",
    "ClamAV",
    "SpamAssassin",
    "filterd",
    "Reports",
    "Updates",
    "Integrity",
]
HISTORY = [
    "History | File what a deploy that died had changed",
    "History | Write what records the host and takes it back",
    "History | File what this deploy changed",
    "History | Take the baseline of what this deploy left",
]
BEFORE = ["Write what carries a queue over", "Ask whether the queue of the other MTA can be carried over"]
# The daemon's own checker, and a file that it has to see before it is live.
CHECKERS = {
    "hardening": ("sshd -t -f", "/etc/ssh/sshd_config.d/00-bastide.conf"),
    "sandbox": ("systemd-analyze verify", "/etc/systemd/system/postfix@-.service.d/sandbox.conf"),
    "dns": ("unbound-checkconf $stage", "/etc/unbound/unbound.conf"),
    "mta": ("postfix -c $stage/etc/postfix check", "/etc/postfix/main.cf"),
    "clamav": ("clamconf --config-dir=$stage/etc/clamav", "/etc/clamav/clamd.conf"),
    "spamassassin": (
        "perl -T -c $stage/etc/spamassassin/restore.pm && spamassassin --lint",
        "/etc/spamassassin/local.cf",
    ),
    "filterd": ("current/bin/filterd check --config $stage", "/etc/filterd/filterd.toml"),
    "reports": ("systemd-analyze verify $stage", "/etc/systemd/system/bastide-report.service"),
    "updates": ("apt-config -c $stage", "/etc/apt/apt.conf.d/99bastide-updates"),
    "integrity": ("aide --config=$stage/etc/aide/aide.conf --config-check", "/etc/aide/aide.conf"),
}
GATEWAY = gateway()
STAGE = "/run/bastide/stage"
RELEASE = "0.1.0+abcdef12"
Answers = Mapping[str, Sequence[str]]
DEBIAN = ["/etc/os-release", "ID=debian", 'VERSION_ID="12"', "---"]


def unit_state(**state: str) -> list[str]:
    return [json.dumps({"want": "w", "stale": "no", "newest": "9", "started": "0", "stamped": "10", **state})]


STATES = [
    s
    for d in HARDENING
    if d.stands(GATEWAY)
    for s in d.sets
    if isinstance(s, HostState) and s.remedy != UPDATE
]
# A host with Debian and nothing on it: each package is missing, no unit runs, no file is there.
BARE: Answers = {
    "-release | grep": DEBIAN,
    "attr/current": ["chrony.service"],
    'sandbox.conf)" -lt': [],
    "| base64 -w 0": [f"state {number} eA==" for number in range(len(STATES))],
    "/var/lib/bastide/handover": ["none", "0"],
    "&& echo open": ["open"],
    "|| echo none": ["none"],
    "dpkg-query": ["some-package"],
    "ActiveEnterTimestamp": unit_state(have="", active="inactive", enabled="disabled"),
}


def layer(name: str, answers: Answers) -> Case:
    arguments = {"gateway": SETTINGS, "platform": DEBIAN_12.title}
    return Case(target=f"roles.{name}.deploy:apply", arguments=arguments, responses=answers)


def settled(plan: Plan) -> Answers:
    """Return what a host answers on which all that a plan wrote and started is there and in effect."""
    owned = "\n".join(plan.texts())
    states = []
    for staged, content in plan.uploads().items():
        for owner, group, mode in re.findall(rf"chown (\w+):([\w-]+) {staged}; chmod (\d+) ", owned):
            digest = sha256(content.encode()).hexdigest()
            states.append(f"{digest} {mode} {owner} {group} {staged.removeprefix(STAGE)}")
    answers = [b64encode(state.wanted(GATEWAY).encode()).decode() for state in STATES]
    tables = {
        f"{where}{family}": ruleset(FILTERING, GATEWAY, family)
        for where in ("live", "file")
        for family in (4, 6)
    }
    return {
        "-release | grep": DEBIAN,
        # No daemon runs without its profile or its sandbox.
        "attr/current": [],
        'sandbox.conf)" -lt': [],
        "| base64 -w 0": [f"state {number} {answer}" for number, answer in enumerate(answers)],
        "/var/lib/bastide/handover": ["none", "0"],
        "&& echo open": ["closed"],
        "|| echo none": ["none"],
        "augenrules --check": ["1"],
        # All parameters of the machine are as wanted.
        "--container || {": [],
        "dpkg-query": [],
        "ActiveEnterTimestamp": unit_state(have="w", active="active", enabled="enabled"),
        "sha256sum <": states,
        "echo @live4": [line for name, text in tables.items() for line in (f"@{name}", *text.splitlines())],
        # And all of the network.
        "sysctl -n ": [],
        "find /var/lib/clamav": ["1"],
        "id -nG filterd": ["clamav debian-spamd filterd postdrop postfix"],
        "readlink /opt/filterd/current": [RELEASE],
        "%G' /var/spool/postfix/filterd": ["2750 filterd postfix"],
        "bastide-certificate state": ["good"],
        "readlink /usr/local/bin/filterd": ["/opt/filterd/current/bin/filterd"],
        "test -e /etc/systemd/system/filterd-metrics.socket": ["none"],
        "readlink /etc/apt/preferences.d": [
            "755 root",
            "755 root",
            "/etc/systemd/system/bastide-door.service",
            "/var/lib/bastide-updates/preferences",
            "disabled",
        ],
        "%G' /var/lib/aide": ["700 root root"],
        "&& echo current": ["current"],
        "ls -d /etc/postfix/rules/*": ["/etc/postfix/rules/long.pcre"],
    }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a wheelhouse that was built."""
    directory = tmp_path_factory.mktemp("checkout")
    wheelhouse = directory / "dist/wheelhouse/cp311"
    wheelhouse.mkdir(parents=True)
    (wheelhouse / "release").write_text(f"{RELEASE}\n")
    (wheelhouse / "bastide_filterd-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    (wheelhouse / "requirements.lock").write_text("bastide-filterd==0.1.0 --hash=sha256:0\n")
    return directory


@pytest.fixture(scope="module")
def bare(checkout: Path) -> dict[str, Plan]:
    cases = {name: layer(name, BARE) for name in NAMES}
    cases["deploy.py"] = Case(target="deploy.py", responses=BARE, data=SETTINGS)
    found = plans(cases, checkout)
    assert {name: plan.error for name, plan in found.items() if plan.error} == {}
    return found


@pytest.fixture(scope="module")
def stale(bare: dict[str, Plan], checkout: Path) -> dict[str, Plan]:
    """Return the plans for a host whose files are as wanted, but whose daemons run with older ones."""
    running = {"ActiveEnterTimestamp": unit_state(have="older", active="active", enabled="enabled")}
    return plans({name: layer(name, {**settled(bare[name]), **running}) for name in NAMES}, checkout)


def scripts(plan: Plan) -> list[str]:
    """Return the scripts of a plan's commands, out of their `sh -e -c`."""
    return [shlex.split(text)[3].removeprefix(PRELUDE) for text in plan.texts()]


def place(plan: Plan, text: str) -> int:
    """Return the place of the only command of a plan that has a text in it."""
    found = [index for index, command in enumerate(plan.commands) if text in command[1]]
    assert len(found) == 1, (text, found)
    return found[0]


@pytest.mark.parametrize(("name", "title"), list(zip(NAMES, TITLES, strict=True)))
def test_operations_are_named_by_layer_and_deed(bare: dict[str, Plan], name: str, title: str) -> None:
    assert bare[name].operations == [f"{title} | {deed}" for deed in OPERATIONS[name]]


def test_the_deploy_is_the_layers_outermost_first(bare: dict[str, Plan]) -> None:
    whole = bare["deploy.py"]
    layers = [operation for name in NAMES for operation in bare[name].operations]
    # Whether a switch of MTAs may begin is asked before anything is changed for it; all is between record and filing.
    assert whole.operations == [*HISTORY[:2], *(f"MTA | {deed}" for deed in BEFORE), *layers, *HISTORY[2:]]
    filed = place(whole, "/var/lib/bastide-history/record end ")
    own = [one for name in NAMES for one in bare[name].commands]
    assert whole.commands[filed - len(own) : filed] == own
    # Behind the record, which explains the changes: a look, and what is fetched of it.
    assert [command[0] for command in whole.commands[filed + 1 :]] == [
        "run",
        "run",
        *["download"] * 5,
        "call",
    ]


def test_whatever_changes_the_host_has_it_recorded_first(bare: dict[str, Plan]) -> None:
    # An upload goes to a place that a script of its operation has made.
    assert bare["deploy.py"].commands[0][0] == "run"
    texts = bare["deploy.py"].texts()
    filed = next(index for index, text in enumerate(texts) if "record end " in text)
    assert [text for text in texts[: filed + 1] if not shlex.split(text)[3].startswith(PRELUDE)] == []
    # What comes behind changes nothing of what the host does, and would begin a record that nobody ends.
    assert [text for text in texts[filed + 1 :] if PRELUDE in shlex.split(text)[3]] == []


@pytest.mark.parametrize("name", NAMES)
def test_packages_come_before_anything_that_configures_them(bare: dict[str, Plan], name: str) -> None:
    plan = bare[name]
    written = list(plan.uploads())
    assert "apt-get -q -y" in next(
        command[1]
        for command in plan.commands
        if "apt-get" in command[1] or command[:2] == ["upload", written[0]]
    )
    wanted = DEBIAN_12.mta[GATEWAY.mta] if name == "mta" else DEBIAN_12.packages[name]
    assert any(all(package in asked for package in wanted) for asked in plan.asked if "dpkg-query" in asked)


@pytest.mark.parametrize("name", CHECKERS)
def test_the_daemons_own_checker_stands_between_staging_and_renaming(
    bare: dict[str, Plan], name: str
) -> None:
    plan, (checker, path) = bare[name], CHECKERS[name]
    staged = plan.commands.index(["upload", f"{STAGE}{path}", plan.uploads()[f"{STAGE}{path}"]])
    assert staged < place(plan, checker) < place(plan, f"mv -f {path}.bastide-new {path}")


# The sandboxes wait for the daemons: they are there before these are installed.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "sandbox"])
def test_units_are_started_after_their_files_are_in_place(bare: dict[str, Plan], name: str) -> None:
    texts = [command[1] for command in bare[name].commands]
    # Programs are led to the resolver only once it answers.
    own = [text for text in texts if ".bastide-new" in text and (name != "dns" or "/etc/unbound/" in text)]
    last_move = max((texts.index(text) for text in own), default=0)
    first_start = min(index for index, text in enumerate(texts) if "reset-failed" in text)
    assert last_move < first_start


@pytest.mark.parametrize(("name", "defences"), LAYERS)
def test_every_line_of_the_records_stands_below_its_id(
    bare: dict[str, Plan], name: str, defences: tuple[Defence, ...]
) -> None:
    blocks = "".join(bare[name].uploads().values()).split("\n\n")
    for defence in [each for each in defences if each.stands(GATEWAY)]:
        for setting in defence.sets:
            if isinstance(setting, LineOption) and applies(setting, GATEWAY):
                written = [block.split("\n") for block in blocks if f"# {defence.id}\n" in block]
                wanted = setting.line(GATEWAY).splitlines()
                assert any(all(line in block for line in wanted) for block in written) or not wanted, wanted


def test_what_only_its_users_may_read_is_so_before_it_has_content_in_its_place(bare: dict[str, Plan]) -> None:
    for name, path, who, mode in (
        ("filterd", "/etc/filterd/filterd.toml", "root:filterd", "640"),
        ("clamav", "/etc/clamav/freshclam.conf", "root:clamav", "640"),
        ("hardening", "/etc/ssh/sshd_config.d/00-bastide.conf", "root:root", "600"),
    ):
        plan = bare[name]
        own = place(plan, f"chown {who} {STAGE}{path}; chmod {mode} {STAGE}{path}")
        assert own < place(plan, f"mv -f {path}.bastide-new {path}")


def test_sshd_is_reloaded_and_never_restarted(stale: dict[str, Plan]) -> None:
    verbs = re.findall(r"systemctl (\S+) ssh\.service", "\n".join(stale["hardening"].texts()))
    assert verbs == ["reload"]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("mta", "systemctl reload postfix.service"),
        ("clamav", "systemctl restart clamav-daemon.service clamav-daemon.socket"),
        ("clamav", "systemctl restart clamav-freshclam.service"),
        ("spamassassin", "systemctl restart spamd.service"),
        ("filterd", "systemctl restart filterd.service"),
    ],
)
def test_a_daemon_that_runs_with_old_files_is_made_to_read_the_new_ones(
    stale: dict[str, Plan], name: str, command: str
) -> None:
    assert command in scripts(stale[name])


def test_the_ruleset_at_boot_is_loaded_by_no_reload_here(stale: dict[str, Plan]) -> None:
    assert "systemctl start netfilter-persistent.service" in scripts(stale["firewall"])
    assert not re.search(r"systemctl (reload|restart)", "\n".join(stale["firewall"].texts()))


def test_the_second_run_does_nothing(bare: dict[str, Plan], checkout: Path, tmp_path: Path) -> None:
    cases = {name: layer(name, settled(bare[name])) for name in NAMES}
    data = settings(integrity={"copies": str(tmp_path)})
    copies.keep(copies.place(str(tmp_path), "@fake/gateway"), dict.fromkeys(FILES, b""))
    cases["deploy.py"] = Case(target="deploy.py", responses=settled(bare["deploy.py"]), data=data)
    for name, plan in plans(cases, checkout).items():
        assert (plan.error, plan.commands) == ("", []), name
        assert plan.operations == bare[name].operations


REFUSED = {
    "unknown platform": (
        settings(),
        ["/etc/os-release", "ID=arch", "---"],
        "this host runs arch of no version",
    ),
    "no os-release": (settings(), [], "this host runs an unnamed system of no version"),
    "older debian": (settings(), ["/etc/os-release", "ID=debian", 'VERSION_ID="11"', "---"], "debian 11"),
    "another platform": (
        settings(),
        ["/etc/os-release", "ID=debian", 'VERSION_ID="13"', "---"],
        "this host runs Debian 13 (trixie), and `platform` says debian12: write platform = 'debian13'",
    ),
    "unknown setting": (settings(relay_domain="x"), DEBIAN, "unknown field `relay_domain`"),
    "bad value": (settings(hostname="mx1"), DEBIAN, "setting `hostname`"),
    "no settings": ({}, DEBIAN, "required field `hostname`"),
}


@pytest.fixture(scope="module")
def refused(checkout: Path) -> dict[str, Plan]:
    cases = {
        f"{target}: {name}": Case(target=target, responses={**BARE, "-release | grep": release}, data=data)
        for name, (data, release, _) in REFUSED.items()
        for target in ("prepared", "deploy.py")
    }
    return plans(cases, checkout)


@pytest.mark.parametrize("target", ["prepared", "deploy.py"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_host_that_cannot_be_meant_is_refused_before_anything_is_changed(
    refused: dict[str, Plan], target: str, name: str
) -> None:
    plan = refused[f"{target}: {name}"]
    assert plan.error.startswith("DeployError: @fake/gateway: ")
    assert REFUSED[name][2] in plan.error
    assert plan.commands == []
    assert len(plan.asked) == 1
    assert "-release | grep" in plan.asked[0]


def test_a_gateway_that_is_known_is_prepared_without_a_change(checkout: Path) -> None:
    plan = plans({"": Case(target="prepared", responses=BARE, data=SETTINGS)}, checkout)[""]
    assert (plan.error, plan.commands) == ("", [])


def test_without_a_wheelhouse_nothing_is_changed_and_the_remedy_is_told(tmp_path: Path) -> None:
    plan = plans({"": Case(target="deploy.py", responses=BARE, data=SETTINGS)}, tmp_path)[""]
    assert plan.error.endswith(
        "dist/wheelhouse/cp311 holds no release of filterd: build it with `make wheel`"
    )
    assert plan.commands == []


def test_a_second_gateway_with_other_settings_gets_its_own_files(checkout: Path) -> None:
    changed = settings(hostname="mx2.example.org", sshd_port=2222, admin_networks=["198.51.100.0/24"])
    plan = plans({"": Case(target="deploy.py", responses=BARE, data=changed)}, checkout)[""]
    files = {path.rpartition("/")[2]: content for path, content in plan.uploads().items()}
    assert "\nmyhostname = mx2.example.org\n" in files["main.cf"]
    assert "\nPort 2222\n" in files["00-bastide.conf"]
    assert "-s 198.51.100.0/24 -p tcp -m tcp --dport 2222 " in files["rules.v4.new"]
    assert "--dport 2222" not in files["rules.v6.new"]
