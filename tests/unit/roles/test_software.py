"""Packages that go: by patterns, with what needs them known before anything changes. dpkg(1) is the real one, its books are ours."""

import fnmatch
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from roles.hardening.beginning import needed_by
from roles.hardening.defences.software import _ABSENT, _HARMLESS, DEFENCES, hindered
from roles.kinds import HostAnswer, HostState
from roles.managers import DNF
from roles.platforms import PLATFORMS, Platform
from roles.settings import Gateway
from tests.unit.roles.examples import gateway
from tests.unit.roles.hosts import FakeHost

PARANOID = gateway(hardening_level="paranoid")
# What a server has that somebody built on, with what each needs: build-essential's own tree, a web server, libraries of compilers.
USED = {
    "build-essential": "gcc, g++, dpkg-dev, make",
    "make": "",
    "dpkg-dev": "binutils",
    "gcc": "gcc-12",
    "g++": "g++-12, gcc",
    "gcc-12": "gcc-12-base, binutils",
    "g++-12": "gcc-12",
    "gcc-12-base": "",
    "libgcc-s1": "gcc-12-base",
    "binutils": "binutils-x86-64-linux-gnu",
    "binutils-x86-64-linux-gnu": "",
    "clang-14": "",
    "nginx": "nginx-common",
    "nginx-common": "",
    "dovecot-core": "",
    "dovecot-imapd": "dovecot-core",
    "libice6": "x11-common",
    "x11-common": "",
    "exim4": "exim4-daemon-light",
    "exim4-daemon-light": "",
    "bsd-mailx": "exim4-daemon-light",
}
GOING = set(USED) - {
    "make",
    "gcc-12-base",
    "libgcc-s1",
    "libice6",
    "x11-common",
    "exim4",
    "exim4-daemon-light",
    "bsd-mailx",
}

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg"), reason="it asks dpkg(1)")


def books(directory: Path, packages: dict[str, str], *, essential: str = "") -> Path:
    """Write what dpkg(1) knows of a host's packages, each with what it depends on."""
    for folder in ("info", "updates", "triggers"):
        (directory / folder).mkdir(parents=True)
    (directory / "info" / "format").write_text("1\n")
    (directory / "available").touch()
    (directory / "status").write_text(
        "\n".join(
            f"Package: {name}\nStatus: install ok installed\nMaintainer: nobody\nArchitecture: all\nVersion: 1\n"
            + ("Essential: yes\n" if name == essential else "")
            + (f"Depends: {needs}\n" if needs else "")
            + "Description: one\n"
            for name, needs in packages.items()
        )
    )
    for name in packages:
        (directory / "info" / f"{name}.list").write_text("/.\n")
    return directory


