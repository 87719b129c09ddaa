"""Evidence: what packages and deploys say that they have changed, and to what. Each is compared with what is there now.

Sources: dpkg's log, lists and checksums (dpkg(1), deb-md5sums(5)); the records of deploys (docs/revert.md).
"""

import contextlib
import gzip
import hashlib
import json
import os
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from .database import Change, Entry

DPKG: Final = Path("/var/lib/dpkg")
_LOG: Final = Path("/var/log/dpkg.log")
_RUNS: Final = Path("/var/lib/bastide-history/runs")
# What deploys put there is no file of a package, and too large for their record: releases of the filter.
OURS: Final = "/opt/filterd"
# What dpkg(1) and ucf(1) leave beside a configuration file of yours: the package's version, or the former one.
_BESIDE: Final = (".dpkg-dist", ".dpkg-new", ".ucf-dist")
_FORMER: Final = (".dpkg-old", ".dpkg-bak", ".ucf-old")


# What the log has by whole seconds; and how long a script of a package may run behind its line.
_BEFORE: Final = 2
_AFTER: Final = 300


class Transaction(NamedTuple):
    """What became of a package: its last version and state, and when (seconds since 1970)."""

    package: str
    version: str
    state: str
    ended: float

    def __str__(self) -> str:
        """Return it in words."""
        return f"package {self.package} {self.version}, {self.state} at {_at(self.ended)}"


class Run(NamedTuple):
    """A deploy that changed something, and what it left behind of each path."""

    begun: float
    ended: float
    revision: str
    left: Mapping[str, str]

    def __str__(self) -> str:
        """Return it in words."""
        return f"deploy of {self.revision} at {_at(self.ended)}"


