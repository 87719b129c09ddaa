"""Provisioning and the inventory: what pyinfra calls success and is none becomes an exit code."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from roles import inventory
from roles.__main__ import main
from roles.errors import SettingError
from roles.history.paths import PROGRAMS_WRITTEN
from roles.inventory import hosts_of
from roles.settings import Gateway
from tests.unit.roles.examples import settings

NAMES = ["mx1.example.org", "mx2.example.org"]
HOSTS = [{"name": name, "data": settings(hostname=name, ssh_user="root")} for name in NAMES]
# A pyinfra that keeps its arguments and answers what the test wrote down for this kind of call.
PROGRAM = """#!/bin/sh
cd "${0%/*}"
echo "$*" >>called
case "$*" in *debug-inventory*) kind=hosts ;; *) kind=deploy ;; esac
cat $kind.out
cat $kind.err >&2
exit $(cat $kind.code)
"""


class Pyinfra:
    """A fake pyinfra, as a program and as a module of a fake interpreter, with an inventory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inventory = directory / "inventory.py"
        self.inventory.touch()
        for name in ("pyinfra", "python"):
            (directory / name).write_text(PROGRAM)
            (directory / name).chmod(0o755)
        self.answers("hosts", json.dumps(HOSTS))
        self.answers("deploy", "")

    def answers(self, kind: str, out: str, *, code: int = 0, err: str = "") -> None:
        for suffix, text in (("out", out), ("code", str(code)), ("err", err)):
            (self.directory / f"{kind}.{suffix}").write_text(text)

    def called(self) -> list[str]:
        return (self.directory / "called").read_text().splitlines()

    def run(self, command: str, *options: str) -> int:
        return main([command, str(self.inventory), *options])


@pytest.fixture
def pyinfra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pyinfra:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    built = tmp_path / "wheelhouse/cp311"
    built.mkdir(parents=True)
    (built / "release").write_text("0.1.0+abcdef12\n")
    monkeypatch.setattr("roles.filterd.wheelhouse.WHEELHOUSES", built.parent)
    return Pyinfra(tmp_path)


def result(**changes: Any) -> str:
    """Return what pyinfra prints of a deploy that reached both hosts and changed something three times."""
    operations = [
        {"name": "one", "success": NAMES, "no_change": []},
        {"name": "two", "success": NAMES[:1], "no_change": NAMES[1:]},
    ]
    return json.dumps({"results": {"failed_hosts": [], "operations": operations, **changes}})


def plan(*changes: list[str]) -> str:
    items = [
        {"name": f"Layer | deed {n}", "hosts_with_change": hosts, "hosts_with_conditional_change": NAMES}
        for n, hosts in enumerate(changes)
    ]
    return json.dumps({"plan": items})


