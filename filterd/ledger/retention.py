"""What is past its time goes: kept messages by their own date, records by the ledger's, contents that nobody refers to.

Nothing goes that somebody holds, or that is newer than its rule. Each step removes few rows, so that records of new
messages are written in between.
"""

import time
from typing import Final

from sqlalchemy import Engine, Select, Table, delete, exists, select

from . import schema as s
from .blobs import Blobs
from .database import LedgerError, writing
from .expiry import DAY_MS

_STEP: Final = 500
_TRIES_DAYS: Final = 7  # a sender gives up after five (RFC 5321 4.5.4.1)


def tidied(engine: Engine, blobs: Blobs, *, days: int, now: float | None = None) -> dict[str, int]:
    """Remove what is past its time. Returns how many kept entries, records and contents went.

    Raises SQLAlchemyError, OSError, LedgerError; what was removed until then stays removed.
    """
    now_ms = int((time.time() if now is None else now) * 1000)
    kept, messages = s.KEPT.c, s.MESSAGES.c
    expired = select(kept.id).where(kept.expires_ms > 0, kept.expires_ms <= now_ms, kept.held_by == "")
    old = select(messages.id).where(
        messages.received_ms < now_ms - days * DAY_MS, ~exists().where(kept.message == messages.id)
    )
    removed = {
        "kept": _remove(engine, s.KEPT, expired),
        "records": _remove(engine, s.MESSAGES, old),
    }
    with writing(engine) as connection:
        connection.execute(delete(s.TRIES).where(s.TRIES.c.last_ms < now_ms - _TRIES_DAYS * DAY_MS))
    return removed | {"contents": _swept(engine, blobs, now)}


def _swept(engine: Engine, blobs: Blobs, now: float | None) -> int:
    with engine.connect() as connection:
        name = connection.execute(select(s.READERS.c.name)).scalar_one()
    if not blobs.belongs_to(name):
        raise LedgerError(
            "[store] directory holds contents of another ledger, so none are removed: give each ledger a directory of "
            "its own, or, if this ledger took the other's place, remove the file `ledger` there"
        )
    return blobs.sweep(lambda digest: _wanted(engine, digest), now)


def _remove(engine: Engine, table: Table, which: Select[tuple[str]]) -> int:
    """Remove the rows with these ids, a few at a time; what refers to them goes with them."""
    removed = 0
    while True:
        with writing(engine) as connection:
            ids = connection.execute(which.limit(_STEP)).scalars().all()
            if ids:
                connection.execute(delete(table).where(table.c.id.in_(ids)))
        removed += len(ids)
        if len(ids) < _STEP:
            return removed


def _wanted(engine: Engine, digest: str) -> bool:
    with engine.connect() as connection:
        return (
            connection.execute(select(s.KEPT.c.id).where(s.KEPT.c.digest == digest).limit(1)).first()
            is not None
        )
