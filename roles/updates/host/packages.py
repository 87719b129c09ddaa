"""Packages: what is here, what may become newer, and the way back. dpkg(1), apt-get(8), apt_preferences(5)."""

import fcntl
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from .machine import (
    ARCHIVES,
    KEPT,
    TOO_LONG,
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
# apt(8) takes it for as long as it works; dpkg does not wait for it, and gives up.
_LOCK: Final = Path("/var/lib/dpkg/lock-frontend")
_LOCK_S: Final = 300.0
_FETCH_S: Final = 900.0
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


def unclean() -> bool:
    """Whether a dpkg that died, or an administrator, has left packages that are not whole, or lack another."""
    return bool(ran("dpkg", "--audit")[1].strip() or ran("apt-get", "-q", "check")[0])


def repaired(seconds: float) -> str:
    """Finish what a dpkg that died has left; return "" or what is still wrong. ``seconds``: what each step may take."""
    hung = ""
    if unclean():
        say("an earlier installation was interrupted: it is being finished")
        configure = ("dpkg", "--force-confdef", "--force-confold", "--configure", "-a")
        with nothing_starts():
            # What was removed has no way back.
            for words in (configure, (*APT, "--no-remove", "-f", "install")):
                code, said = ran(*words, loud=True, seconds=seconds)
                if code == TOO_LONG:
                    hung = said
                    break
    return " ".join(filter(None, (hung, ran("dpkg", "--audit")[1].strip())))


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
        fetch = 'cd "$1" && exec apt-get -q -o APT::Sandbox::User=root download "$2"'
        ran("sh", "-c", fetch, "sh", str(KEPT), f"{name}={package.version}", seconds=_FETCH_S)
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


@contextmanager
def _locked() -> Iterator[None]:
    """Have no other package manager at work for the block; wait for one that is, and go on without if it does not end."""
    with _LOCK.open("a") as file:
        until = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    say("another package manager is at work and does not end")
                    break
                time.sleep(1)
        yield


def _way_back(what: Mapping[str, Change], now: Mapping[str, Package]) -> list[str]:
    """Return the .debs of before, and say of what there is none."""
    native = ran("dpkg", "--print-architecture")[1].strip()
    files = []
    lacking = []
    for name, change in what.items():
        if change.before:
            package = now.get(name) or Package("", native, "", whole=False)
            likely = (package, package._replace(architecture="all"))
            found = (KEPT / archive_name(name, one._replace(version=change.before)) for one in likely)
            there = [str(path) for path in found if path.exists()][:1]
            files += there
            lacking += [] if there else [f"{name} {change.before}"]
    if lacking:
        say(f"there is no .deb any more of {', '.join(sorted(lacking))}")
    return files


def taken_back(
    what: Mapping[str, Change], now: Mapping[str, Package], automatic: Iterable[str], seconds: float
) -> list[str]:
    """Put back the versions of before, from what was kept, and remove what came new. Returns what is not as it was all the same.

    ``seconds``: what each step may take; a script of the broken version may hang here too.
    """
    options = (
        "--force-downgrade",
        "--force-confdef",
        "--force-confold",
        "--force-remove-reinstreq",
        "--auto-deconfigure",
    )
    say(f"taking back {', '.join(sorted(what))}")
    files = _way_back(what, now)
    new = [name for name, change in what.items() if not change.before]
    with nothing_starts(), _locked():
        # A script of the broken version may have failed or hung, after which its files are those of before.
        for _ in range(2 if files else 0):
            if not _dpkg(*options, "--install", *files, seconds=seconds):
                break
        if new:
            _dpkg("--force-remove-reinstreq", "--purge", *new, seconds=seconds)
    repaired(seconds)
    marked = sorted(set(what) & set(automatic))
    if marked:
        ran("apt-mark", "auto", *marked)
    left = installed()
    wrong = [
        f"{name} is {left[name].version if name in left else 'not installed'} and was to be {change.before or 'removed'}"
        for name, change in sorted(what.items())
        if (left[name].version if name in left and left[name].whole else "") != change.before
    ]
    if wrong:
        say(f"not taken back: {'; '.join(wrong)}")
    return wrong


def _dpkg(*words: str, seconds: float) -> int:
    """Run dpkg(1) under the lock that is ours already; return its exit code."""
    return ran("dpkg", *words, loud=True, seconds=seconds, DPKG_FRONTEND_LOCKED="1")[0]


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
