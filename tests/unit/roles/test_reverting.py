"""The control host's side of a revert and of baselines: what hosts are asked, what is made of their answers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roles.__main__ import main
from roles.history import programs, reverting
from roles.history.programs import shown
from tests.unit.roles.examples import settings
from tests.unit.roles.hosts import FakeHost

NAMES = ["mx1.example.org", "mx2.example.org"]
HOSTS = [{"name": name, "data": settings(hostname=name, ssh_user="root")} for name in NAMES]
# A pyinfra that answers for each host with what is next in a file of the host's; the last answer stays.
PROGRAM = """#!{python}
import json, os, sys
from pathlib import Path
here = Path({place!r})
if "debug-inventory" in sys.argv:
    print((here / "hosts.json").read_text())
    sys.exit()
hosts = [word for option, word in zip(sys.argv, sys.argv[1:]) if option == "--limit"]
with (here / "asked").open("a") as log:
    print(os.environ["BASTIDE_ASK_COMMAND"].rpartition("; ")[2], *hosts, file=log)
for name in hosts:
    path = here / f"{{name}}.answers"
    if not path.exists():
        print("no route to host", file=sys.stderr)
        continue
    first, *rest = json.loads(path.read_text())
    path.write_text(json.dumps(rest or [first]))
    Path(os.environ["BASTIDE_ASK_ANSWERS"], f"{{name}}.json").write_text(json.dumps({{"host": name, "said": first}}))
"""


class Fleet:
    """Two hosts behind a fake pyinfra."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inventory = directory / "inventory.py"
        self.inventory.touch()
        (directory / "hosts.json").write_text(json.dumps(HOSTS))
        for name in ("pyinfra", "python"):
            (directory / name).write_text(PROGRAM.format(python=sys.executable, place=str(directory)))
            (directory / name).chmod(0o755)

    def answers(self, name: str, *texts: str) -> None:
        (self.directory / f"{name}.answers").write_text(json.dumps(texts))

    def asked(self) -> list[str]:
        return (self.directory / "asked").read_text().splitlines()

    def run(self, *words: str) -> int:
        return main([words[0], str(self.inventory), *words[1:]])


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(reverting, "_PAUSE", 0.0)
    monkeypatch.setattr(reverting, "_PATIENCE", 0.0)
    return made


def test_without_yes_hosts_only_say_what_they_would_do(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        fleet.answers(name, "packages removed (1):\n  postfix\n0")
    assert fleet.run("revert") == 0
    assert fleet.asked() == [f"sh /var/lib/bastide-history/revert  {' '.join(NAMES)}"]
    assert "mx2.example.org:   postfix\n" in capsys.readouterr().out


def test_one_host_is_reverted_and_what_it_says_is_shown_once(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.answers(NAMES[1], "\n0", "running\none\n0", "running\none\ntwo\n0", "ended 0\none\ntwo\nthree\n0")
    assert fleet.run("revert", "--host", NAMES[1], "--yes", "--even-with-mail") == 0
    assert capsys.readouterr().out == "".join(f"{NAMES[1]}: {word}\n" for word in ("one", "two", "three"))
    program = "sh /var/lib/bastide-history/revert"
    assert fleet.asked() == [f"{program} --start --even-with-mail {NAMES[1]}"] + 3 * [
        f"{program} --state {NAMES[1]}"
    ]


def test_an_answer_that_says_nothing_of_the_revert_is_asked_for_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reverting, "_PATIENCE", 60.0)
    broken = "Failed to connect to bus: Connection refused\nrunning\none\n0"
    fleet.answers(NAMES[1], "\n0", broken, "\n0", "ended 0\none\n0")
    assert fleet.run("revert", "--host", NAMES[1], "--yes") == 0
    assert capsys.readouterr().out == f"{NAMES[1]}: one\n"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["\n0", "ended 1\nmail waits\n0"], "mail waits"),
        (["a revert is at work already\n1"], "at work already"),
        (["\n0", "never\nhalf\n0"], "run it again"),
    ],
    ids=["refused", "not begun", "killed"],
)
def test_a_host_that_is_not_what_it_was_is_1(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], answers: list[str], said: str
) -> None:
    fleet.answers(NAMES[0], "\n0", "ended 0\nfine\n0")
    fleet.answers(NAMES[1], *answers)
    assert fleet.run("revert", "--yes") == 1
    assert said in capsys.readouterr().out


