"""The baseline: what was seen last and holds, in a directory that root alone enters, and its chain.

    aide.db.gz    what the engine saw of each path
    aide.conf     the engine's configuration of then
    special       programs outside of what it watches that run as their owner
    owners        which package each path belonged to
    chain         a line for each look: when, why, the digests of all these, and of the line before

The chain shows a baseline that was changed or put in another's place by anything but a look. Who is root can write a chain
of his own: that is seen from the control host alone (docs/integrity.md).
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


def links(place: Path) -> list[dict[str, Any]]:
    """Return the chain, oldest first; [] where there is none. Raises DatabaseError for what is none."""
    try:
        found = [json.loads(line) for line in (place / CHAIN).read_text().splitlines()]
        _ = [(float(each["at"]), dict(each["files"]), str(each["before"])) for each in found]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"{place / CHAIN} is no chain of looks") from error
    return found


def wrong(place: Path) -> str:
    """Return what of a baseline is not as the last look left it, in a sentence's part, or ""."""
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


def keep(place: Path, baseline: Baseline, config: Path, why: Mapping[str, Any]) -> None:
    """Write a baseline and the chain's next line, which is the last step; the database before stays as aide.db.old.gz."""
    if (place / DATABASE).exists():
        shutil.copy2(place / DATABASE, place / "aide.db.old.gz")
    write(place / DATABASE, baseline.database)
    put(
        place / _SPECIAL,
        gzip.compress(_json({path: dict(e.columns) for path, e in baseline.special.items()}), mtime=0),
    )
    put(place / _OWNERS, gzip.compress(_json(baseline.owners), compresslevel=6, mtime=0))
    put(place / CONFIG, config.read_bytes())
    try:
        chain = links(place)
    except DatabaseError:
        chain = []
    # One that was changed ends here; what was wrong with it has been said.
    chain = chain if _whole(chain) else []
    link = {
        "at": baseline.at,
        **why,
        "files": {name: digest(place / name) for name in KEPT},
        "before": _of(chain[-1]) if chain else "",
    }
    lines = [json.dumps(each, sort_keys=True) for each in (*chain, link)]
    put(place / CHAIN, ("\n".join(lines) + "\n").encode())


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
