"""Packages: what is here, what may become newer, and the way back. dpkg(1), apt-get(8), apt_preferences(5)."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from .machine import (
    ARCHIVES,
    KEPT,
    QUIET,
    ran,
    say,
    written,
)

_KEEP_CONFIGURATION: Final = (
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
)
APT: Final = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", *_KEEP_CONFIGURATION)
# What pins and settings may hold of a package's name and version (Debian Policy 5.6.1, 5.6.12).
POLICY: Final = Path("/usr/sbin/policy-rc.d")
_OURS: Final = "bastide-update"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.:-]+")
_VERSION: Final = re.compile(r"[A-Za-z0-9.+:~-]+")


class Package(NamedTuple):
    """One package as dpkg has it."""

    version: str
    architecture: str
    source: str
    whole: bool  # installed and configured


class Change(NamedTuple):
    """What became of a package; "" is: it is not there."""

    before: str
    after: str


def installed() -> dict[str, Package]:
    """Return the packages whose files are here, also those that are not configured; apt's names, without our architecture."""
    form = "${binary:Package}\t${Version}\t${Architecture}\t${source:Package}\t${db:Status-Abbrev}\n"
    native = f":{ran('dpkg', '--print-architecture')[1].strip()}"
    found = {}
    for line in ran("dpkg-query", "-W", "-f", form)[1].splitlines():
        words = line.split("\t")
        if len(words) == 5 and words[4][1:2] not in ("n", "c"):  # noqa: PLR2004 - the fields above
            found[words[0].removesuffix(native)] = Package(
                words[1], words[2], words[3], words[4].strip() in ("ii", "hi")
            )
    return found


def changes(before: Mapping[str, str], now: Mapping[str, Package]) -> dict[str, Change]:
    """Return what is not as it was: other versions, new packages, packages gone, and any that is not whole."""
    found = {
        name: Change(before.get(name, ""), one.version)
        for name, one in now.items()
        if before.get(name) != one.version or not one.whole
    }
    return found | {name: Change(version, "") for name, version in before.items() if name not in now}


@contextmanager
def nothing_starts() -> Iterator[None]:
    """Let no package start or stop a daemon for the block (invoke-rc.d(8), policy-rc.d).

    A daemon that does not start would fail its package, or have it wait for minutes. What is to run is started
    afterwards. An administrator's own policy stays.
    """
    left_by_a_crash()
    own = not POLICY.exists()
    if own:
        written(
            POLICY,
            f"#!/bin/sh\n# {_OURS}: nothing starts while packages are being put right\nexit 101\n",
            0o755,
        )
    try:
        yield
    finally:
        if own:
            POLICY.unlink(missing_ok=True)


def left_by_a_crash() -> None:
    """Remove a policy of ours that a dead run left."""
    if POLICY.exists() and _OURS in POLICY.read_text(errors="replace"):
        POLICY.unlink()


def repaired() -> str:
    """Finish what a dpkg that died has left; return "" or what is still wrong."""
    if ran("dpkg", "--audit")[1].strip() or ran("apt-get", "-q", "check")[0]:
        say("an earlier installation was interrupted: it is being finished")
        with nothing_starts():
            ran("dpkg", "--force-confdef", "--force-confold", "--configure", "-a", loud=True)
            ran(*APT, "-f", "install", loud=True)
    return ran("dpkg", "--audit")[1].strip()


def simulated(text: str) -> dict[str, tuple[str, str]]:
    """Return what `apt-get -s` would upgrade: by name, the version that is here and the new one."""
    lines = re.findall(r"^Inst (\S+) \[([^\]]+)\] \((\S+) ", text, re.MULTILINE)
    return {name: (old, new) for name, old, new in lines}


def allowed(text: str) -> list[str] | None:
    """Return what `unattended-upgrade --dry-run -v` would upgrade; None where it does not say."""
    found = re.search(r"Packages that will be upgraded: ?(.*)$", text, re.MULTILINE)
    if found:
        return found.group(1).split()
    return [] if "No packages found that can be upgraded" in text else None


