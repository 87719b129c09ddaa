"""Packages: what is here, what may become newer, and the way back. dpkg(1), apt-get(8), apt_preferences(5)."""

import fcntl
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from .machine import HOME, KEPT, TOO_LONG, ran, say, written
from .packages import Change, NotBegunError, Package, as_before, way_back

NAME: Final = "dpkg"
UPDATER: Final = "unattended-upgrade"
MEND: Final = "By hand: dpkg --configure -a, then apt-get -f install."
PINS: Final = HOME / "preferences"
LEFT_OUT: Final = HOME / "apt.conf"
_ARCHIVES: Final = Path("/var/cache/apt/archives")
# apt knows how much room it needs; beside it logs, queue and our own files grow.
PLACES: Final = (str(_ARCHIVES), "/var/lib/dpkg")

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


def complaint() -> str:
    """Return what a dpkg that died, or an administrator, has left that is not whole, or lacks another package; or ""."""
    if said := ran("dpkg", "--audit")[1].strip():
        return said
    code, said = ran("apt-get", "-q", "check")
    return said.strip()[-500:] or "apt-get check fails" if code else ""


def unclean() -> bool:
    """Whether something is not whole."""
    return bool(complaint())


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


def refreshed() -> str:
    """Have the repositories' lists fresh; return "" or why they are not."""
    # Without this apt takes old lists for good enough, and says so with 0.
    code, said = ran("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update", seconds=1800)
    if not code:
        return ""
    why = " ".join(re.findall(r"^[WE]: (.*)$", said, re.MULTILINE))[:500] or said[-300:]
    return f"apt-get update: {why}"


def candidates() -> dict[str, tuple[str, str]]:
    """Return all that is newer somewhere: by name, the version that is here and the new one."""
    return simulated(ran("apt-get", "-s", "dist-upgrade")[1])


def allowed(text: str) -> list[str] | None:
    """Return what `unattended-upgrade --dry-run -v` would upgrade; None where it does not say."""
    found = re.search(r"Packages that will be upgraded: ?(.*)$", text, re.MULTILINE)
    if found:
        return found.group(1).split()
    return [] if "No packages found that can be upgraded" in text else None


def let_in(_declared: Mapping[str, Any], left: Mapping[str, str]) -> list[str]:
    """Return what unattended-upgrades lets in without ``left``, which `upgraded` leaves out too. Raises NotBegunError."""
    lines = "".join(f'  "^{re.escape(name)}$";\n' for name in sorted(left)).replace("\\", "\\\\")
    # Files that a deploy has changed stay as they are: otherwise such packages would be passed over without a word.
    keep = 'DPkg::Options { "--force-confdef"; "--force-confold"; };\n'
    written(LEFT_OUT, f"Unattended-Upgrade::Package-Blacklist {{\n{lines}}};\n{keep}")
    code, said = ran(UPDATER, "--dry-run", "-v", APT_CONFIG=str(LEFT_OUT))
    names = allowed(said)
    if code or names is None:
        raise NotBegunError(
            "updates cannot be looked for", f"{UPDATER} --dry-run: {said.strip()[-500:] or code}"
        )
    return names


def upgraded(seconds: float) -> tuple[int, str]:
    """Install what `let_in` let in; return the exit code, and what was said."""
    return ran(UPDATER, "-v", loud=True, seconds=seconds, APT_CONFIG=str(LEFT_OUT))


def brought(versions: Mapping[str, str], seconds: float) -> tuple[int, str]:
    """Install these versions; return the exit code, and what was said."""
    words = (*APT, "--no-remove", "--no-install-recommends", "install")
    return ran(*words, *(f"{name}={one}" for name, one in versions.items()), loud=True, seconds=seconds)


def automatic() -> list[str]:
    """Return the packages that came for others' sake."""
    return ran("apt-mark", "showauto")[1].split()


def marked(names: Iterable[str]) -> None:
    """Have these be packages that came for others' sake."""
    if words := sorted(names):
        ran("apt-mark", "auto", *words)


def archive_name(name: str, package: Package) -> str:
    """Return the file name that apt gives a package."""
    return f"{name.partition(':')[0]}_{package.version.replace(':', '%3a')}_{package.architecture}.deb"


