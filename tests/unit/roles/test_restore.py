"""Single deeds of a revert, by a real shell on scratch directories."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.roles.hosts import FakeHost

RESTORE = Path(__file__).parents[3] / "roles/history/restore.sh"
FILTER = RESTORE.with_name("filter.sh")
PACKAGES = RESTORE.with_name("packages.apt.sh")
ME = f"{os.geteuid()} {os.getegid()}"


class Place:
    """A history and a kept directory in a scratch root."""

    def __init__(self, directory: Path) -> None:
        self.root = directory
        self.history = directory / "history"
        self.kept = directory / "kept"
        for folder in ("changed", "ours", "originals"):
            (self.history / folder).mkdir(parents=True)
        (self.kept / "now").mkdir(parents=True)

    def run(self, script: str) -> str:
        head = f"set -eu; H={self.history}; X={self.kept}; . {PACKAGES}; . {RESTORE}; . {FILTER}\n"
        done = subprocess.run(["sh", "-c", head + script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def table(self, changed: str, ours: str, now: str, section: str = "files") -> None:
        (self.history / "changed" / section).write_text(changed)
        (self.history / "ours" / section).write_text(ours)
        (self.kept / "now" / section).write_text(now)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_accounts_of_deploys_go_and_all_others_stay(place: Place) -> None:
    path = place.root / "passwd"
    before = ["root:x:0", "bin:x:2:/bin/bash", "games:x:5", "gone:x:6"]
    ours = ["root:x:0", "bin:x:2:/usr/sbin/nologin", "games:x:5", "filterd:x:990"]
    now = ["root:x:0:mended", "bin:x:2:/usr/sbin/nologin", "filterd:x:990", "newadmin:x:1001"]
    for at, lines in ((f"originals{path}", before), (f"ours{path}", ours)):
        (place.history / at).parent.mkdir(parents=True, exist_ok=True)
        (place.history / at).write_text("".join(f"{line}\n" for line in lines))
    path.write_text("".join(f"{line}\n" for line in now))
    place.table(f"{path}\tf 640 {ME} 00\n", "", "")
    place.run(f"ACCOUNTS={path}; accounts_back")
    # Kept is what people changed (root, games that is gone), and put back what deploys had (bin's shell, one removed).
    assert path.read_text().split() == [
        "root:x:0:mended",
        "bin:x:2:/bin/bash",
        "gone:x:6",
        "newadmin:x:1001",
    ]
    assert path.stat().st_mode & 0o777 == 0o640


def test_files_links_and_directories_are_put_back_with_their_modes(place: Place) -> None:
    etc = place.root / "etc"
    etc.mkdir()
    original = place.history / f"originals{etc}/one"
    original.parent.mkdir(parents=True)
    original.write_text("before\n")
    (etc / "one").write_text("after\n")
    (etc / "link").write_text("a file now\n")
    place.run(
        f"put_back {etc}/one 'f 604 {ME} 0123'; put_back {etc}/link 'l 777 {ME} one two'; put_back {etc}/dir/sub 'd 750 {ME}'"
    )
    assert ((etc / "one").read_text(), (etc / "one").stat().st_mode & 0o777) == ("before\n", 0o604)
    assert (etc / "link").readlink() == Path("one two")
    assert (etc / "dir/sub").stat().st_mode & 0o777 == 0o750
    assert sorted(path.name for path in etc.iterdir()) == ["dir", "link", "one"]


def test_a_content_that_was_not_kept_is_said_and_the_file_stays(place: Place) -> None:
    path = place.root / "large"
    path.write_text("after\n")
    assert "its content of before was not kept" in place.run(f"put_back {path} 'f 644 {ME} 0123'")
    assert path.read_text() == "after\n"


def test_what_was_not_there_goes_but_nothing_of_another_with_it(place: Place) -> None:
    ours = place.root / "ours"
    (ours / "__pycache__").mkdir(parents=True)
    (ours / "file").touch()
    (ours / "socket").touch()
    (ours / "theirs").touch()
    place.run(
        f"removed {ours}/file 'f 644 0 0 0123'; removed {ours}/socket 's 666 0 0'; removed {ours} 'd 755 0 0'"
    )
    assert [path.name for path in ours.iterdir()] == ["theirs"]
    assert (place.kept / "stays").read_text() == f"{ours}\n"
    # What no copy was made of is moved.
    assert (place.kept / f"removed{ours}/socket").exists()


def test_what_is_set_aside_twice_is_there_twice(place: Place) -> None:
    path = place.root / "data"
    for text in ("one", "two", "three"):
        path.write_text(text)
        place.run(f"set_aside {path}")
    kept = place.kept / f"removed{path}"
    assert [Path(f"{kept}{end}").read_text() for end in ("", ".1", ".2")] == ["one", "two", "three"]


def test_added_and_taken_are_told_by_what_is_there_now(place: Place) -> None:
    place.table(
        "a\t-\nb\t-\nc\tii 1\nd\tii 1\n", "a\tii\nb\tii\nc\t-\nd\t-\n", "a\tii\nc\tii 1\n", "packages"
    )
    assert place.run("added packages").split() == ["a"]
    assert place.run("taken packages").split() == ["d"]


@pytest.mark.parametrize(
    ("rules", "refuses"),
    [
        ("", False),
        (":INPUT ACCEPT\n-A INPUT -j ACCEPT\n", False),
        (":INPUT DROP\n", True),
        (":INPUT ACCEPT\n-A INPUT -s 192.0.2.1/32 -j DROP\n", True),
        (":INPUT ACCEPT\n-A INPUT -j REJECT --reject-with icmp-port-unreachable\n", True),
    ],
)
def test_only_rules_that_refuse_must_be_confirmed(place: Place, rules: str, *, refuses: bool) -> None:
    (place.history / "originals/firewall4").write_text(rules)
    assert place.run("if refuses; then echo yes; fi") == ("yes\n" if refuses else "")


RPM = """case "$*" in
*-qc*) echo /etc/one.conf ;;
*-q*) for last; do :; done; [ -e $HOSTS/$last ] ;;
*--erase*) shift 2; case " $* " in *" needed "*) echo "needed is needed by (installed) theirs" >&2; exit 1 ;; esac
  cd $HOSTS; rm -f "$@" ;;
esac"""


def test_rpm_removes_what_nobody_needs_and_keeps_the_rest(fake_host: FakeHost, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    installed.mkdir()
    for name in ("a", "b", "needed"):
        (installed / name).touch()
    fake_host.program("rpm", RPM.replace("$HOSTS", str(installed)))
    script = f". {RESTORE.with_name('packages.dnf.sh')}; pm_purge a needed b; pm_purge b || true"
    fake_host.run(script)
    assert [path.name for path in installed.iterdir()] == ["needed"]
