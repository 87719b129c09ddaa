"""Figures about the ledger's own tables and volumes. They block on the disk: call them in a thread."""

import contextlib
import os
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Engine, func, make_url, select, text

from filterd.config import Config

from . import schema as s


class Room(Struct, frozen=True, kw_only=True):
    """What is free on a volume: bytes, and percent of bytes or of inodes, whichever is less."""

    bytes: int
    percent: float


def room(path: Path) -> Room:
    """Return what is free for us where ``path`` is or will be. Raises OSError."""
    while not path.exists() and path != path.parent:
        path = path.parent
    seen = os.statvfs(path)
    percents = [
        100 * free / most
        for free, most in ((seen.f_bavail, seen.f_blocks), (seen.f_favail, seen.f_files))
        if most
    ]
    return Room(bytes=seen.f_bavail * seen.f_frsize, percent=min(percents, default=100.0))


def volumes(config: Config) -> dict[str, Path]:
    """Return the directories whose volumes filterd needs, by the part that fills them."""
    found = {"store": Path(config.store.directory), "spool": Path(config.milter.spool_dir)}
    if (file := ledger_file(config)) is not None:
        found["ledger"] = file.parent
    return found


def ledger_file(config: Config) -> Path | None:
    """Return the ledger's file; None where it is on a server."""
    url = make_url(config.ledger.url)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def size(engine: Engine, config: Config) -> int:
    """Return the bytes that the ledger takes. Raises SQLAlchemyError, OSError."""
    file = ledger_file(config)
    if file is None:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    total = 0
    for one in (file, file.with_name(f"{file.name}-wal")):
        with contextlib.suppress(FileNotFoundError):
            total += one.stat().st_size
    return total


def kept(engine: Engine) -> dict[str, float]:
    """Return how many entries the store has, by kind. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        rows = connection.execute(select(s.KEPT.c.kind, func.count()).group_by(s.KEPT.c.kind))
        return {kind: float(many) for kind, many in rows}


def stored(directory: Path) -> int:
    """Return the bytes that the contents in the store take. Raises OSError."""
    total = 0
    for path in directory.glob("[0-9a-f][0-9a-f]/*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