def test_a_host_that_does_not_answer_is_named(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.answers(NAMES[0], "fine\n0")
    assert fleet.run("revert") == 1
    assert "no answer from mx2.example.org:\nno route to host" in capsys.readouterr().err


def test_a_host_that_is_not_in_the_inventory_is_2(fleet: Fleet) -> None:
    with pytest.raises(SystemExit) as exit_:
        fleet.run("revert", "--host", "mx3.example.org")
    assert exit_.value.code == 2
    assert not (fleet.directory / "asked").exists()


def test_an_inventory_that_cannot_be_used_is_2(fleet: Fleet) -> None:
    (fleet.directory / "hosts.json").write_text("[]")
    assert fleet.run("revert", "--yes") == 2


SHOWN = "taken\t{taken}\nfiles\t/etc/a\tf 644 0 0 {a}\n0"


def drift(fleet: Fleet, *words: str) -> int:
    return fleet.run("drift", *words)


def test_a_baseline_is_saved_and_compared_with(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(fleet.directory / "base.json")
    for name in NAMES:
        fleet.answers(name, SHOWN.format(taken=1000, a="11"))
    assert drift(fleet, "--save-baseline", path) == 0
    assert drift(fleet, "--from-baseline", path) == 0
    assert fleet.asked()[-1] == f'sh "$place/record" show 1000 {" ".join(NAMES)}'
    fleet.answers(NAMES[1], SHOWN.format(taken=2000, a="12"))
    capsys.readouterr()
    assert drift(fleet, "--from-baseline", path) == 2
    assert capsys.readouterr().out.splitlines() == [
        "mx2.example.org: files /etc/a: f 644 0 0 11 -> f 644 0 0 12, by no deploy",
        "1 differences on 2 hosts, 1 by no deploy",
    ]
    assert drift(fleet, "--from-baseline", path, "--json") == 2
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["in_sync"], [each["host"] for each in told["differences"]]) == (False, [NAMES[1]])


def test_a_host_is_shown_by_this_machines_program_and_not_by_its_own(
    tmp_path: Path, fake_host: FakeHost
) -> None:
    (tmp_path / "record").write_text("echo all is well\n")
    # In the place of a shell, what is to be run.
    fake_host.program("sh", 'echo "$2 $3"; cat "$1" "${1%/*}/packages"')
    command = shown("apt", 1000).replace("/var/lib/bastide-history", str(tmp_path))
    done = subprocess.run(
        ["/bin/sh", "-c", f"( {command} ) 2>&1; echo $?"],
        env={**os.environ, "PATH": f"{fake_host.programs}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    here = Path(programs.__file__).parent
    wanted = (here / "record.sh").read_text() + (here / "packages.apt.sh").read_text()
    assert done.stdout == f"show 1000\n{wanted}0\n"
    assert not list(tmp_path.glob("tmp.*"))


def test_what_cannot_be_told_is_1(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(fleet.directory / "base.json")
    assert drift(fleet, "--from-baseline", path) == 1
    fleet.answers(NAMES[0], SHOWN.format(taken=1000, a="11"))
    assert drift(fleet, "--save-baseline", path) == 1
    fleet.answers(NAMES[1], "sh: 0: cannot open /var/lib/bastide-history/record\n2")
    assert drift(fleet, "--save-baseline", path) == 1
    assert "cannot open" in capsys.readouterr().err
    fleet.answers(NAMES[1], SHOWN.format(taken=1000, a="11"))
    assert drift(fleet, "--save-baseline", path) == 0
    (fleet.directory / "hosts.json").write_text(json.dumps(HOSTS[:1]))
    assert drift(fleet, "--from-baseline", path) == 1
    assert "do not have the same hosts: mx2.example.org" in capsys.readouterr().err
