"""A look: the engine compares, each difference is explained or a finding, and what is explained becomes the baseline."""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from . import baseline, derived, special
from .baseline import DATABASE, Baseline
from .database import Change, Database, DatabaseError, Entry, changes, merged, read
from .evidence import Accepted, Deploys, Packages

CONFIG: Final = Path("/etc/aide/aide.conf")
ACCEPTED: Final = "accepted"
_AIDE: Final = "/usr/bin/aide"
# aide(1): bits for what came, went and is different; all beyond are errors.
_DIFFERENT: Final = 7
_SECONDS: Final = 3600
# The lock of bastide-update (roles/updates/host/machine.py), and how long a look waits for it.
UPDATES: Final = Path("/run/bastide-update.lock")
_WAITED: Final = 3600
_AGAIN: Final = 5


class Finding(NamedTuple):
    """What nobody explains: a path, what is different, what it was and is, when and by whom, and what is explained of it."""

    path: str
    what: str
    differs: tuple[str, ...] = ()
    was: Mapping[str, str] = {}
    now: Mapping[str, str] = {}
    modified: str = ""
    changed: str = ""
    who: str = ""
    note: str = ""


class Look(NamedTuple):
    """What a look found; ``explained``: each path with what happened and why that is known."""

    at: float
    since: float
    explained: tuple[tuple[str, str, str], ...]
    findings: tuple[Finding, ...]
    watched: int


class Evidence:
    """All that can explain a change since a baseline."""

    def __init__(self, old: Baseline, new: Database) -> None:
        self._old, self._new = old, new
        self._accepted = Accepted(old.at, baseline.HOME / ACCEPTED)
        self.packages = Packages(old.at, old.owners)
        self._deploys = Deploys(old.at)

    def of(self, found: list[Change]) -> Iterator[tuple[Change, str, str]]:
        """Give each change with why its content and its rights are as they are; "" is nobody's."""
        made: dict[str, str] = {}
        told = []
        for each in found:
            by = self._accepted.why(each)
            content = (
                by or self._deploys.content(each) or self.packages.content(each, self._old.database.entries)
            )
            rights = by or self._deploys.rights(each) or self.packages.rights(each)
            told.append((each, content, rights))
        made = derived.explained(
            [each for each, content, _ in told if each.content and not content],
            self.packages,
            self._new.entries,
        )
        for each, content, rights in told:
            yield each, content or made.get(each.path, ""), rights


def first(place: Path = baseline.HOME, config: Path = CONFIG) -> Look:
    """Make the first baseline of what there is: there is nothing to compare it with."""
    at = time.time()
    new = _seen(config, place)
    owned = Packages(at, {}).listed
    more = special.entries(new.entries)
    baseline.keep(place, Baseline(at, new, more, owned), config.read_bytes(), {"by": "first"})
    return Look(at, at, (), (), len(new.entries) + len(more))


def again(old_place: Path, new_place: Path, by: str, config: Path = CONFIG) -> Look:
    """Compare with the baseline in one directory and keep what comes of it in another, which may be the same.

    What nobody explains stays in it as it was, so that it is a finding until it is undone, explained or accepted.
    """
    at = time.time()
    old = baseline.load(old_place)
    then = old_place / baseline.CONFIG
    new = _seen(then, new_place, old_place / DATABASE, old.database)
    more = special.entries(new.entries)
    # What the old configuration did not watch cannot have been told from what is there.
    found = [*changes(old.database, new), *changes(Database("", old.special), Database("", more))]
    evidence = Evidence(old, new)
    explained, findings = [], []
    for change, content, rights in evidence.of(found):
        if (content or not change.content) and (rights or not change.rights):
            explained.append((change.path, change.what, content or rights))
        else:
            findings.append(_finding(change, content, rights))
    left = frozenset(each.path for each in findings)
    kept = merged(old.database, new, left)
    rules = _rules(config, then.read_bytes(), kept, unexplained=str(config) in left)
    last = new if rules is None else _by(rules, new_place)
    # What changed between two glances has been explained by nobody.
    left |= {each.path for each in changes(new, last) if each.was and each.now}
    kept = merged(old.database, last, left)
    specials = {path: each for path, each in more.items() if path not in left}
    specials |= {path: each for path, each in old.special.items() if path in left}
    why = {"by": by, "explained": len(explained), "unexplained": len(findings)}
    owned = {path: name for path, name in old.owners.items() if path in left} | evidence.packages.listed
    baseline.keep(new_place, Baseline(at, kept, specials, owned), rules or then.read_bytes(), why)
    return Look(at, old.at, tuple(explained), tuple(findings), len(new.entries) + len(more))


