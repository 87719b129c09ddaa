"""Room on the ledger's volume that is given up when there is no other, so that what is past its time can go.

The attack it stops: mail that fills the volume, after which nothing can be removed: SQLite writes down a removal before
it makes room, so that a full volume would stay full for ever. PostgreSQL's volume is its administrator's to watch.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

# The log of the database (1000 pages before it is brought in, and as much in the file itself) for two small steps.
BYTES: Final = 16 * 1024 * 1024
# It is no use to take the last room of a small volume.
_LEAST_FREE: Final = 2
_ROUND: Final = 64 * 1024  # what a file system needs beside the bytes of a file
_NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_PRIMARY: Final = 0xFF  # an extended result code ends in the primary one (sqlite.org/rescode.html)


class Reserve:
    """A file of ``size`` bytes beside a SQLite ledger; nothing where the ledger is elsewhere."""

    def __init__(self, engine: Engine, size: int = BYTES) -> None:
        self._engine = engine
        self._size = size
        name = engine.url.database if engine.dialect.name == "sqlite" else None
        self._path = Path(name).with_name("reserve") if name else None

    def take(self, *, back: bool = False) -> None:
        """Make the file where it is not, unless that would leave little; what cannot be had now is had later.

        ``back``: after a small step for which it was given up, take what is left of its room.
        """
        if self._path is None or self._is_whole(self._path):
            return
        seen = os.statvfs(self._path.parent)
        room = seen.f_bavail * seen.f_frsize
        size = min(self._size, room - room % _ROUND) if back else self._size
        if size == 0 or (not back and room < _LEAST_FREE * size):
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self.give_up()
        finally:
            os.close(descriptor)

    def _is_whole(self, path: Path) -> bool:
        """Whether the file has its room; a crash may have left less."""
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_size >= self._size
        return False

    def give_up(self) -> None:
        """Remove the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def settle(self) -> None:
        """Bring the database's log in and cut it off: its room is free then. Another reader may keep that for later."""
        if self._path is None:
            return
        with contextlib.suppress(SQLAlchemyError, sqlite3.Error), self._engine.connect() as connection:
            # Not within the transaction that SQLAlchemy would begin.
            driver = connection.connection.driver_connection
            if isinstance(driver, sqlite3.Connection):
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @staticmethod
    def would_help(error: DBAPIError) -> bool:
        """Whether it was room that a statement lacked."""
        code = getattr(error.orig, "sqlite_errorcode", 0)
        return code & _PRIMARY in _NO_ROOM