def archive_name(name: str, package: Package) -> str:
    """Return the file name that apt gives a package."""
    return f"{name.partition(':')[0]}_{package.version.replace(':', '%3a')}_{package.architecture}.deb"


def kept(name: str, package: Package) -> Path | None:
    """Return a .deb of a package's present version, fetched if need be; None where nobody has it any more."""
    target = KEPT / archive_name(name, package)
    if not target.exists() and (found := ARCHIVES / target.name).exists():
        shutil.copyfile(found, target.with_suffix(".part"))
        target.with_suffix(".part").replace(target)
    if not target.exists():
        subprocess.run(
            ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", f"{name}={package.version}"),
            cwd=KEPT, env={**os.environ, **QUIET}, check=False, capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    code, said = ran("dpkg-deb", "-f", str(target), "Version")
    if code or said.split()[-1:] != [package.version]:
        target.unlink(missing_ok=True)
        return None
    return target


def tidied(stays: Mapping[str, Change], now: Mapping[str, Package]) -> None:
    """Keep the .debs of what was installed and of what was before it; older ones of these packages go, here and in apt's cache."""
    for name in (name for name in stays if name in now):
        wanted = [archive_name(name, now[name]._replace(version=one)) for one in stays[name] if one]
        for file in KEPT.glob(f"{name.partition(':')[0]}_*.deb"):
            if file.name not in wanted:
                file.unlink()
        kept(name, now[name])
    ran("apt-get", "-q", "autoclean")


def taken_back(what: Mapping[str, Change], now: Mapping[str, Package], automatic: Iterable[str]) -> None:
    """Put back the versions of before, from what was kept, and remove what came new."""
    files = []
    lacking = []
    for name, change in what.items():
        if change.before:
            package = now.get(name) or Package(
                "", ran("dpkg", "--print-architecture")[1].strip(), "", whole=False
            )
            likely = (package, package._replace(architecture="all"))
            found = (KEPT / archive_name(name, one._replace(version=change.before)) for one in likely)
            there = [str(path) for path in found if path.exists()][:1]
            files += there
            lacking += [] if there else [f"{name} {change.before}"]
    options = (
        "--force-downgrade",
        "--force-confdef",
        "--force-confold",
        "--force-remove-reinstreq",
        "--auto-deconfigure",
    )
    say(f"taking back {', '.join(sorted(what))}")
    if lacking:
        say(f"there is no .deb any more of {', '.join(sorted(lacking))}")
    with nothing_starts():
        if files:
            code, _ = ran("dpkg", *options, "--install", *files, loud=True)
            # A script of the broken version may have failed, after which its files are those of before.
            if code:
                ran("dpkg", *options, "--install", *files, loud=True)
        if new := [name for name, change in what.items() if not change.before]:
            ran("dpkg", "--force-remove-reinstreq", "--purge", *new, loud=True)
    repaired()
    marked = sorted(set(what) & set(automatic))
    if marked:
        ran("apt-mark", "auto", *marked)


def barred(
    text: str, guilty: Mapping[str, str], now: Mapping[str, str], newer: Callable[[str, str], bool]
) -> str:
    """Return apt_preferences(5) that bar these versions and those barred before, unless a newer one is installed."""
    old = re.findall(r"^Package: (\S+)\nPin: version (\S+)$", text, re.MULTILINE)
    every = {
        name: version for name, version in old if not (name in now and newer(now[name], version))
    } | dict(guilty)
    fit = {name: one for name, one in every.items() if _NAME.fullmatch(name) and _VERSION.fullmatch(one)}
    head = "# Written by bastide-update: versions after which this gateway did not filter mail. A newer one is not barred.\n"
    return head + "".join(
        f"\nPackage: {name}\nPin: version {one}\nPin-Priority: -1\n" for name, one in sorted(fit.items())
    )


def newer_than(one: str, other: str) -> bool:
    """Whether a version is newer than another, as dpkg compares them."""
    return ran("dpkg", "--compare-versions", one, "gt", other)[0] == 0
