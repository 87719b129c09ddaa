"""Whose home a directory is: one that is the system's, root's or another account's too is never shut for everybody else."""

import os
import subprocess
from pathlib import Path

import pytest

from roles.hardening.homes import NOT_THEIRS, OPEN, SHUT

# Homes that people's accounts have in earnest, beside those of their own: chroots of sftp's, and what a daemon shares.
SHARED = ("/", "/home", "/srv", "/opt", "/var", "/home/../srv/")


def asked(script: str, passwd: Path) -> list[str]:
    done = subprocess.run(
        ["sh", "-e", "-c", script.replace("/etc/passwd", str(passwd))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory that others can go through, unlike pytest's own."""
    tmp_path.chmod(0o755)
    return tmp_path


def made(path: Path, owner: int) -> Path:
    path.mkdir(parents=True)
    path.chmod(0o755)
    os.chown(path, owner, owner)
    return path


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it gives directories to others")


@pytest.mark.parametrize("home", SHARED)
def test_what_is_the_systems_is_nobodys_to_shut(home: str, tmp_path: Path) -> None:
    passwd = tmp_path / "passwd"
    passwd.write_text(
        f"root:x:0:0::/root:/bin/sh\nodd:x:{Path(home).stat().st_uid or 1001}:1001::{home}:/bin/sh\n"
    )
    before = Path(home).stat().st_mode
    assert str(Path(home).resolve()) not in asked(OPEN, passwd)
    # Shut by nobody here either way: the question is what the remedy goes by.
    assert SHUT.replace("-exec chmod go-rwx {} +", "-print") == OPEN
    assert Path(home).stat().st_mode == before
    assert str(Path(home).resolve()) in asked(NOT_THEIRS, passwd)


def test_a_home_that_root_owns_or_another_lives_in_is_left_alone_and_named(place: Path) -> None:
    own = made(place / "own home", 1001)
    chroot = made(place / "chroot", 0)
    above = made(place / "above", 1003)
    below = made(above / "below", 1004)
    both = made(place / "both", 1005)
    vmail = made(place / "mail", 1007)
    passwd = place / "passwd"
    passwd.write_text(
        "root:x:0:0::/root:/bin/sh\n"
        f"own:x:1001:1001::{own}/:/bin/sh\nsftp:x:1002:1002::{chroot}:/bin/false\nabove:x:1003:1003::{above}:/bin/sh\n"
        f"below:x:1004:1004::{below}:/bin/sh\none:x:1005:1005::{both}:/bin/sh\ntwo:x:1006:1006::{both}:/bin/sh\n"
        f"mailer:x:1007:1007::{vmail}:/bin/sh\nvirtual:x:120:120::{vmail}/boxes:/bin/false\n"
        "gone:x:1008:1008::/not/there:/bin/sh\nnone:x:1009:1009:::/bin/sh\n"
    )
    found = asked(OPEN, passwd)
    assert {str(own), str(below)} <= set(found)
    assert not {str(chroot), str(above), str(both), str(vmail)} & set(found)
    assert {str(chroot), str(above), str(both), str(vmail)} == {
        each for each in asked(NOT_THEIRS, passwd) if each.startswith(str(place))
    }
    asked(SHUT.replace("/root", "/not/there"), passwd)
    assert [mode(each) for each in (own, below)] == ["700", "700"]
    assert [mode(each) for each in (chroot, above, both, vmail)] == ["755"] * 4
    assert not {str(own), str(below)} & set(asked(OPEN, passwd))


def test_a_host_without_accounts_was_not_asked(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", OPEN.replace("/etc/passwd", str(tmp_path / "none"))], capture_output=True, check=False
    )
    assert done.returncode != 0