def test_a_deploy_of_every_host_is_0_and_counted(
    pyinfra: Pyinfra, capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.answers("deploy", result(), err="progress\n")
    assert pyinfra.run("apply") == 0
    assert capsys.readouterr().out == "2 hosts deployed, 3 operations changed something\n"
    assert pyinfra.called() == [
        f"-m pyinfra {pyinfra.inventory} debug-inventory --json",
        f"{pyinfra.inventory} deploy.py -y --json",
    ]


def test_the_result_of_a_deploy_can_be_had_as_json(
    pyinfra: Pyinfra, capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.answers("deploy", result())
    assert pyinfra.run("apply", "--json") == 0
    assert capsys.readouterr().out == result() + "\n"


LAST_WITHOUT_MX2 = [
    {"name": "one", "success": NAMES, "no_change": []},
    {"name": "two", "success": NAMES[:1], "no_change": []},
]


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"failed_hosts": NAMES[:1]}, "mx1.example.org"),
        ({"failed_hosts": NAMES}, "mx1.example.org, mx2.example.org"),
        ({"operations": LAST_WITHOUT_MX2}, "mx2.example.org"),
        ({"operations": []}, "mx1.example.org, mx2.example.org"),
    ],
    ids=["one-failed", "both-failed", "one-dropped-on-the-way", "no-operations"],
)
def test_a_host_that_was_not_deployed_is_named_and_1(
    pyinfra: Pyinfra, changes: dict[str, Any], lacking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.answers("deploy", result(**changes))
    assert pyinfra.run("apply") == 1
    written = capsys.readouterr()
    assert (written.out, written.err) == ("", f"{pyinfra.inventory}: not deployed: {lacking}\n")


@pytest.mark.parametrize(("out", "code"), [(result(), 1), ("", 0), ("\n", 0), ("", 1)])
def test_a_deploy_that_failed_or_said_nothing_is_1(
    pyinfra: Pyinfra, out: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.answers("deploy", out, code=code)
    assert pyinfra.run("apply") == 1
    assert "the deploy failed" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_host_in_sync_is_0(
    pyinfra: Pyinfra, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.answers("deploy", plan([], []))
    assert pyinfra.run("drift", *options) == 0
    out = capsys.readouterr().out
    if options:
        assert json.loads(out) == {"in_sync": True, "changes": []}
    else:
        assert out == "0 operations would change something on 2 hosts\n"


def test_drift_is_looked_for_without_yes_and_never_deployed(pyinfra: Pyinfra) -> None:
    pyinfra.answers("deploy", plan([]))
    pyinfra.run("drift")
    assert pyinfra.called()[-1] == f"{pyinfra.inventory} deploy.py --dry --json"


def test_a_program_that_records_and_was_changed_is_drift_and_the_books_are_not(
    pyinfra: Pyinfra, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [
        {"name": f"History | {name}", "hosts_with_change": NAMES[:1]}
        for name in (PROGRAMS_WRITTEN, "File what this deploy changed")
    ]
    pyinfra.answers("deploy", json.dumps({"plan": items}))
    assert pyinfra.run("drift") == 2
    assert capsys.readouterr().out.splitlines() == [
        f"mx1.example.org: History | {PROGRAMS_WRITTEN}",
        "1 operations would change something on 2 hosts",
    ]


def test_drift_is_2_and_told_by_host_and_operation(
    pyinfra: Pyinfra, capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.answers("deploy", plan([], NAMES, NAMES[1:]))
    assert pyinfra.run("drift") == 2
    assert capsys.readouterr().out.splitlines() == [
        "mx1.example.org: Layer | deed 1",
        "mx2.example.org: Layer | deed 1",
        "mx2.example.org: Layer | deed 2",
        "3 operations would change something on 2 hosts",
    ]
    assert pyinfra.run("drift", "--json") == 2
    assert json.loads(capsys.readouterr().out) == {
        "in_sync": False,
        "changes": [
            {"host": "mx1.example.org", "operation": "Layer | deed 1"},
            {"host": "mx2.example.org", "operation": "Layer | deed 1"},
            {"host": "mx2.example.org", "operation": "Layer | deed 2"},
        ],
    }


@pytest.mark.parametrize(
    ("out", "code", "word"),
    [
        (plan(), 0, "the plan is empty"),
        ("", 0, "could not compare"),
        ("", 1, "could not compare"),
        (plan([]), 1, "could not compare"),
    ],
)
def test_a_comparison_that_tells_nothing_is_1_and_not_in_sync(
    pyinfra: Pyinfra, out: str, code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.answers("deploy", out, code=code, err="no route to host\n")
    assert pyinfra.run("drift") == 1
    written = capsys.readouterr()
    assert written.out == ""
    assert word in written.err
    assert ("no route to host" in written.err) is (word == "could not compare")


# What cannot be used at all is 2 where something was to be deployed; of drift it leaves nothing to tell, 1.
UNUSABLE = pytest.mark.parametrize(("command", "code"), [("apply", 2), ("drift", 1)])


# What pyinfra answers: output, exit code, error output; and the end of the sentence that it becomes.
INVENTORIES = {
    "empty": ("[]", 0, "", "the inventory holds no host; name at least one gateway in it"),
    "syntax error": ("", 1, "Trace\nSyntaxError: bad\n", "cannot resolve the inventory: SyntaxError: bad"),
    "silent": ("", 1, "", "cannot resolve the inventory: without a word"),
    "no JSON": ("not json", 0, "warning\n", "cannot resolve the inventory: warning"),
    "other JSON": ("{}", 0, "", "cannot resolve the inventory: without a word"),
    "failed after all": (json.dumps(HOSTS), 1, "late\n", "cannot resolve the inventory: late"),
}


@UNUSABLE
@pytest.mark.parametrize("name", INVENTORIES)
def test_an_inventory_that_cannot_be_used_is_one_sentence_and_nothing_is_deployed(
    pyinfra: Pyinfra, command: str, code: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, given, said, words = INVENTORIES[name]
    pyinfra.answers("hosts", out, code=given, err=said)
    pyinfra.answers("deploy", result())
    assert pyinfra.run(command) == code
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"{pyinfra.inventory}: ")
    assert written.err.endswith(f"{words}\n")
    assert written.err.count("\n") == 1
    assert len(pyinfra.called()) == 1


@UNUSABLE
def test_a_setting_that_cannot_be_used_is_told_by_host_before_any_is_touched(
    pyinfra: Pyinfra, command: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    second = {"name": NAMES[1], "data": settings(sshd_prot=22)}
    pyinfra.answers("hosts", json.dumps([HOSTS[0], second]))
    pyinfra.answers("deploy", result())
    assert pyinfra.run(command) == code
    assert capsys.readouterr().err.startswith(
        "mx2.example.org: inventory data: the gateway contains unknown field `sshd_prot`"
    )
    assert len(pyinfra.called()) == 1


@UNUSABLE
def test_an_inventory_that_is_not_there_is_told_with_the_remedy(
    pyinfra: Pyinfra, command: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pyinfra.inventory.unlink()
    assert pyinfra.run(command) == code
    assert "copy inventory/example.py" in capsys.readouterr().err
    assert not (pyinfra.directory / "called").exists()


def test_a_host_that_pyinfra_lists_in_two_groups_is_one_host(pyinfra: Pyinfra) -> None:
    pyinfra.answers("hosts", json.dumps(HOSTS + HOSTS))
    assert hosts_of(str(pyinfra.inventory)) == {host["name"]: host["data"] for host in HOSTS}


def test_an_inventory_that_never_answers_is_given_up(
    pyinfra: Pyinfra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_SECONDS", 0.2)
    (pyinfra.directory / "python").write_text("#!/bin/sh\nexec sleep 5\n")
    with pytest.raises(SettingError, match=r"not resolved within 0\.2 s"):
        hosts_of(str(pyinfra.inventory))


@pytest.mark.parametrize("arguments", [[], ["apply"], ["fly", "x"], ["drift", "a", "b"]])
def test_wrong_use_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_the_real_pyinfra_reads_the_example_inventory() -> None:
    hosts = hosts_of(str(inventory.ROOT / "inventory/example.py"))
    assert list(hosts) == ["mx1.example.org"]
    assert hosts["mx1.example.org"]["ssh_strict_host_key_checking"] == "yes"
    assert Gateway.of(hosts["mx1.example.org"]).hostname == "mx1.example.org"


@pytest.mark.parametrize(("command", "code"), [("apply", 2), ("drift", 1)])
def test_without_a_wheelhouse_no_host_is_touched(
    pyinfra: Pyinfra, capsys: pytest.CaptureFixture[str], command: str, code: int
) -> None:
    (pyinfra.directory / "wheelhouse/cp311/release").unlink()
    assert pyinfra.run(command) == code
    assert "build it with `make wheel`" in capsys.readouterr().err
    assert all("debug-inventory" in call for call in pyinfra.called())