def asked(script: str, admin: Path) -> list[str]:
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        env={**os.environ, "DPKG_ADMINDIR": str(admin)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def states(of: Gateway) -> list[HostState]:
    return [
        each
        for defence in DEFENCES
        if defence.stands(of)
        for each in defence.sets
        if isinstance(each, HostState)
    ]


@needs_dpkg
def test_a_used_server_is_cleared_at_once_and_what_others_need_stays(tmp_path: Path) -> None:
    admin = books(tmp_path / "dpkg", USED)
    found = {name for state in states(PARANOID) for name in asked(state.question(PARANOID), admin)}
    assert found == GOING
    assert asked(hindered(PARANOID), admin) == []
    # One remedy for all of them, as one may need another; tried as dpkg tries it.
    (remedy,) = {state.remedy_of(PARANOID) for state in states(PARANOID)}
    asked(remedy.replace("dpkg --remove", "dpkg --simulate --remove"), admin)


@needs_dpkg
@pytest.mark.parametrize(
    ("more", "keep", "said"),
    [
        (
            {"dkms": "gcc, dpkg-dev"},
            (),
            (
                ["binutils", "binutils-x86-64-linux-gnu", "dpkg-dev", "gcc", "gcc-12"],
                "dkms needs dpkg-dev, gcc",
            ),
        ),
        ({}, ("gcc-12",), (["binutils", "binutils-x86-64-linux-gnu"], "gcc-12 needs binutils")),
        (
            {"gcc": "", "site": "nginx"},
            (),
            (["nginx", "nginx-common"], "site needs nginx"),
        ),
        ({"dkms": "gcc-12 | tcc", "tcc": ""}, ("tcc",), ([], "")),
    ],
)
def test_what_something_else_needs_is_told_before(
    more: dict[str, str], keep: tuple[str, ...], said: tuple[list[str], str], tmp_path: Path
) -> None:
    own = gateway(hardening_level="moderate", hardening={"keep_packages": keep})
    admin = books(tmp_path / "dpkg", {**USED, **more})
    assert needed_by(asked(hindered(own), admin)) == said
    # What it says to keep is enough.
    kept = gateway(hardening_level="moderate", hardening={"keep_packages": (*keep, *said[0])})
    assert asked(hindered(kept), admin) == []


@needs_dpkg
def test_what_the_system_cannot_be_without_is_told_so(tmp_path: Path) -> None:
    admin = books(tmp_path / "dpkg", {"gdb": ""}, essential="gdb")
    assert needed_by(asked(hindered(PARANOID), admin)) == (["gdb"], "the system itself needs gdb")


@needs_dpkg
def test_a_level_takes_what_it_says_and_nothing_above(tmp_path: Path) -> None:
    admin = books(tmp_path / "dpkg", {"telnetd": "gcc-12", "gcc-12": "", "site": "gcc-12"})
    lax = gateway(hardening_level="lax")
    assert {state.remedy_of(lax).count("build-essential") for state in states(lax)} == {0}
    assert asked(hindered(lax), admin) == []
    assert asked(hindered(PARANOID), admin) == ["gcc-12 site"]


def test_what_rpm_says_is_read(fake_host: FakeHost) -> None:
    fake_host.program(
        "rpm",
        "case \"$*\" in *--test*) printf 'error: Failed dependencies:\\n\\tgcc is needed by (installed) dkms-3-1.noarch\\n' >&2; exit 1 ;; "
        "*) printf 'gcc\\ngcc-locales\\n' ;; esac",
    )
    assert fake_host.run(DNF.hindered(DNF.there(["gcc*"], but=["*-locales"]))) == "gcc dkms-3-1.noarch\n"
    assert fake_host.called()[-1].endswith("--erase --test gcc")


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_nothing_that_bastide_installs_goes(platform: Platform) -> None:
    own = {name for mta in platform.mta for name in platform.every_package(mta)}
    patterns = [each for _, subject, names in _ABSENT for each in platform.unwanted.get(subject, names)]
    assert [(name, each) for name in own for each in patterns if fnmatch.fnmatch(name, each)] == []
    assert any(fnmatch.fnmatch("gcc-12-base", each) for each in _HARMLESS)


def test_a_compiler_is_found_by_its_path_whatever_is_kept(tmp_path: Path, fake_host: FakeHost) -> None:
    def compilers(*keep: str) -> list[str]:
        own = gateway(hardening_level="moderate", hardening={"keep_packages": keep})
        (asked_of,) = (
            each.question(own)
            for defence in DEFENCES
            for each in defence.sets
            if isinstance(each, HostAnswer)
        )
        where = asked_of.split(" -maxdepth")[0]
        return fake_host.run(asked_of.replace(where, f"find -L {tmp_path}/usr")).splitlines()

    place = tmp_path / "usr" / "bin"
    place.mkdir(parents=True)
    names = ("gcc-12", "x86_64-linux-gnu-gcc-12", "ld", "own-ld", "ld.so", "gcc-ar-12", "cc1")
    for name in names:
        (place / name).write_text("#!/bin/sh\n")
        (place / name).chmod(0o755)
    (place / "cc").symlink_to("gcc-12")
    (place / "as").write_text("no program")
    fake_host.program("dpkg-query", 'case "$2" in */ld) echo "binutils: $2" ;; *) exit 1 ;; esac')
    everyone = [f"{place}/{each}" for each in ("cc", "gcc-12", "ld", "own-ld", "x86_64-linux-gnu-gcc-12")]
    assert compilers() == everyone
    assert compilers("binutils") == [each for each in everyone if not each.endswith("/ld")]
