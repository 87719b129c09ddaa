"""What is past its time goes: kept messages by their own date, records by the ledger's, contents that nobody refers to.

Nothing goes that somebody holds, or that is newer than its rule. Each step removes few rows, so that records of new
messages are written in between.
"""

import time
from typing import Final

from sqlalchemy import Engine, Select, Table, delete, exists, select

from filterd.config.ledger import StoreSettings

from . import schema as s
from .blobs import Blobs
from .database import LedgerError, writing
from .records import Kind

_DAY_MS: Final = 86_400_000
_STEP: Final = 500
_TRIES_DAYS: Final = 7  # a sender gives up after five (RFC 5321 4.5.4.1)


def expiry(store: StoreSettings, kind: Kind, verdict: str, size: int, now_ms: int) -> int:
    """Return when an entry of the store may go, in ms since 1970; 0: never. The shortest time that fits holds."""
    days = [
        {
            "quarantine": store.quarantine_days,
            "copy": store.copy_days,
            "archive": store.archive_days,
            "discarded": store.discard_days,
        }[kind]
    ]
    if kind == "quarantine":
        days += [many for of, many in store.class_days.items() if of == verdict]
    if size > store.great_bytes:
        days.append(store.great_days)
    limited = [many for many in days if many]
    return now_ms + min(limited) * _DAY_MS if limited else 0


def tidied(engine: Engine, blobs: Blobs, *, days: int, now: float | None = None) -> dict[str, int]:
    """Remove what is past its time. Returns how many kept entries, records and contents went.

    Raises SQLAlchemyError, OSError, LedgerError; what was removed until then stays removed.
    """
    now_ms = int((time.time() if now is None else now) * 1000)
    kept, messages = s.KEPT.c, s.MESSAGES.c
    expired = select(kept.id).where(kept.expires_ms > 0, kept.expires_ms <= now_ms, kept.held_by == "")
    old = select(messages.id).where(
        messages.received_ms < now_ms - days * _DAY_MS, ~exists().where(kept.message == messages.id)
    )
    removed = {
        "kept": _remove(engine, s.KEPT, expired),
        "records": _remove(engine, s.MESSAGES, old),
    }
    with writing(engine) as connection:
        connection.execute(delete(s.TRIES).where(s.TRIES.c.last_ms < now_ms - _TRIES_DAYS * _DAY_MS))
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
