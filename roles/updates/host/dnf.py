"""The package manager of EL: what is here, what may become newer, and the way back. rpm(8), dnf(8), dnf-versionlock(8).

dnf resolves and installs. The way back is rpm's alone: dnf is Python, and an update may be what breaks that.
"""

import functools
import itertools
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from .machine import HOME, KEPT, TOO_LONG, ran, read, say, written
from .packages import Change, NotBegunError, Package, as_before, way_back

NAME: Final = "rpm"
UPDATER: Final = "dnf"
MEND: Final = "By hand: dnf check; dnf history redo last; dnf remove --duplicates; dnf distro-sync."
# Of the plugin versionlock; an administrator's own lines stay beside ours.
PINS: Final = Path("/etc/dnf/plugins/versionlock.list")
PLACES: Final = ("/var/cache/dnf", "/var/lib/rpm")
_TONIGHT: Final = HOME / "tonight.json"
# The last transaction that did not end and has been dealt with.
_DEALT_WITH: Final = HOME / "dealt-with.json"
_DNF: Final = (
    *("dnf", "-q", "-y", "--setopt=install_weak_deps=False", "--setopt=obsoletes=False"),
    "--setopt=clean_requirements_on_remove=False",
)
# The distribution's Python is dnf's; ours may be another.
_RESOLVING: Final = ("/usr/bin/python3", "-I", "-B", str(Path(__file__).with_name("resolving.py")))
_FETCH_S: Final = 900.0
_FORM: Final = "%{NAME}\\t%{EVR}\\t%{ARCH}\\t%{SOURCERPM}\\n"
# Of which several versions are here at once (dnf.conf(5), installonlypkgs).
_SEVERAL: Final = (
    *("kernel", "installonlypkg(kernel)", "installonlypkg(kernel-module)", "installonlypkg(vm)"),
    "multiversion(kernel)",
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_VERSION: Final = re.compile(r"[A-Za-z0-9.+:~^_-]+")
_HEAD: Final = (
    "# bastide-update: versions after which this gateway did not filter mail; a newer one is not barred\n"
)
_END: Final = "# bastide-update: that was all\n"
_BLOCK: Final = re.compile(re.escape(_HEAD) + "(.*?)" + re.escape(_END), re.DOTALL)


def newer_than(one: str, other: str) -> bool:
    """Whether a version, [epoch:]version-release, is newer than another, as rpm-version(7) has it."""
    parts = [
        (each.rpartition(":")[0] or "0", *each.rpartition(":")[2].split("-", 1)) for each in (one, other)
    ]
    for mine, theirs in zip(*parts, strict=False):
        if order := _compared(mine, theirs):
            return order > 0
    return False


def _compared(one: str, other: str) -> int:
    pieces = (re.findall(r"\d+|[A-Za-z]+|~|\^", each) for each in (one, other))
    for mine, theirs in itertools.zip_longest(*pieces, fillvalue=""):
        if mine != theirs and (order := _rank(mine, theirs)):
            return order
    return 0


def _rank(mine: str, theirs: str) -> int:
    """Return how two pieces stand: a tilde is older than the end, a caret newer than that and older than all else, letters than figures."""

    def key(piece: str) -> tuple[int, int, str]:
        if piece.isdigit():
            return 4, int(piece), ""
        return {"~": 0, "": 1, "^": 2}.get(piece, 3), 0, piece

    return (key(mine) > key(theirs)) - (key(mine) < key(theirs))


@functools.cache
def _several() -> frozenset[str]:
    """Return the names of which several versions are here at once."""
    said = ran("rpm", "-q", "--qf", "%{NAME}\\n", "--whatprovides", *_SEVERAL)[1]
    return frozenset(one for one in said.splitlines() if _NAME.fullmatch(one))


def _key(name: str, version: str, architecture: str) -> str:
    """Return what a package is called in a run's books: its name, and what tells it from others of that name."""
    if name in _several():
        return f"{name}({version})"
    return name if architecture in (os.uname().machine, "noarch") else f"{name}.{architecture}"


def _bare(key: str, architecture: str) -> str:
    return key.partition("(")[0].removesuffix(f".{architecture}")


def installed() -> dict[str, Package]:
    """Return the packages that are here; one that is here twice was being exchanged, and is not whole."""
    found: dict[str, Package] = {}
    for line in sorted(ran("rpm", "-qa", "--qf", _FORM)[1].splitlines()):
        words = line.split("\t")
        if len(words) != 4 or words[0] == "gpg-pubkey":  # noqa: PLR2004 - the fields above
            continue
        name, version, architecture, source = words
        key = _key(name, version, architecture)
        package = Package(version, architecture, source.rsplit("-", 2)[0], whole=key not in found)
        if key in found and newer_than(found[key].version, version):
            package = found[key]._replace(whole=False)
        found[key] = package
    return found


def _unfinished() -> str:
    """Return the number of dnf's last transaction where it did not end and nobody has dealt with it, or ""."""
    said = ran("dnf", "-q", "-C", "history", "info", "last")[1]
    known = dict(re.findall(r"^(Transaction ID|End time) *: *(.*)$", said, re.MULTILINE))
    number = known.get("Transaction ID", "").strip()
    # One that was killed has ended at the beginning of time, by dnf's books; that is 1969 west of Greenwich.
    if not number or not re.search(r"\b(1970|1969)\b", known.get("End time", "1970")):
        return ""
    return "" if read(_DEALT_WITH).get("transaction") == number else number


def _dealt_with() -> None:
    if number := _unfinished():
        written(_DEALT_WITH, json.dumps({"transaction": number}))


def complaint() -> str:
    """Return what a dnf or rpm that died, or an administrator, has left that is not whole, or lacks another package; or ""."""
    code, said = ran("rpmdb", "--verifydb")
    if code:
        return f"rpmdb --verifydb: {said.strip()[-300:] or code}"
    if number := _unfinished():
        return f"dnf's transaction {number} did not end (dnf history info {number})"
    code, said = ran("dnf", "-q", "-C", "check", "--dependencies", "--duplicates")
    return f"dnf check: {said.strip()[-500:] or code}" if code else ""


def unclean() -> bool:
    """Whether something is not whole."""
    return bool(complaint())


def repaired(seconds: float) -> str:
    """Finish what a dnf that died has left; return "" or what is still wrong. ``seconds``: what each step may take."""
    if not unclean():
        return ""
    say("an earlier installation was interrupted: it is being finished")
    steps: list[Callable[[], tuple[int, str]]] = []
    if ran("rpmdb", "--verifydb")[0]:
        steps.append(lambda: ran("rpm", "--rebuilddb", loud=True, seconds=seconds))
    if number := _unfinished():
        steps.append(lambda: ran(*_DNF, "history", "redo", number, loud=True, seconds=seconds))
    steps.append(lambda: _made_whole(seconds))
    hung = ""
    for step in steps:
        code, said = step()
        if code == TOO_LONG:
            hung = said
            break
    _dealt_with()
    return " ".join(filter(None, (hung, complaint())))


def _made_whole(seconds: float) -> tuple[int, str]:
    """Have of each package that is here twice the newer version alone, its scripts done."""
    files = [kept(name, one) for name, one in installed().items() if not one.whole]
    if words := [str(file) for file in files if file]:
        return _rpm("--upgrade", *words, seconds=seconds)
    return 0, ""


def _rpm(verb: str, *words: str, seconds: float) -> tuple[int, str]:
    """Run rpm(8): --upgrade takes files, whatever is here of those packages; --erase names."""
    more = ("--oldpackage", "--replacepkgs", "--replacefiles") if verb == "--upgrade" else ("--allmatches",)
    return ran("rpm", verb, *more, "--nodeps", *words, loud=True, seconds=seconds)


def left_by_a_crash() -> None:
    """Remove what a dead run left that is in everybody's way: nothing; locks of rpm and dnf die with who holds them."""


def refreshed() -> str:
    """Have the repositories' lists fresh; return "" or why they are not."""
    # A repository may be declared as one that need not answer; then each night would succeed.
    words = ("dnf", "-q", "--refresh", "--setopt=*.skip_if_unavailable=False", "makecache")
    code, said = ran(*words, seconds=1800)
    return f"dnf makecache: {said.strip()[-500:] or code}" if code else ""


def _resolved(question: str, **given: object) -> Any:  # noqa: ANN401 - JSON
    """Return what resolving.py answers. Raises NotBegunError where it does not."""
    try:
        done = subprocess.run(
            (*_RESOLVING, question), input=json.dumps(given), capture_output=True, text=True,
            errors="replace", check=False, timeout=_FETCH_S,
        )  # fmt: skip
        return json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    except ValueError:
        why = (done.stderr or done.stdout).strip()[-500:] or f"exit code {done.returncode}"
    raise NotBegunError("updates cannot be looked for", f"dnf's resolver: {why}")


def candidates() -> dict[str, tuple[str, str]]:
    """Return all that is newer somewhere: by name, the version that is here and the new one. Raises NotBegunError."""
    now = installed()
    keyed = ((_key(name, version, arch), version) for name, arch, version in _resolved("candidates"))
    return {key: (now[key].version if key in now else "", version) for key, version in keyed}


def let_in(declared: Mapping[str, Any], left: dict[str, str]) -> list[str]:
    """Return what dnf would upgrade without what is left out, and have `upgraded` do just that. Raises NotBegunError.

    What is wanted and cannot be installed beside what is here is left out too, and said.
    """
    names = sorted({key.partition("(")[0].removesuffix(".i686") for key in left})
    given = {"which": declared["which"], "repositories": declared["repositories"], "left": names}
    found = _resolved("plan", **given)
    now = installed()
    here = {_bare(key, one.architecture) for key, one in now.items()}
    # What is new comes as others need it.
    upgrades = {_key(n, v, a): f"{n}-{v}.{a}" for n, a, v in found["installs"] if n in here}
    for name, arch, version in found["wanted"]:
        if (key := _key(name, version, arch)) not in upgrades:
            left.setdefault(key, f"dnf finds no way to install {version} beside what is here")
    written(_TONIGHT, json.dumps(upgrades))
    return sorted(upgrades)


def upgraded(seconds: float) -> tuple[int, str]:
    """Install what `let_in` let in; return the exit code, and what was said."""
    return ran(*_DNF, "upgrade", *read(_TONIGHT).values(), loud=True, seconds=seconds)


def brought(versions: Mapping[str, str], seconds: float) -> tuple[int, str]:
    """Install these versions; return the exit code, and what was said."""
    names = [f"{key.partition('(')[0].removesuffix('.i686')}-{one}" for key, one in versions.items()]
    return ran(*_DNF, "upgrade", *names, loud=True, seconds=seconds)


def automatic() -> list[str]:
    """Return the packages whose mark, that they came for others' sake, is to be set again: dnf keeps it itself."""
    return []


def marked(_names: Iterable[str]) -> None:
    """Have these be packages that came for others' sake: dnf keeps it itself."""


def _file_name(name: str, package: Package) -> str:
    version = package.version.rpartition(":")[2]
    return f"{_bare(name, package.architecture)}-{version}.{package.architecture}.rpm"


def kept(name: str, package: Package) -> Path | None:
    """Return the .rpm of a package's present version, fetched if need be; None where nobody has it any more.

    It is the one that was installed, to the digest of its header, which holds that of its files.
    """
    target = KEPT / _file_name(name, package)
    full = f"{_bare(name, package.architecture)}-{package.version}.{package.architecture}"
    for fetched in (False, True):
        if fetched:
            ran("dnf", "-q", "download", "--destdir", str(KEPT), full, seconds=_FETCH_S)
        if _same(target, full):
            return target
        target.unlink(missing_ok=True)
    return None


def _same(file: Path, full: str) -> bool:
    """Whether a file is whole, and what the package that is here was installed from."""
    digest = ("--qf", "%{SHA256HEADER}\\n")
    code, said = ran("rpm", "-qp", "--nosignature", *digest, str(file))
    known = ran("rpm", "-q", *digest, full)[1].split()
    same = not code and said.split()[-1:] == known[-1:]
    return same and not ran("rpmkeys", "-K", "--nosignature", str(file))[0]


def tidied(stays: Mapping[str, Change], now: Mapping[str, Package]) -> None:
    """Keep the .rpms of what was installed and of what was before it; older ones of these packages go."""
    for name in (name for name in stays if name in now):
        bare = _bare(name, now[name].architecture)
        wanted = [f"{bare}-{one.rpartition(':')[2]}" for one in stays[name] if one]
        for file in KEPT.glob("*.rpm"):
            stem = file.name.removesuffix(".rpm").rpartition(".")[0]
            if stem.rsplit("-", 2)[0] == bare and stem not in wanted:
                file.unlink()
        kept(name, now[name])


def taken_back(
    what: Mapping[str, Change], now: Mapping[str, Package], _came: Iterable[str], seconds: float
) -> list[str]:
    """Put back the versions of before, from what was kept, and remove what came new. Returns what is not as it was all the same.

    ``seconds``: what each step may take; a script of the broken version may hang here too.
    """
    say(f"taking back {', '.join(sorted(what))}")
    if files := way_back(
        what, now, (os.uname().machine, "noarch"), lambda name, one: KEPT / _file_name(name, one)
    ):
        # A script of the broken version may fail or hang: then without any.
        for words in ((), ("--noscripts", "--notriggers")):
            if not _rpm("--upgrade", *words, *files, seconds=seconds)[0]:
                break
    new = [
        f"{_bare(name, now[name].architecture)}-{now[name].version}.{now[name].architecture}"
        for name, change in what.items()
        if not change.before and name in now
    ]
    if new and _rpm("--erase", *new, seconds=seconds)[0]:
        _rpm("--erase", "--noscripts", "--notriggers", *new, seconds=seconds)
    _dealt_with()
    wrong = as_before(what, installed())
    if wrong:
        say(f"not taken back: {'; '.join(wrong)}")
    return wrong


def pinned(text: str) -> list[tuple[str, str]]:
    """Return what is barred: names and versions."""
    found = _BLOCK.search(text)
    return re.findall(r"^!(\S+)-([^-\s]+-[^-\s]+)\.\*$", found[1], re.MULTILINE) if found else []


def barred(
    text: str, guilty: Mapping[str, str], now: Mapping[str, str], newer: Callable[[str, str], bool]
) -> str:
    """Return the text of `PINS` that bars these versions and those barred before, unless a newer one is installed."""
    old = {name: one for name, one in pinned(text) if not (name in now and newer(now[name], one))}
    every = old | {key.partition("(")[0].removesuffix(".i686"): one for key, one in guilty.items()}
    fit = {name: one for name, one in every.items() if _NAME.fullmatch(name) and _VERSION.fullmatch(one)}
    lines = "".join(f"!{name}-{one}.*\n" for name, one in sorted(fit.items()))
    theirs = _BLOCK.sub("", text)
    if theirs and not theirs.endswith("\n"):
        theirs += "\n"
    return theirs + (_HEAD + lines + _END if lines else "")


def sources(declared: Mapping[str, Any]) -> list[str]:
    """Return the enabled repositories that give out what is to be installed. Raises NotBegunError."""
    return [
        f"repo={name}, {'its advisories say what is for security' if advises else 'all of it, as declared'}"
        for name, advises in _resolved("sources")
        if advises or name in declared["repositories"]
    ]


def wants_reboot() -> bool:
    """Whether what was updated since the boot is in force by a reboot alone (dnf-plugins-core, needs-restarting)."""
    code, said = ran("dnf", "-q", "-C", "needs-restarting", "--reboothint")
    return code == 1 and "Reboot is required" in said
