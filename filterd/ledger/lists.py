"""The lists of senders that are kept in the ledger: rows of the table ``listed``, and what [[list]] would say of them.

Rows are of one sender, recipient and client each, as a person enters and removes them; an entry of the configuration
holds several of each.
"""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select

from filterd.config import ListEntry
from filterd.config.conditions import NULL_SENDER, network, pattern_problem
from filterd.errors import UsageError

from . import schema as s
from .acts import note
from .database import writing
from .queries import iso
from .roles import Actor, RefusedError, may

Listing = Literal["accept", "reject"]
Authentication = Literal["required", "none"]
MOST: Final = 10_000  # rows that are shown or handed to the daemon
_MAX_NOTE: Final = 300


class ListRow(Struct, frozen=True, kw_only=True):
    """One row. ``until``: last day on which it holds, in the gateway's zone; "" for ever. ``recipient`` "": everybody's."""

    id: int
    verdict: Listing
    sender: str
    recipient: str
    client: str
    authentication: Authentication
    until: str
    expired: bool
    made: str
    made_by: str
    note: str


class NewRow(Struct, frozen=True, kw_only=True):
    """A row to be added; ``until`` None: for ever."""

    verdict: Listing
    sender: str
    recipient: str = ""
    client: str = ""
    authentication: Authentication = "required"
    until: date | None = None
    note: str = ""


def as_entry(row: ListRow) -> ListEntry:
    """Return a row as an entry of ``[[list]]``, which the policy takes. Pure."""
    return ListEntry(
        name=f"ledger-{row.id}",
        verdict=row.verdict,
        senders=(row.sender,),
        recipients=(row.recipient,) if row.recipient else (),
        clients=(row.client,) if row.client else (),
        authentication=row.authentication,
        until=date.fromisoformat(row.until) if row.until else date.max,
    )


def entries(connection: Connection) -> tuple[ListEntry, ...]:
    """Return what is in force, as the policy takes it beside the entries of the configuration."""
    return tuple(as_entry(row) for row in rows(connection))


def problem(row: NewRow, today: date) -> str:
    """Return what keeps a row from doing what it says, and the remedy; "" for nothing. Pure."""
    proofless = row.sender == NULL_SENDER or row.sender.endswith("@")
    found = pattern_problem(row.sender, sender=True)
    if found:
        found = f"sender: {found}"
    elif row.recipient and (wrong := pattern_problem(row.recipient, sender=False)):
        found = f"recipient: {wrong}"
    elif row.client and (wrong := _network_problem(row.client)):
        found = f"client: {wrong}"
    elif row.until is not None and row.until < today:
        found = f"it would have run out on {row.until}: give a later day"
    elif row.verdict == "accept" and row.authentication == "required" and proofless:
        found = f"sender: {row.sender!r} has no domain that could vouch for it; name one, or give --unproven with --client"
    elif row.verdict == "accept" and row.authentication == "none" and not row.client:
        found = "anybody can write a sender's address: give --client with --unproven"
    elif row.verdict == "reject" and row.authentication == "none":
        found = "what is refused needs no proof: leave --unproven away"
    return found


def _network_problem(text: str) -> str:
    try:
        network(text)
    except ValueError as error:
        return str(error)
    return ""


def add(engine: Engine, actor: Actor, row: NewRow) -> int:
    """Add a row and return its number. Raises UsageError with the remedy, RefusedError, SQLAlchemyError."""
    _allowed(actor)
    if found := problem(row, _today()):
        raise UsageError(found)
    t = s.LISTED.c
    values: dict[str, str | int] = {
        "verdict": row.verdict, "sender": row.sender.lower(), "recipient": row.recipient.lower(),
        "client": row.client, "authentication": row.authentication,
    }  # fmt: skip
    with writing(engine) as connection:
        same = connection.execute(
            select(t.id).where(*(s.LISTED.c[name] == value for name, value in values.items()))
        ).scalars()
        if there := list(same):
            connection.execute(delete(s.LISTED).where(t.id.in_(there)))
        in_force = select(func.count()).where((t.expires_ms == 0) | (t.expires_ms > _now_ms()))
        if connection.execute(in_force).scalar_one() >= MOST:
            raise RefusedError(
                f"{MOST} entries are in force, and the daemon takes no more: remove some, or name whole domains"
            )
        expires = 0 if row.until in {None, date.max} else _end_of(row.until)
        values |= {
            "expires_ms": expires, "made_ms": _now_ms(), "made_by": actor.name, "note": row.note[:_MAX_NOTE]
        }  # fmt: skip
        number = connection.execute(insert(s.LISTED).values(values)).inserted_primary_key
        if number is None:
            raise RefusedError("the database gave the new row no number")
        until = f" until {row.until}" if row.until else ""
        said = f"{row.verdict} {row.sender} for {row.recipient or 'everybody'}{until}: {row.note}"
        note(connection, actor, "list-add", f"list {number[0]}", recipient=row.recipient, detail=said)
    return int(number[0])


def remove(engine: Engine, actor: Actor, number: int) -> None:
    """Remove a row. Raises RefusedError if there is none, SQLAlchemyError."""
    _allowed(actor)
    with writing(engine) as connection:
        row = connection.execute(select(s.LISTED).where(s.LISTED.c.id == number)).first()
        if row is None:
            raise RefusedError(f"there is no entry {number}: `filterd lists show` numbers those there are")
        connection.execute(delete(s.LISTED).where(s.LISTED.c.id == number))
        said = f"{row.verdict} {row.sender} for {row.recipient or 'everybody'}"
        note(connection, actor, "list-remove", f"list {number}", recipient=row.recipient, detail=said)


def rows(connection: Connection, *, verdict: str = "", expired: bool = False) -> tuple[ListRow, ...]:
    """Return the rows, the oldest first: those in force, and with ``expired`` those that have run out as well."""
    t, now = s.LISTED.c, _now_ms()
    query = select(s.LISTED).order_by(t.id).limit(MOST)
    if verdict:
        query = query.where(t.verdict == verdict)
    if not expired:
        query = query.where((t.expires_ms == 0) | (t.expires_ms > now))
    return tuple(_row(row, now) for row in connection.execute(query))


def _row(row: Row[Any], now: int) -> ListRow:
    until = (
        datetime.fromtimestamp((row.expires_ms - 1) / 1000, UTC).astimezone().date() if row.expires_ms else ""
    )
    return ListRow(
        id=row.id, verdict=row.verdict, sender=row.sender, recipient=row.recipient, client=row.client,
        authentication=row.authentication, until=str(until), expired=0 < row.expires_ms <= now,
        made=iso(row.made_ms), made_by=row.made_by, note=row.note,
    )  # fmt: skip


def _allowed(actor: Actor) -> None:
    if not may(actor.role, "change-lists", ""):
        raise RefusedError(f"{actor.name} ({actor.role}) may not change the lists: ask an administrator")


def _today() -> date:
    return datetime.now(UTC).astimezone().date()


def day_in(days: int) -> date:
    """Return the day so many days from today."""
    return _today() + timedelta(days=days)


def _end_of(day: date) -> int:
    """Return when a day of the gateway's zone has ended, in ms since 1970."""
    after = day + timedelta(days=1)
    return int(time.mktime((after.year, after.month, after.day, 0, 0, 0, 0, 0, -1)) * 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
