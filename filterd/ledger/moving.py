"""From one ledger to another: every row, once, whatever ends the work half-way.

What it prevents: a gateway that gets another ledger, and kept mail that nobody finds any more. The new ledger takes all rows in one
transaction and notes whose they were; then the store becomes its own; then the old ledger is emptied and gets another
name, so that what comes into it later is told from what was moved. Done again after a crash it goes on where it was.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Column, Connection, Engine, Table, delete, insert, select, tuple_, update

from filterd.errors import UsageError

from . import schema as s
from .acts import note
from .blobs import Blobs
from .database import writing
from .roles import Actor

# Messages that are read at a time, with all that belongs to them: SQLite takes 32766 values in one statement.
_STEP: Final = 500
_NOTED: Final = "ledger-move"
_NO_TEXT: Final = "\0"  # PostgreSQL's texts cannot hold it
# What belongs to messages, and names them.
_OF_MESSAGES: Final = (s.RECIPIENTS, s.FINDINGS, s.INJECTIONS, s.KEPT)
# Rows that stand for themselves, each with what makes two of them the same.
_ALONE: Final[Mapping[Table, tuple[str, ...]]] = {
    s.TRIES: ("fingerprint",),
    s.LISTED: ("verdict", "sender", "recipient", "client", "authentication"),
}


class Moved(Struct, frozen=True, kw_only=True):
    """What came over; ``messages`` are those that were not there already."""

    messages: int
    kept: int
    events: int
    listed: int


def moved(
    source: Engine, target: Engine, blobs: Blobs, actor: Actor, progress: Callable[[int], None]
) -> Moved:
    """Move all rows of one ledger into another, and the store with them. Nobody else may write to the old one meanwhile.

    Both have this release's tables. Raises UsageError, SQLAlchemyError, OSError.
    """
    old, new = _name(source), _name(target)
    if old == new:
        raise UsageError("both are one and the same ledger: name the one that the records come from")
    with writing(target) as into, source.connect() as out:
        done = Moved(messages=0, kept=0, events=0, listed=0)
        if not _noted(into, old):
            done = _copied(out, into, progress)
            note(into, actor, _NOTED, old, detail=f"{done.messages} messages, {done.kept} kept")
    # The rows are safe. A store that is a third ledger's stays that one's.
    if blobs.owner() in {"", old}:
        blobs.give_to(new)
    _emptied(source)
    return done


def name_of(connection: Connection) -> str:
    """Return the ledger's own name."""
    return str(connection.execute(select(s.READERS.c.name)).scalar_one())


def _name(engine: Engine) -> str:
    with engine.connect() as connection:
        return name_of(connection)


def _noted(into: Connection, old: str) -> bool:
    found = select(s.EVENTS.c.id).where(s.EVENTS.c.action == _NOTED, s.EVENTS.c.subject == old)
    return into.execute(found.limit(1)).first() is not None


def _copied(out: Connection, into: Connection, progress: Callable[[int], None]) -> Moved:
    messages = kept = 0
    for ids in _steps(out, s.MESSAGES.c.id):
        there = set(into.execute(select(s.MESSAGES.c.id).where(s.MESSAGES.c.id.in_(ids))).scalars())
        fresh = [one for one in ids if one not in there]
        _put(into, s.MESSAGES, _rows(out, s.MESSAGES, s.MESSAGES.c.id, fresh))
        for table in _OF_MESSAGES:
            _put(into, table, _rows(out, table, table.c.message, fresh))
        entries = list(out.execute(select(s.KEPT.c.id).where(s.KEPT.c.message.in_(fresh))).scalars())
        _put(into, s.KEPT_FOR, _rows(out, s.KEPT_FOR, s.KEPT_FOR.c.kept, entries))
        messages, kept = messages + len(fresh), kept + len(entries)
        progress(messages)
    events = 0
    for numbers in _steps(out, s.EVENTS.c.id):
        events += _put(into, s.EVENTS, _rows(out, s.EVENTS, s.EVENTS.c.id, numbers))
    alone = {table: _alone(out, into, table, same) for table, same in _ALONE.items()}
    return Moved(messages=messages, kept=kept, events=events, listed=alone[s.LISTED])


def _alone(out: Connection, into: Connection, table: Table, same: Sequence[str]) -> int:
    """Copy rows of which there is none like them; returns how many."""
    copied = 0
    key = next(iter(table.primary_key))
    for keys in _steps(out, key):
        rows = _rows(out, table, key, keys)
        wanted = [tuple(row[name] for name in same) for row in rows]
        columns = [table.c[name] for name in same]
        there = {tuple(row) for row in into.execute(select(*columns).where(tuple_(*columns).in_(wanted)))}
        copied += _put(into, table, [row for row, one in zip(rows, wanted, strict=True) if one not in there])
    return copied


def _steps(out: Connection, key: Column[Any]) -> Iterator[list[Any]]:
    """Return all values of a key, some at a time, in their order."""
    last: Any = None
    while True:
        asked = select(key).order_by(key).limit(_STEP)
        found = list(out.execute(asked if last is None else asked.where(key > last)).scalars())
        if not found:
            return
        yield found
        last = found[-1]


def _rows(out: Connection, table: Table, key: Column[Any], values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return rows without the numbers that their ledger gave them, in their order."""
    if not values:
        return []
    order = next(iter(table.primary_key))
    numbered = table.primary_key.columns.keys() if table.c[order.name].type.python_type is int else ()
    found = out.execute(select(table).where(key.in_(values)).order_by(order)).mappings()
    return [{name: _fit(value) for name, value in row.items() if name not in numbered} for row in found]


def _fit(value: object) -> object:
    return value.replace(_NO_TEXT, "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _put(into: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    if rows:
        into.execute(insert(table), list(rows))
    return len(rows)


def _emptied(source: Engine) -> None:
    """Remove every row, and give the ledger another name."""
    with writing(source) as connection:
        for table in (s.MESSAGES, s.EVENTS, *_ALONE):
            connection.execute(delete(table))
        connection.execute(update(s.READERS).values(name=secrets.token_hex(16)))