def _at(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def canonical(path: str) -> str:
    """Return a path with its directories' links followed: packages still name /bin, which is a link to /usr/bin."""
    parent, name = os.path.split(path.rstrip("/"))
    return str(Path(os.path.realpath(parent), name))


class Packages:
    """The package manager's books since a moment."""

    def __init__(self, since: float, owners: Mapping[str, str], root: Path = DPKG, log: Path = _LOG) -> None:
        """Take what was whose when the baseline was made: path to package."""
        self._since, self._owners, self._root, self._log = since, owners, root, log
        self.spans: list[float] = []  # moments at which it wrote

    @cached_property
    def touched(self) -> dict[str, Transaction]:
        """The packages that were installed, upgraded, configured or removed."""
        found: dict[str, Transaction] = {}
        for line in self._lines():
            words = line.split()
            try:
                moment = time.mktime(time.strptime(f"{words[0]} {words[1]}", "%Y-%m-%d %H:%M:%S"))
            except (IndexError, ValueError):
                continue
            # The log counts whole seconds.
            if moment < int(self._since):
                continue
            self.spans.append(moment)
            match words[2:]:
                case ["status", ("installed" | "not-installed" | "config-files") as state, package, version]:
                    name = package.partition(":")[0]
                    found[name] = Transaction(name, version, state, moment)
        return found

    def _lines(self) -> Iterator[str]:
        """Give the lines of the log and of those that were rotated away since."""
        older = sorted(self._log.parent.glob(f"{self._log.name}.*"), key=lambda path: path.stat().st_mtime)
        for path in (*older, self._log):
            if path.exists() and path.stat().st_mtime >= self._since:
                opened = gzip.open if path.suffix == ".gz" else open
                # What a damaged one would explain stays a finding.
                with (
                    contextlib.suppress(EOFError, zlib.error, gzip.BadGzipFile),
                    opened(path, "rt", encoding="utf-8", errors="replace") as lines,
                ):
                    yield from lines

    def wrote_at(self, moment: float) -> bool:
        """Say whether the package manager was at work then, give or take the length of a script."""
        return bool(self.touched) and any(-_BEFORE <= moment - each <= _AFTER for each in self.spans)

    def _books(self, package: str, suffix: str) -> Iterator[str]:
        for path in (
            *self._root.glob(f"info/{package}.{suffix}"),
            *self._root.glob(f"info/{package}:*.{suffix}"),
        ):
            yield from path.read_text("utf-8", "surrogateescape").splitlines()

    @cached_property
    def listed(self) -> dict[str, str]:
        """Each path that a package has now, and whose it is; of several the one that was touched."""
        found: dict[str, str] = {}
        parents: dict[str, str] = {}
        for path in self._root.glob("info/*.list"):
            package = path.name.removesuffix(".list").partition(":")[0]
            for each in path.read_text("utf-8", "surrogateescape").splitlines():
                parent, name = os.path.split(each.rstrip("/"))
                if parent not in parents:
                    parents[parent] = os.path.realpath(parent)
                full = f"{parents[parent].rstrip('/')}/{name}"
                if full not in found or package in self.touched:
                    found[full] = package
        return found

    @cached_property
    def sums(self) -> dict[str, set[str]]:
        """The checksums (MD5, which is what packages bring) of the files of touched packages, configuration too."""
        found: dict[str, set[str]] = {}
        for package in self.touched:
            for line in self._books(package, "md5sums"):
                digest, _, name = line.partition("  ")
                found.setdefault(canonical(f"/{name}"), set()).add(digest)
        for line in self._conffiles():
            name, _, digest = line.strip().removesuffix(" obsolete").rpartition(" ")
            found.setdefault(canonical(name), set()).add(digest)
        return found

    def _conffiles(self) -> Iterator[str]:
        if self.touched:
            command = [
                "dpkg-query",
                f"--admindir={self._root}",
                "--show",
                "--showformat=${Conffiles}\n",
                *self.touched,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            yield from (line for line in done.stdout.splitlines() if line.startswith(" /"))

    @cached_property
    def overrides(self) -> dict[str, str]:
        """Modes that the administrator, or a deploy, gave to files of packages (dpkg-statoverride(1))."""
        done = subprocess.run(["dpkg-statoverride", "--list"], capture_output=True, text=True, check=False)
        rows = [line.split(" ", 3) for line in done.stdout.splitlines()]
        return {canonical(path): f"{user} {group} {int(mode, 8):o}" for user, group, mode, path in rows}

    def content(self, change: Change, former: Mapping[str, Entry]) -> str:
        """Return which package explains what is in a path now, or "". ``former``: the baseline."""
        if change.now is None:
            return self._gone(change.path)
        beside = next((change.path.removesuffix(end) for end in _BESIDE if change.path.endswith(end)), "")
        if by := self.touched.get(self.listed.get(beside or change.path, "")):
            return f"{by}" if self._is_its(change.path, change.now, beside) else ""
        before = next((change.path.removesuffix(end) for end in _FORMER if change.path.endswith(end)), "")
        by = self.touched.get(self.listed.get(before, ""))
        if by and before in former and former[before].sha256 == change.now.sha256 != "":
            return f"{by}, which kept the former file"
        return self._own_books(change)

    def _is_its(self, path: str, now: Entry, beside: str) -> bool:
        if now.kind == "f":
            return bool(now.sha256) and fits(path, now, self.sums.get(beside or path, set()))
        if now.kind == "l":
            return self.packaged(path, now)
        return now.kind == "d"

    def packaged(self, path: str, link: Entry) -> bool:
        """Say whether a link leads to what a package has."""
        return canonical(str(Path(path).parent / link.target)) in self.listed

    def owner(self, path: str) -> str:
        """Return whose a path was when the baseline was made, or ""."""
        return self._owners.get(path, "")

    def _gone(self, path: str) -> str:
        owner = self.owner(path)
        if owner in self.touched and path not in self.listed:
            return f"{self.touched[owner]}, which no longer has it"
        return self._own_books(Change(path, None, None))

    def _own_books(self, change: Change) -> str:
        """Return whose list, checksums or script of the package manager's a path is, if that package was touched."""
        path = Path(change.path)
        by = self.touched.get(path.name.rpartition(".")[0].partition(":")[0])
        return f"{by}: its list at the package manager" if by and path.parent == self._root / "info" else ""

    def rights(self, change: Change) -> str:
        """Return why a path has the rights that it has, as far as packages say it, or ""."""
        if change.now is None:
            return "gone"
        if change.was is None and change.now.harmless:
            return "as packages install files"
        uid, gid = change.now.owner.split()
        given = self.overrides.get(change.path)
        return (
            "dpkg-statoverride"
            if given
            and change.now.plain
            and given == f"{_name(uid, 'passwd')} {_name(gid, 'group')} {change.now.mode}"
            else ""
        )


def _name(number: str, table: str) -> str:
    """Return the name of a user or group; the files alone are asked."""
    for line in Path("/etc", table).read_text("utf-8", "replace").splitlines():
        words = line.split(":")
        if words[2:3] == [number]:
            return words[0]
    return number


def fits(path: str, now: Entry, sums: set[str]) -> bool:
    """Say whether a file has one of these MD5 sums, and is still the one that was looked at."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return False
    same = hashlib.sha256(content).hexdigest() == now.sha256
    return same and hashlib.md5(content, usedforsecurity=False).hexdigest() in sums


class Deploys:
    """What deploys filed since a moment."""

    def __init__(self, since: float, runs: Path = _RUNS) -> None:
        self._since, self._place = since, runs

    @cached_property
    def runs(self) -> list[Run]:
        """The deploys that ended since, the last one first."""
        found = [
            run
            for path in sorted(self._place.glob("*"))
            if (run := _run(path)) and run.ended >= int(self._since)
        ]
        return found[::-1]

    def content(self, change: Change) -> str:
        """Return which deploy left a path's content as it is, or ""."""
        run, value = self._left(change.path)
        if not run:
            return self._release(change)
        if change.now is None:
            return str(run) if value == "-" else ""
        kind, _, _, _, *more = [*value.split(" ", 4), "", "", ""]
        told = {"f": change.now.sha256, "l": change.now.target}.get(kind, "")
        same = kind == change.now.kind and more[0] == told and (told or kind not in "fl")
        return str(run) if same else ""

    def rights(self, change: Change) -> str:
        """Return which deploy left a path's mode and owner as they are, or ""."""
        if change.now is None:
            return "gone"
        run, value = self._left(change.path)
        if not run:
            return self._release(change)
        same = value.split(" ")[:4] == [change.now.kind, change.now.mode, *change.now.owner.split()]
        return str(run) if same and change.now.plain else ""

    def _left(self, path: str) -> tuple[Run | None, str]:
        """Return the last deploy that changed a path, and what it left of it."""
        run = next((run for run in self.runs if path in run.left), None)
        return run, run.left[path] if run else ""

    def _release(self, change: Change) -> str:
        """Return the deploy in whose time a path of a release was last changed: the kernel sets that time, not who writes."""
        if not change.path.startswith(f"{OURS}/"):
            return ""
        place = Path(change.path)
        while change.now is None and not os.path.lexists(place):
            place = place.parent
        try:
            changed = place.lstat().st_ctime
        except OSError:
            return ""
        return next((str(run) for run in self.runs if run.begun - 1 <= changed <= run.ended + 1), "")


class Accepted:
    """What the administrator has accepted on this host since a moment: a path, exactly as it was then."""

    def __init__(self, since: float, book: Path) -> None:
        """Read the book; a line that cannot be read accepts nothing."""
        self._told: dict[str, dict[str, Any]] = {}
        try:
            lines = book.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                told = json.loads(line)
                if float(told["when"]) >= since:
                    self._told[told["path"]] = told

    def why(self, change: Change) -> str:
        """Return who accepted a path as it is now, and why, or ""."""
        told = self._told.get(change.path)
        if told is None or told["now"] != (change.now.told() if change.now else {}):
            return ""
        return f"accepted on this host by {told['who']}: {told['reason']}"


def _run(path: Path) -> Run | None:
    told: dict[str, str] = {}
    left: dict[str, str] = {}
    for line in path.read_text("utf-8", "surrogateescape").splitlines():
        match line.split("\t"):
            case [word, value]:
                told[word] = value
            case ["files", key, _, now]:
                left[key.replace("\1", "\n").replace("\2", "\t")] = now
    try:
        return Run(float(told["begun"]), float(told["ended"]), told["revision"], left)
    except (KeyError, ValueError):
        return None
