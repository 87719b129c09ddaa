"""What is recorded of a host: the program itself, run on a scratch directory that stands for the host's root."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.roles.hosts import FakeHost
from tests.unit.roles.lists import GUARDED, OPEN, given_list, needs_flags

PROGRAMS = Path(__file__).parents[3] / "roles/history"
# What the host is asked beside its files; each test has it answer as it likes.
ASKED = (
    *("dpkg-query", "dpkg-statoverride", "dpkg-divert", "systemctl", "getcap", "ss", "ipset"),
    *("iptables-save", "ip6tables-save"),
)


class History:
    """The record of a scratch root."""

    def __init__(self, directory: Path, fake_host: FakeHost) -> None:
        self.root = directory / "root"
        self.place = self.root / "var/lib/bastide-history"
        for folder in ("etc", "root", "usr/local", "var/lib/foo", "opt"):
            (self.root / folder).mkdir(parents=True)
        for name in ("passwd", "group", "shadow"):
            (self.root / "etc" / name).write_text("root:x:0:0:root:/root:/bin/sh\n")
        self.fake_host = fake_host
        for name in ASKED:
            fake_host.program(name)
        text = (PROGRAMS / "record.sh").read_text()
        shutil.copy(PROGRAMS / "packages.apt.sh", directory / "packages")
        self.program = directory / "record"
        self.program.write_text(
            text.replace("\nH=/", f"\nH={self.root}/", 1).replace("\nROOT=\n", f"\nROOT={self.root}\n", 1)
        )

    def run(self, *words: str, code: int = 0) -> str:
        environment = {**os.environ, "PATH": f"{self.fake_host.programs}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", str(self.program), *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def table(self, place: str, section: str = "files") -> dict[str, str]:
        lines = (self.place / place / section).read_text().splitlines()
        return dict(line.split("\t") for line in lines)

    def add(self, line: str) -> None:
        """Add an account."""
        with (self.root / "etc/passwd").open("a") as accounts:
            accounts.write(line)

    def original(self, path: str) -> str:
        return (self.place / "originals" / path).read_text()


@pytest.fixture
def history(tmp_path: Path, fake_host: FakeHost) -> History:
    return History(tmp_path, fake_host)


def test_what_a_run_changes_is_filed_with_what_was_before(history: History) -> None:
    etc = history.root / "etc"
    (etc / "one").write_text("before\n")
    (etc / "gone").write_text("was here\n")
    (etc / "link").symlink_to("one")
    (etc / "same").write_text("same\n")
    history.run("begin")
    (etc / "one").write_text("after\n")
    (etc / "gone").unlink()
    (etc / "link").unlink()
    (etc / "new").mkdir()
    (etc / "same").chmod(0o600)
    history.run("end", "abc123")
    changed, ours = history.table("changed"), history.table("ours")
    assert set(changed) == {"/etc/one", "/etc/gone", "/etc/link", "/etc/new", "/etc/same"}
    assert (changed["/etc/new"], ours["/etc/gone"]) == ("-", "-")
    assert changed["/etc/link"].endswith(" one")
    assert (changed["/etc/same"].split()[1], ours["/etc/same"].split()[1]) == ("644", "600")
    assert (history.original("etc/one"), history.original("etc/gone")) == ("before\n", "was here\n")
    (run,) = (history.place / "runs").iterdir()
    assert "revision\tabc123\n" in run.read_text()
    assert f"files\t/etc/new\t-\t{ours['/etc/new']}\n" in run.read_text()


def test_a_later_run_never_writes_over_the_first_original(history: History) -> None:
    path = history.root / "etc/one"
    path.write_text("first\n")
    for text in ("second\n", "third\n"):
        history.run("begin")
        path.write_text(text)
        history.run("end", "r")
    assert history.original("etc/one") == "first\n"
    history.run("begin")
    path.write_text("first\n")
    history.run("end", "r")
    # It is as before again: what comes after is an administrator's, or a new change with an original of its own.
    assert history.table("changed") == {}


def test_a_run_that_died_is_accounted_for_by_the_next(history: History) -> None:
    path = history.root / "etc/one"
    path.write_text("before\n")
    history.run("begin")
    path.write_text("half-way\n")
    history.run("begin")
    path.write_text("after\n")
    history.run("end", "r")
    assert history.original("etc/one") == "before\n"
    history.run("end", "r")
    assert len(list((history.place / "runs").iterdir())) == 1


def test_what_an_administrator_changes_between_runs_is_not_ours(history: History) -> None:
    (history.root / "etc/theirs").write_text("before\n")
    history.run("begin")
    (history.root / "etc/ours").write_text("ours\n")
    history.run("end", "r")
    (history.root / "etc/theirs").write_text("mended\n")
    history.run("begin")
    (history.root / "etc/more").write_text("ours\n")
    history.run("end", "r")
    assert set(history.table("changed")) == {"/etc/ours", "/etc/more"}


@pytest.mark.parametrize("name", ["two words", "new\nline", "a\ttab", "back\\slash", "*", "-n", "Grüße"])
def test_any_name_can_be_had_back(history: History, name: str) -> None:
    path = history.root / "etc/sub" / name
    path.parent.mkdir()
    path.write_text("before\n")
    history.run("begin")
    path.write_text("after\n")
    history.run("end", "r")
    assert history.original(f"etc/sub/{name}") == "before\n"


def test_access_control_lists_are_recorded_beside_modes(history: History) -> None:
    etc = history.root / "etc"
    (etc / "a dir").mkdir()
    (etc / "one").write_text("guarded\n")
    given_list(etc / "one", GUARDED)
    given_list(etc / "a dir", OPEN, default=True)
    history.run("begin")
    # What a rename brings has no list, and the group's part of the mode is no mask any more.
    (etc / "new").write_text("guarded\n")
    (etc / "new").chmod(0o660)
    (etc / "new").replace(etc / "one")
    given_list(etc / "a dir", GUARDED)
    history.run("end", "r")
    changed, ours = history.table("changed", "acls"), history.table("ours", "acls")
    assert changed["/etc/one"] == "user::rw-,user:123456:r--,group::---,mask::rw-,other::---"
    assert ours["/etc/one"] == "-"
    assert changed["/etc/a dir"].endswith("default:group::rwx,default:mask::rwx,default:other::---")
    assert ours["/etc/a dir"].endswith(",group::---,mask::rw-,other::---,default:" + OPEN_DEFAULT)


OPEN_DEFAULT = "user::rw-,default:user:123456:r--,default:group::rwx,default:mask::rwx,default:other::---"


@needs_flags
def test_what_cannot_be_changed_is_recorded(history: History) -> None:
    fixed = history.root / "etc/fixed file"
    fixed.touch()
    history.run("begin")
    subprocess.run(["chattr", "+i", str(fixed)], check=True)
    try:
        history.run("end", "r")
    finally:
        subprocess.run(["chattr", "-i", str(fixed)], check=True)
    assert history.table("ours", "flags") == {"/etc/fixed file": "i"}
    assert history.table("changed", "flags") == {"/etc/fixed file": "-"}


def test_the_programs_that_record_are_seen_themselves_and_no_file_of_a_revert(history: History) -> None:
    history.run("begin")
    (history.place / "record").write_text("echo all is well\n")
    history.run("end", "r")
    assert set(history.table("changed", "programs")) == {f"{history.place}/record"}
    assert history.table("changed") == {}


def test_originals_can_neither_be_run_nor_read_by_others(history: History) -> None:
    path = history.root / "usr/local/shell"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o6777)
    history.run("begin")
    path.write_text("other\n")
    history.run("end", "r")
    assert history.table("changed")["/usr/local/shell"].startswith("f 6777 ")
    assert (history.place / "originals/usr/local/shell").stat().st_mode & 0o7077 == 0
    assert history.place.stat().st_mode & 0o777 == 0o700


def test_data_of_services_is_told_by_its_directory_alone(history: History) -> None:
    history.run("begin")
    (history.root / "var/lib/foo/row").write_text("a row\n")
    (history.root / "var/lib/new").mkdir()
    (history.root / "var/lib/new/row").write_text("a row\n")
    history.run("end", "r")
    assert set(history.table("changed")) == {"/var/lib/new"}


def test_a_disk_without_room_stops_a_run_before_its_first_change(history: History) -> None:
    history.fake_host.program("df", "echo head; echo fs 100 90 10 90% /")
    said = history.run("begin", code=1)
    assert "nothing was changed" in said
    assert "10 KiB left" in said
    assert not (history.place / "begin").exists()


def test_packages_units_and_rules_are_recorded_too(history: History) -> None:
    host = history.fake_host
    host.program("dpkg-query", r"printf 'old\tii 1\nheld\tii 2\n'")
    host.program("iptables-save", "printf '# at\\n*filter\\n:INPUT ACCEPT [1:2]\\nCOMMIT\\n'")
    host.program("systemctl", 'case $1 in list-units) echo "a.service loaded active running A" ;; esac')
    history.run("begin")
    host.program("dpkg-query", r"printf 'held\tii 3\nnew\tii 1\n'")
    host.program("iptables-save", "printf '*filter\\n:INPUT DROP [0:0]\\nCOMMIT\\n'")
    host.program("systemctl")
    history.run("end", "r")
    assert history.table("changed", "packages") == {"old": "ii 1", "held": "ii 2", "new": "-"}
    assert history.table("ours", "packages") == {"old": "-", "held": "ii 3", "new": "ii 1"}
    assert history.table("changed", "active") == {"a.service": "active"}
    assert history.original("firewall4") == "*filter\n:INPUT ACCEPT\nCOMMIT\n"


def test_a_table_that_is_nfts_is_recorded_as_nft_says_it(history: History) -> None:
    host = history.fake_host
    said = "# Table \\`filter' contains incompatible base-chains, use 'nft' tool to list them."
    nat = r"*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n"
    host.program("iptables-save", f'echo "{said}"; printf "*filter\\n:INPUT ACCEPT [0:0]\\nCOMMIT\\n{nat}"')
    native = "table ip filter {\n\tpolicy drop;\n\tct state established,related accept\n}\n"
    host.program("nft", f"""case "$*" in "-s list table ip filter") printf '%s' '{native}' ;; esac""")
    history.run("begin")
    host.program("iptables-save", f"printf '*filter\\n:INPUT DROP [0:0]\\nCOMMIT\\n{nat}'")
    history.run("end", "r")
    assert history.original("firewall4") == nat.replace("\\n", "\n")
    assert history.original("firewall4.nft") == native
    assert not (history.place / "originals/firewall6.nft").exists()


def test_packages_of_a_host_with_rpm_are_recorded_too(history: History) -> None:
    shutil.copy(PROGRAMS / "packages.dnf.sh", history.program.parent / "packages")
    host = history.fake_host
    one = r"old\tnoarch\t0:1-1.el9\nkernel\tx86_64\t0:5.14-2\nkernel\tx86_64\t0:5.14-1\ngpg-pubkey\t(none)\t0:8d8b-5f0e\n"
    host.program("rpm", f"printf '{one}'")
    history.run("begin")
    host.program("rpm", r"printf 'kernel\tx86_64\t0:5.14-2\npostfix\tx86_64\t2:3.5-1\n'")
    history.run("end", "r")
    assert history.table("changed", "packages") == {
        "old.noarch": "ii 0:1-1.el9",
        "kernel.x86_64": "ii 0:5.14-1,0:5.14-2",
        "gpg-pubkey-8d8b-5f0e": "ii 0:8d8b-5f0e",
        "postfix.x86_64": "-",
    }
    assert history.table("ours", "packages")["postfix.x86_64"] == "ii 2:3.5-1"
    assert not [call for call in host.called() if call.startswith("dpkg")]


def test_counters_of_the_packet_filter_are_no_change(history: History) -> None:
    for packets in (1, 2):
        history.fake_host.program(
            "iptables-save", f"printf '*filter\\n:INPUT ACCEPT [{packets}:9]\\nCOMMIT\\n'"
        )
        history.run("begin" if packets == 1 else "end", "r")
    assert history.table("changed", "firewall") == {}


@pytest.mark.parametrize("name", ["record", "restore", "filter", "revert", "packages.apt", "packages.dnf"])
def test_each_program_is_what_a_shell_of_debian_understands(name: str) -> None:
    dash = shutil.which("dash")
    assert dash
    subprocess.run([dash, "-n", str(PROGRAMS / f"{name}.sh")], check=True)


class TestDied:
    """A run that died: what others do from its last moment on is not its doing."""

    @pytest.fixture
    def dead(self, history: History) -> History:
        etc = history.root / "etc"
        (etc / "edited").write_text("before\n")
        (etc / "both").write_text("before\n")
        history.run("begin")
        (etc / "ours").write_text("ours\n")
        (etc / "both").write_text("ours\n")
        history.add("daemon:x:120:120::/:/usr/sbin/nologin\n")
        (history.place / "begin/people/etc").mkdir(parents=True)
        for name in ("passwd", "group", "shadow"):
            shutil.copy(etc / name, history.place / "begin/people/etc" / name)
        (history.place / "begin/written").write_text("/etc/ours\n/etc/both\n")
        # Whose moment it is goes by whole seconds.
        past = time.time() - 100
        os.utime(history.place / "begin/mark", (past, past))
        for name in ("ours", "both"):
            os.utime(etc / name, (past, past))
        return history

    @staticmethod
    def people(history: History) -> None:
        """Do what an administrator does on a host where a deploy has just failed."""
        history.add("alice:x:1001:1001::/home/alice:/bin/bash\n")
        (history.root / "etc/edited").write_text("theirs\n")
        (history.root / "etc/both").write_text("mended\n")
        (history.root / "etc/theirs").write_text("theirs\n")
        (history.root / "root/.ssh").mkdir()
        (history.root / "root/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA alice\n")

    def test_what_people_did_since_is_theirs(self, dead: History) -> None:
        self.people(dead)
        dead.run("died")
        assert not (dead.place / "begin").exists()
        assert {"/etc/both", "/etc/ours"} <= set(dead.table("changed")) | {"/etc/ours"}
        theirs = {"/etc/edited", "/etc/theirs", "/root/.ssh", "/root/.ssh/authorized_keys"}
        assert not theirs & set(dead.table("changed"))
        assert dead.original("etc/both") == "before\n"
        assert "alice" not in (dead.place / "ours/etc/passwd").read_text()
        assert "daemon" in (dead.place / "ours/etc/passwd").read_text()
        # The next run begins with what they did, and makes none of it its own.
        dead.run("begin")
        (dead.root / "etc/more").write_text("ours\n")
        dead.run("end", "r")
        assert not theirs & set(dead.table("changed"))
        assert "/etc/more" in dead.table("changed")
        assert "alice" not in (dead.place / "ours/etc/passwd").read_text()

    def test_a_command_that_may_have_gone_on_is_given_ten_minutes(self, dead: History) -> None:
        (dead.place / "begin/running").touch()
        (dead.root / "etc/late").write_text("by the command\n")
        dead.run("died")
        assert "/etc/late" in dead.table("changed")

    def test_packages_and_units_that_came_since_are_theirs(self, dead: History) -> None:
        info = dead.root / "var/lib/dpkg/info"
        info.mkdir(parents=True)
        packages = dead.program.with_name("packages")
        packages.write_text(packages.read_text().replace("/var/lib/dpkg", f"{dead.root}/var/lib/dpkg"))
        past = time.time() - 200
        for name in ("ours", "theirs"):
            (info / f"{name}.list").write_text(f"/usr/lib/systemd/system/{name}.service\n")
        os.utime(info / "ours.list", (past, past))
        dead.fake_host.program("dpkg-query", "printf 'ours\\tii 1\\ntheirs\\tii 2\\n'")
        dead.fake_host.program(
            "systemctl",
            "case $1 in list-unit-files) printf 'ours.service enabled\\ntheirs.service enabled\\n' ;; esac",
        )
        dead.run("died")
        assert set(dead.table("changed", "packages")) == {"ours"}
        assert set(dead.table("changed", "units")) == {"ours.service"}

    def test_a_run_of_an_older_program_is_left_to_the_next(self, dead: History) -> None:
        (dead.place / "begin/mark").unlink()
        dead.run("died")
        assert (dead.place / "begin").exists()


def test_an_account_that_came_between_two_runs_is_no_deploys(history: History) -> None:
    """A revert takes away the lines that stand in ours and not in originals."""
    history.run("begin")
    history.add("daemon:x:120:120::/:/usr/sbin/nologin\n")
    history.run("end", "r")
    history.add("alice:x:1001:1001::/home/alice:/bin/bash\n")
    history.run("begin")
    history.add("filterd:x:121:121::/:/usr/sbin/nologin\n")
    history.run("end", "r")
    names = [line.split(":")[0] for line in (history.place / "ours/etc/passwd").read_text().splitlines()]
    assert names == ["root", "daemon", "filterd"]
    history.run("begin")
    passwd = history.root / "etc/passwd"
    kept = [line for line in passwd.read_text().splitlines(keepends=True) if not line.startswith("daemon")]
    passwd.write_text("".join(kept))
    history.run("end", "r")
    assert "daemon" not in (history.place / "ours/etc/passwd").read_text()
