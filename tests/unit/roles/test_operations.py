"""Our operations: which commands they run for what the host says."""

import json
import shlex
from hashlib import sha256

import pytest

from roles.operations import PRELUDE
from tests.unit.roles.plans import Case, Plan, plans

RUNNING = {
    "want": "new",
    "have": "new",
    "active": "active",
    "enabled": "enabled",
    "stale": "no",
    "newest": "100",
    "started": "200",
    "stamped": "150",
}
UNIT = {"unit": "a.service", "files": ["/etc/a.conf"]}
FILES = [
    {"path": "/etc/a/one.conf", "content": "one\n"},
    {"path": "/etc/b/two.conf", "content": "two\n", "mode": "640", "group": "mail"},
]


def state_line(path: str, content: str, rest: str) -> str:
    return f"{sha256(content.encode()).hexdigest()} {rest} {path}"


ONE = state_line("/etc/a/one.conf", "one\n", "644 root root")
TWO = state_line("/etc/b/two.conf", "two\n", "640 root mail")


def unit(**changes: str) -> Case:
    return unit_with({}, **changes)


def unit_with(arguments: dict[str, object], **changes: str) -> Case:
    return Case(
        target="roles.operations:unit_current",
        arguments={**UNIT, **arguments},
        responses={"ActiveEnterTimestamp": [json.dumps({**RUNNING, **changes})]},
    )


def owned(*states: str) -> Case:
    return Case(
        target="roles.operations:files_owned",
        arguments={"files": FILES, "check": "checker $stage/etc"},
        responses={"sha256sum": states},
    )


def packages(*missing: str) -> Case:
    return Case(
        target="roles.operations:packages_installed",
        arguments={"packages": ["postfix", "postfix-pcre", "spamd"]},
        responses={"dpkg-query": missing},
    )


def converged(*answer: str) -> Case:
    arguments = {"question": "sysctl -n a b", "wanted": "0\n1", "remedy": "sysctl --load=/etc/x"}
    return Case(target="roles.operations:converged", arguments=arguments, responses={"sysctl -n": answer})


CASES = {
    "unit: current": unit(),
    "unit: static": unit(enabled="static"),
    "unit: stamped in the second of the change": unit(newest="150"),
    "unit: changed and put back after the stamp": unit(newest="151"),
    "unit: no stamp, started after the change": unit(have="", stamped=""),
    "unit: no stamp, no files, started": unit(have="", newest="", stamped=""),
    "unit: no stamp, started in the same second": unit(have="", newest="200", stamped=""),
    "unit: no stamp, started before the change": unit(have="", newest="201", stamped=""),
    "unit: stale stamp": unit(have="old"),
    "unit: stale stamp though started later": unit(have="old", newest="100", started="999"),
    "unit: restarted": unit_with({"on_change": "restart", "along": ["a.socket"]}, have="old"),
    "unit: inactive": unit(active="inactive", started="0"),
    "unit: failed": unit_with({"along": ["a.socket"]}, active="failed", have="old"),
    "unit: disabled": unit(enabled="disabled"),
    "unit: unknown": unit(enabled="", active="inactive", have="", newest="", started="0", stamped=""),
    "unit: unit file changed": unit(stale="yes"),
    "files: none there": owned(),
    "files: as wanted": owned(TWO, ONE),
    "files: one missing": owned(ONE),
    "files: other content": owned(ONE, state_line("/etc/b/two.conf", "2\n", "640 root mail")),
    "files: other mode": owned(ONE, TWO.replace("640", "644")),
    "files: other group": owned(ONE, TWO.replace("mail", "root")),
    "files: other owner": owned(ONE.replace("root root", "nobody root"), TWO),
    "files: no check": Case(target="roles.operations:files_owned", arguments={"files": FILES}),
    "packages: installed": packages(),
    "packages: two missing": packages("spamd", "postfix-pcre"),
    "converged: yes": converged("0", "1"),
    "converged: no": converged("0", "0"),
    "converged: no answer": converged(),
}


@pytest.fixture(scope="module")
def planned() -> dict[str, Plan]:
    found = plans(CASES)
    assert {name: plan.error for name, plan in found.items() if plan.error} == {}
    return found


def scripts(plan: Plan) -> list[str]:
    """Return the scripts of a plan's commands, out of their `sh -e -c`; each begins with what all do."""
    parts = [shlex.split(text) for text in plan.texts()]
    assert all(part[:3] == ["sh", "-e", "-c"] and len(part) == 4 for part in parts)
    assert all(part[3].startswith(PRELUDE) for part in parts)
    return [part[3].removeprefix(PRELUDE) for part in parts]