def _rules(config: Path, then: bytes, kept: Database, *, unexplained: bool) -> bytes | None:
    """Return the engine's configuration where it is another than then, and has been explained as it is.

    By one that nobody explains no baseline is made: what it leaves out would be seen no more, also when it is put back.
    """
    try:
        rules = config.read_bytes()
    except FileNotFoundError:
        return None
    entry = kept.entries.get(str(config))
    other = entry and entry.sha256 != hashlib.sha256(rules).hexdigest()
    return None if rules == then or unexplained or other else rules


def _by(rules: bytes, place: Path) -> Database:
    """Return what the engine sees by a configuration that may be another meanwhile."""
    held = place / f"{baseline.CONFIG}.held"
    baseline.put(held, rules)
    try:
        return _seen(held, place)
    finally:
        held.unlink()


def _seen(config: Path, place: Path, old: Path | None = None, known: Database | None = None) -> Database:
    """Have the engine look, and compare with a database (``known`` is what it holds); return what it saw. Raises DatabaseError."""
    out = place / "aide.db.new.gz"
    before = f"database_out=file:{out}" + (f"\ndatabase_in=file:{old}" if old else "")
    command = [_AIDE, f"--config={config}", f"--before={before}", "--update" if old else "--init"]
    done = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=_SECONDS,
        env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin"},
    )
    if done.returncode > _DIFFERENT or done.returncode < 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-2000:]
        raise DatabaseError(f"aide ended with {done.returncode}: {said}")
    new = read(out)
    out.unlink()
    if known and bool(done.returncode) != any(True for _ in changes(known, new)):
        raise DatabaseError(f"aide ended with {done.returncode}, and its databases say otherwise")
    return new


def _finding(change: Change, content: str, rights: str) -> Finding:
    try:
        info = os.lstat(change.path)
        times = tuple(
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each))
            for each in (info.st_mtime, info.st_ctime)
        )
    except OSError:
        times = ("", "")
    notes = []
    if content and change.content:
        notes.append(f"what is in it: {content}; its rights: nobody")
    elif rights and change.rights and not change.content:
        notes.append(f"its rights: {rights}")
    return Finding(
        path=change.path,
        what=change.what,
        differs=tuple(sorted(change.differs)),
        was=change.was.told() if change.was else {},
        now=change.now.told() if change.now else {},
        modified=times[0],
        changed=times[1],
        note="; ".join(notes),
    )


def doubted(suspect: Path, old: Path, new: Path, explained: frozenset[str]) -> list[Finding]:
    """Compare a host's own baseline with one that was kept elsewhere and with what was just seen.

    Of a path that did not change it must say what both say; of one that did, what either says.
    """
    try:
        said, before, now = (baseline.load(place).database.entries for place in (suspect, old, new))
    except DatabaseError as error:
        return [Finding(str(suspect / DATABASE), "changed", note=str(error))]
    unlike = [
        path
        for path in sorted({*said, *before, *now} - explained)
        if not any(_same(said.get(path), each.get(path)) for each in (before, now))
    ]
    if not unlike:
        return []
    return [
        Finding(
            str(suspect / DATABASE),
            "changed",
            note=f"it says of {len(unlike)} paths what neither the control host's copy nor the disk says, the first: {unlike[0]}",
        )
    ]


def _same(one: Entry | None, other: Entry | None) -> bool:
    if one is None or other is None:
        return one is other
    return not any(changes(Database("", {"": one}), Database("", {"": other})))


@contextmanager
def unhurried(seconds: float = _WAITED) -> Iterator[None]:
    """Begin no look in the midst of an upgrade (roles/updates), and let none begin meanwhile; wait for one so long, and say so."""
    try:
        file = UPDATES.open()
    except FileNotFoundError:
        yield  # nobody has updated since the host started
        return
    with file:
        until, said = time.monotonic() + seconds, False
        while not _shared(file):
            if time.monotonic() >= until:
                print(f"{UPDATES}: an update did not end in time; what it does may be found", file=sys.stderr)
                break
            if not said:
                print(f"{UPDATES}: an update is at work; waiting for its end", file=sys.stderr, flush=True)
            said = True
            time.sleep(min(_AGAIN, seconds))
        yield


def _shared(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Let no second look begin in a directory before this one has ended, and none by what an interrupted one has left half done."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (place / "lock").open("a") as file:  # as it is, however often it is taken
        fcntl.flock(file, fcntl.LOCK_EX)
        baseline.settle(place)
        yield


def as_json(found: Look) -> dict[str, Any]:
    """Return a look as plain values."""
    return {
        "at": found.at,
        "since": found.since,
        "watched": found.watched,
        "explained": [{"path": path, "what": what, "by": by} for path, what, by in found.explained],
        "unexplained": [each._asdict() for each in found.findings],
    }
