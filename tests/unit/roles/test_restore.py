"""Single deeds of a revert, by a real shell on scratch directories."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.roles.hosts import FakeHost
from tests.unit.roles.lists import GUARDED, OPEN, given_list, list_of, needs_flags

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
        (self.kept / "expected").mkdir()
        for section in ("acls", "flags"):
            self.table("", "", "", section)

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


TEXT = "user::rw-,user:123456:r--,group::---,mask::rw-,other::---"


def test_a_list_comes_back_with_its_mode_and_the_group_gets_nothing(place: Place) -> None:
    path = place.root / "one"
    original = place.history / f"originals{path}"
    original.parent.mkdir(parents=True)
    original.write_text("before\n")
    path.write_text("after\n")
    place.table(f"{path}\t{TEXT}\n", f"{path}\t-\n", "", "acls")
    place.run(f"put_back {path} 'f 660 {ME} 0123'")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("before\n", 0o660)
    assert list_of(path) == GUARDED


def test_a_list_that_is_as_before_outlives_a_content_that_is_put_back(place: Place) -> None:
    path = place.root / "a\\b c"
    original = place.history / f"originals{path}"
    original.parent.mkdir(parents=True)
    original.write_text("before\n")
    path.write_text("after\n")
    given_list(path, GUARDED)
    place.table("", "", f"{path}\t{TEXT}\n", "acls")
    place.run(f"put_back '{path}' 'f 660 {ME} 0123'")
    assert list_of(path) == GUARDED


def test_lists_alone_are_put_back_and_what_a_directory_lends_is_taken(place: Place) -> None:
    folder = place.root / "etc"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub").chmod(0o2770)
    (folder / "one").touch(mode=0o660)
    given_list(folder / "one", OPEN)
    given_list(folder, OPEN, default=True)
    was = "user::rwx,group::rwx,other::---,default:" + TEXT.replace(",", ",default:")
    place.table(f"{folder}/sub\t{was}\n", "", f"{folder}/one\t{TEXT}\n", "acls")
    place.run(f"acls_back; put_back {folder}/dir 'd 750 {ME}'; owned {folder}/one 'f 640 {ME}'")
    assert list_of(folder / "sub", default=True) == GUARDED
    assert (folder / "sub").stat().st_mode & 0o7777 == 0o2770
    # A new directory inherits one, which it had not.
    assert list_of(folder / "dir") is None
    assert (folder / "dir").stat().st_mode & 0o777 == 0o750


def test_a_list_that_deploys_gave_goes_again(place: Place) -> None:
    path = place.root / "one"
    path.touch()
    given_list(path, OPEN)
    place.table(f"{path}\t-\n", f"{path}\t{TEXT}\n", f"{path}\t{TEXT}\n", "acls")
    place.run("acls_back")
    assert list_of(path) is None
    assert place.run("cat $X/lacking 2>/dev/null || true") == ""


@needs_flags
def test_what_people_made_unchangeable_is_changed_and_made_so_again(place: Place) -> None:
    etc = place.root / "etc"
    etc.mkdir()
    path, gone = etc / "one", etc / "ours"
    original = place.history / f"originals{path}"
    original.parent.mkdir(parents=True)
    original.write_text("before\n")
    for each in (path, gone):
        each.write_text("after\n")
    sha = "0" * 64
    place.table(
        f"{path}\tf 644 {ME} {sha}\n{gone}\t-\n",
        f"{path}\tf 644 {ME} 1\n{gone}\tf 644 {ME} 1\n",
        f"{path}\tf 644 {ME} 1\n{gone}\tf 644 {ME} 1\n",
    )
    place.table("", "", f"{path}\ti\n{gone}\ti\n{etc}\ta\n", "flags")
    for section in ("packages", "caps"):
        place.table("", "", "", section)
    (place.kept / "expected/flags").write_text(f"{path}\ti\n")
    for each, flag in ((path, "+i"), (gone, "+i"), (etc, "+a")):
        subprocess.run(["chattr", flag, str(each)], check=True)
    try:
        place.run("files_back; flags_back")
        assert not gone.exists()
        assert path.read_text() == "before\n"
        shown = subprocess.run(["lsattr", "-d", str(path)], capture_output=True, text=True, check=True)
        assert "i" in shown.stdout.split()[0]
    finally:
        subprocess.run(["chattr", "-ia", *map(str, (etc, *etc.iterdir()))], check=True)


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


NATIVE = (
    "table ip filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"
)


def test_nfts_table_of_before_takes_the_place_of_ours_in_one_step(place: Place) -> None:
    originals = place.history / "originals"
    (originals / "firewall4").write_text("*nat\nCOMMIT\n")
    (originals / "firewall4.nft").write_text(NATIVE)
    # Ours, and one that nobody had before.
    ours = r"*filter\n:INPUT DROP\nCOMMIT\n*mangle\n:INPUT DROP\nCOMMIT\n"
    (place.history / "record").write_text(f"printf '{ours}'\n")
    assert place.run("if refuses; then echo yes; fi") == "yes\n"
    path = originals / "firewall4"
    assert place.run(f"former iptables {path}") == "*mangle\n:INPUT ACCEPT [0:0]\nCOMMIT\n*nat\nCOMMIT\n"
    head = "add table ip filter\ndelete table ip filter\n"
    assert place.run(f"former_nft 4 {path}.nft") == head + NATIVE


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
