"""The baseline: what was seen last and holds, in a directory that root alone enters, and its chain.

    aide.db.gz    what the engine saw of each path
    aide.conf     the engine's configuration of then
    special       programs outside of what it watches that run as their owner
    owners        which package each path belonged to
    chain         a line for each look: when, why, the digests of all these, and of the line before

The chain shows a baseline that was changed or put in another's place by anything but a look. Who is root can write a chain
of his own: that is seen from the control host alone (docs/integrity.md).

What is new is written beside it (NAME.next), its chain last. From then on that counts, also where the host goes down before all
has its own name; before it, the former counts.
"""

import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from .database import Database, DatabaseError, Entry, read, write

HOME: Final = Path("/var/lib/aide")
DATABASE: Final = "aide.db.gz"
CONFIG: Final = "aide.conf"
_SPECIAL: Final = "special"
_OWNERS: Final = "owners"
CHAIN: Final = "chain"
KEPT: Final = (DATABASE, CONFIG, _SPECIAL, _OWNERS)


class Baseline(NamedTuple):
    """What was seen last and holds. ``at``: when that look began (seconds since 1970)."""

    at: float
    database: Database
    special: Mapping[str, Entry]
    owners: Mapping[str, str]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, or "" where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def links(place: Path, name: str = CHAIN) -> list[dict[str, Any]]:
    """Return the chain, oldest first; [] where there is none. Raises DatabaseError for what is none."""
    try:
        found = [json.loads(line) for line in (place / name).read_text().splitlines()]
        _ = [(float(each["at"]), dict(each["files"]), str(each["before"])) for each in found]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"{place / name} is no chain of looks") from error
    return found


def _next(name: str) -> str:
    return f"{name}.next"


def _begun(place: Path) -> bool:
    """Say whether a baseline was written whole that has not got all its names yet."""
    try:
        chain = links(place, _next(CHAIN))
    except DatabaseError:
        return False
    return (
        bool(chain)
        and _whole(chain)
        and all(
            chain[-1]["files"].get(name) == (digest(place / _next(name)) or digest(place / name))
            for name in KEPT
        )
    )


def settle(place: Path) -> None:
    """Finish what an interrupted look has written whole, and drop what it has not."""
    if _begun(place):
        _named(place)
    for name in (CHAIN, *KEPT):
        (place / _next(name)).unlink(missing_ok=True)


def _named(place: Path) -> None:
    """Give what was written whole its names, the chain last."""
    for name in (*KEPT, CHAIN):
        if (place / _next(name)).exists():
            (place / _next(name)).replace(place / name)
        if name in (KEPT[-1], CHAIN):
            _synced(place)


def _synced(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def wrong(place: Path) -> str:
    """Return what of a baseline is not as the last look left it, in a sentence's part, or ""."""
    if _begun(place):
        return ""
    try:
        chain = links(place)
    except DatabaseError as error:
        return str(error)
    if not chain:
        return f"{place / CHAIN} is gone" if (place / DATABASE).exists() else ""
    if not _whole(chain):
        return f"{place / CHAIN} was changed: a line does not name the one before it"
    unlike = [name for name in KEPT if digest(place / name) != chain[-1]["files"].get(name)]
    return f"{', '.join(str(place / name) for name in unlike)}: not what the last look left" if unlike else ""


def _whole(chain: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether each line names the one before it."""
    return all(
        link["before"] == (_of(chain[number - 1]) if number else "") for number, link in enumerate(chain)
    )


def _of(link: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(link, sort_keys=True).encode()).hexdigest()


def load(place: Path) -> Baseline:
    """Return a baseline. Raises DatabaseError where it is missing or cannot be read."""
    chain = links(place)
    if not chain:
        raise DatabaseError(f"{place} has no baseline; a deploy makes one")
    try:
        special = json.loads(_unpacked(place / _SPECIAL))
        owners = json.loads(_unpacked(place / _OWNERS))
        return Baseline(
            float(chain[-1]["at"]),
            read(place / DATABASE),
            {path: Entry("", columns) for path, columns in special.items()},
            owners,
        )
    except (OSError, ValueError, AttributeError, EOFError, zlib.error) as error:
        raise DatabaseError(f"the baseline in {place} cannot be read: {error}") from error


def _unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def keep(place: Path, baseline: Baseline, config: bytes, why: Mapping[str, Any]) -> None:
    """Write a baseline whole or not at all, with the chain's next line; the database before stays as aide.db.old.gz."""
    if (place / DATABASE).exists():
        shutil.copy2(place / DATABASE, place / "aide.db.old.gz")
    write(place / _next(DATABASE), baseline.database)
    put(
        place / _next(_SPECIAL),
        gzip.compress(_json({path: dict(e.columns) for path, e in baseline.special.items()}), mtime=0),
    )
    put(place / _next(_OWNERS), gzip.compress(_json(baseline.owners), compresslevel=6, mtime=0))
    put(place / _next(CONFIG), config)
    try:
        chain = links(place)
    except DatabaseError:
        chain = []
    # One that was changed ends here; what was wrong with it has been said.
    chain = chain if _whole(chain) else []
    link = {
        "at": baseline.at,
        **why,
        "files": {name: digest(place / _next(name)) for name in KEPT},
        "before": _of(chain[-1]) if chain else "",
    }
    lines = [json.dumps(each, sort_keys=True) for each in (*chain, link)]
    # The names of the files are on the disk before the chain is that says they are.
    _synced(place)
    put(place / _next(CHAIN), ("\n".join(lines) + "\n").encode())
    _synced(place)
    _named(place)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, for root alone."""
    new = path.with_name(f"{path.name}.part")
    new.touch(mode=0o600)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