@pytest.mark.parametrize(
    "name",
    [
        "unit: current",
        "unit: static",
        "unit: stamped in the second of the change",
        "unit: no stamp, started after the change",
        "unit: no stamp, no files, started",
        "files: as wanted",
        "packages: installed",
        "converged: yes",
    ],
)
def test_a_host_that_is_as_wanted_is_left_alone(planned: dict[str, Plan], name: str) -> None:
    assert planned[name].commands == []


DAEMON_RELOAD = "systemctl daemon-reload"
STAMP = "mkdir -p /run/bastide; systemctl is-active --quiet a.service; echo new >/run/bastide/a.service.stamp"
RESET = "systemctl reset-failed a.service 2>/dev/null || true; systemctl start a.service"
RELOAD = "systemctl reload-or-restart a.service"


@pytest.mark.parametrize(
    ("name", "middle"),
    [
        ("unit: no stamp, started in the same second", [RELOAD]),
        ("unit: no stamp, started before the change", [RELOAD]),
        ("unit: stale stamp", [RELOAD]),
        ("unit: changed and put back after the stamp", [RELOAD]),
        ("unit: stale stamp though started later", [RELOAD]),
        ("unit: restarted", ["systemctl restart a.service a.socket"]),
        ("unit: inactive", [RESET]),
        ("unit: failed", [f"{RESET} a.socket"]),
        ("unit: disabled", ["systemctl --quiet enable a.service"]),
        ("unit: unknown", ["systemctl --quiet enable a.service", RESET]),
        ("unit: unit file changed", []),
    ],
)
def test_a_unit_is_brought_up_to_date_then_stamped(
    planned: dict[str, Plan], name: str, middle: list[str]
) -> None:
    assert scripts(planned[name]) == [DAEMON_RELOAD, *middle, STAMP]


def test_files_are_staged_checked_and_renamed_in_that_order(planned: dict[str, Plan]) -> None:
    plan = planned["files: none there"]
    stage = "/run/bastide/stage"
    assert [command[:2] for command in plan.commands if command[0] == "upload"] == [
        ["upload", f"{stage}/etc/a/one.conf"],
        ["upload", f"{stage}/etc/b/two.conf"],
    ]
    assert plan.uploads() == {f"{stage}/etc/a/one.conf": "one\n", f"{stage}/etc/b/two.conf": "two\n"}
    assert [kind for kind, *_ in plan.commands] == ["run", "upload", "upload", "run", "run", "run", "run"]
    prepare, own_one, own_two, check, move = scripts(plan)
    assert prepare == f"rm -rf {stage}; umask 077; mkdir -p {stage}/etc/a {stage}/etc/b"
    assert own_one == f"chown root:root {stage}/etc/a/one.conf; chmod 644 {stage}/etc/a/one.conf"
    assert own_two == f"chown root:mail {stage}/etc/b/two.conf; chmod 640 {stage}/etc/b/two.conf"
    assert check == f"stage={stage}; checker $stage/etc"
    assert move.index("mv -f /etc/a/one.conf") < move.index("mv -f /etc/b/two.conf") < move.index("rm -rf")


@pytest.mark.parametrize(
    "deviation", ["one missing", "other content", "other mode", "other group", "other owner"]
)
def test_any_deviation_writes_all_the_files(planned: dict[str, Plan], deviation: str) -> None:
    assert planned[f"files: {deviation}"].commands == planned["files: none there"].commands


def test_without_a_check_the_files_go_straight_to_their_places(planned: dict[str, Plan]) -> None:
    texts = planned["files: no check"].texts()
    assert not any("stage=" in text for text in texts)
    assert len(texts) == len(planned["files: none there"].texts()) - 1


def test_only_what_is_missing_is_installed_behind_a_policy_that_starts_nothing(
    planned: dict[str, Plan],
) -> None:
    (script,) = scripts(planned["packages: two missing"])
    install = next(line.strip() for line in script.splitlines() if "install spamd" in line)
    assert install.startswith("apt-get -q -y --no-install-recommends")
    assert install.endswith(" install spamd postfix-pcre")
    assert script.index("/usr/sbin/policy-rc.d") < script.index("install spamd")


@pytest.mark.parametrize("name", ["converged: no", "converged: no answer"])
def test_a_remedy_runs_when_the_answer_is_another(planned: dict[str, Plan], name: str) -> None:
    assert scripts(planned[name]) == ["sysctl --load=/etc/x"]