def kept(name: str, package: Package) -> Path | None:
    """Return a .deb of a package's present version, fetched if need be; None where nobody has it any more."""
    target = KEPT / archive_name(name, package)
    if not target.exists() and (found := _ARCHIVES / target.name).exists():
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


def taken_back(
    what: Mapping[str, Change], now: Mapping[str, Package], came: Iterable[str], seconds: float
) -> list[str]:
    """Put back the versions of before, from what was kept, and remove what came new. Returns what is not as it was all the same.

    ``came``: packages that came for others' sake. ``seconds``: what each step may take; a script of the broken version may hang
    here too.
    """
    options = (
        "--force-downgrade",
        "--force-confdef",
        "--force-confold",
        "--force-remove-reinstreq",
        "--auto-deconfigure",
    )
    say(f"taking back {', '.join(sorted(what))}")
    files = way_back(
        what,
        now,
        (ran("dpkg", "--print-architecture")[1].strip(), "all"),
        lambda name, one: KEPT / archive_name(name, one),
    )
    new = [name for name, change in what.items() if not change.before]
    with nothing_starts(), _locked():
        # A script of the broken version may have failed or hung, after which its files are those of before.
        for _ in range(2 if files else 0):
            if not _dpkg(*options, "--install", *files, seconds=seconds):
                break
        if new:
            _dpkg("--force-remove-reinstreq", "--purge", *new, seconds=seconds)
    repaired(seconds)
    marked(set(what) & set(came))
    wrong = as_before(what, installed())
    if wrong:
        say(f"not taken back: {'; '.join(wrong)}")
    return wrong


def _dpkg(*words: str, seconds: float) -> int:
    """Run dpkg(1) under the lock that is ours already; return its exit code."""
    return ran("dpkg", *words, loud=True, seconds=seconds, DPKG_FRONTEND_LOCKED="1")[0]


def pinned(text: str) -> list[tuple[str, str]]:
    """Return what is barred: names and versions."""
    return re.findall(r"^Package: (\S+)\nPin: version (\S+)$", text, re.MULTILINE)


def barred(
    text: str, guilty: Mapping[str, str], now: Mapping[str, str], newer: Callable[[str, str], bool]
) -> str:
    """Return apt_preferences(5) that bar these versions and those barred before, unless a newer one is installed."""
    every = {
        name: version for name, version in pinned(text) if not (name in now and newer(now[name], version))
    } | dict(guilty)
    fit = {name: one for name, one in every.items() if _NAME.fullmatch(name) and _VERSION.fullmatch(one)}
    head = "# Written by bastide-update: versions after which this gateway did not filter mail. A newer one is not barred.\n"
    return head + "".join(
        f"\nPackage: {name}\nPin: version {one}\nPin-Priority: -1\n" for name, one in sorted(fit.items())
    )


def newer_than(one: str, other: str) -> bool:
    """Whether a version is newer than another, as dpkg compares them."""
    return ran("dpkg", "--compare-versions", one, "gt", other)[0] == 0


def sources(declared: Mapping[str, Any]) -> list[str]:
    """Return the release lines of `apt-cache policy` that a declared pattern takes."""
    found: list[str] = []
    short = {"o": "origin", "a": "suite", "n": "codename", "l": "label", "c": "component", "v": "version"}
    # Without its caches: an audit asks this, and their age says when the lists were fetched.
    policy = ran("apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy")[1]
    for line in re.findall(r"^\s+release (.*)$", policy, re.MULTILINE):
        pairs = (part.partition("=") for part in line.split(","))
        known = {short.get(key, key): value for key, _, value in pairs} | {"archive": ""}
        known["archive"] = known.get("suite", "")
        for pattern in declared["security"]:
            if all(
                known.get(key) == value
                for key, _, value in (part.partition("=") for part in pattern.split(","))
            ):
                found.append(line)
                break
    return list(dict.fromkeys(found))


def wants_reboot() -> bool:
    """Whether what is installed asks for a reboot; Debian's packages say so themselves, in /run/reboot-required."""
    return False
