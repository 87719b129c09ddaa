"""What is past its time goes: kept messages by their own date, records by the ledger's, contents that nobody refers to.

So do entries of lists that ran out some time ago. Nothing goes that somebody holds, or that is newer than its rule. Each
step removes few rows, so that records of new messages are written in between.
"""

import time
from typing import Final

from sqlalchemy import Engine, Select, Table, delete, exists, select
from sqlalchemy.exc import DBAPIError

from . import schema as s
from .blobs import Blobs
from .database import LedgerError, writing
from .expiry import DAY_MS
from .reserve import Reserve

_STEP: Final = 500
_SMALL_STEP: Final = 50  # of what takes the reserve's room
LISTED_DAYS: Final = 30  # after its last day an entry of a list can still be seen for so long
_TRIES_DAYS: Final = 7  # a sender gives up after five (RFC 5321 4.5.4.1)

_Ids = Select[tuple[str]] | Select[tuple[int]]


def tidied(
    engine: Engine, blobs: Blobs, *, days: int, now: float | None = None, reserve: Reserve | None = None
) -> dict[str, int]:
    """Remove what is past its time. Returns how many kept entries, records, entries of lists and contents went.

    On a volume without room ``reserve`` makes some for it (default: the ledger's own).

    Raises SQLAlchemyError, OSError, LedgerError; what was removed until then stays removed.
    """
    now_ms = int((time.time() if now is None else now) * 1000)
    kept, messages = s.KEPT.c, s.MESSAGES.c
    expired = select(kept.id).where(kept.expires_ms > 0, kept.expires_ms <= now_ms, kept.held_by == "")
    old = select(messages.id).where(
        messages.received_ms < now_ms - days * DAY_MS, ~exists().where(kept.message == messages.id)
    )
    over = select(s.LISTED.c.id).where(
        s.LISTED.c.expires_ms > 0, s.LISTED.c.expires_ms <= now_ms - LISTED_DAYS * DAY_MS
    )
    reserve = reserve or Reserve(engine)
    removed = {
        "kept": _remove(engine, s.KEPT, expired, reserve),
        "records": _remove(engine, s.MESSAGES, old, reserve),
        "listed": _remove(engine, s.LISTED, over, reserve),
    }
    reserve.take()
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


def _remove(engine: Engine, table: Table, which: _Ids, reserve: Reserve) -> int:
    """Remove the rows with these ids, a few at a time; what refers to them goes with them."""
    try:
        return _removed(engine, table, which.limit(_STEP))
    except DBAPIError as error:
        if not reserve.would_help(error):
            raise
    removed = 0
    while step := _removed(engine, table, which.limit(_SMALL_STEP), reserve):
        removed += step
        reserve.settle()
    return removed


def _removed(engine: Engine, table: Table, some: _Ids, reserve: Reserve | None = None) -> int:
    """Remove rows as long as there are any; with a ``reserve`` one step, for which that is given up."""
    removed = 0
    while True:
        with writing(engine) as connection:
            # What is held at this moment stays.
            ids = connection.execute(some.with_for_update()).scalars().all()
            if ids:
                if reserve is not None:
                    # Now: nobody else writes to this ledger before it is done.
                    reserve.give_up()
                connection.execute(delete(table).where(table.c.id.in_(ids)))
        removed += len(ids)
        if reserve is not None or not ids:
            return removed


def _wanted(engine: Engine, digest: str) -> bool:
    with engine.connect() as connection:
        return (
            connection.execute(select(s.KEPT.c.id).where(s.KEPT.c.digest == digest).limit(1)).first()
            is not None
        )
