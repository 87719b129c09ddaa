"""What people do with kept mail: hold, let go, remove; each act is written down in the transaction that does it."""

import time
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from . import schema as s
from .database import writing
from .queries import KeptSeen, entry
from .reserve import Reserve
from .roles import Actor, Deed, RefusedError, may

_MAX_DETAIL: Final = 500  # characters


def now_ms() -> int:
    """Return the time in ms since 1970."""
    return time.time_ns() // 1_000_000


def note(
    connection: Connection, actor: Actor, action: str, subject: str, *, recipient: str = "", detail: str = ""
) -> None:
    """Write an event down, in the caller's transaction."""
    row = {
        "at_ms": now_ms(), "actor": actor.name, "action": action, "subject": subject, "recipient": recipient,
        "detail": detail[:_MAX_DETAIL],
    }  # fmt: skip
    connection.execute(insert(s.EVENTS), [row])


def found(connection: Connection, actor: Actor, deed: Deed, kept_id: str) -> KeptSeen:
    """Return an entry that the actor may do this with. Raises RefusedError."""
    one = entry(connection, kept_id)
    if one is None:
        raise RefusedError(
            f"there is no kept entry {kept_id}: `filterd quarantine list` names those there are"
        )
    if not may(actor.role, deed, one.verdict):
        raise RefusedError(
            f"{actor.name} ({actor.role}) may not {deed} an entry of class {one.verdict}: ask an administrator"
        )
    return one


def _alone(connection: Connection, kept_id: str) -> None:
    """Wait for whoever holds, releases or removes an entry at this moment, retention too; nobody else does from now on."""
    # PostgreSQL; SQLite has one writer at a time.
    connection.execute(select(s.KEPT.c.id).where(s.KEPT.c.id == kept_id).with_for_update()).all()


def hold(engine: Engine, actor: Actor, kept_id: str, reason: str) -> None:
    """Keep an entry beyond its time; ``reason`` says why. Raises RefusedError, SQLAlchemyError."""
    with writing(engine) as connection:
        _alone(connection, kept_id)
        found(connection, actor, "hold", kept_id)
        held = f"{actor.name}: {reason}"[:_MAX_DETAIL]
        connection.execute(update(s.KEPT).where(s.KEPT.c.id == kept_id).values(held_by=held))
        note(connection, actor, "hold", kept_id, detail=reason)


def unhold(engine: Engine, actor: Actor, kept_id: str) -> None:
    """Let an entry's own time hold again. Raises RefusedError, SQLAlchemyError."""
    with writing(engine) as connection:
        _alone(connection, kept_id)
        one = found(connection, actor, "hold", kept_id)
        if not one.held:
            raise RefusedError(f"{kept_id} is not held")
        connection.execute(update(s.KEPT).where(s.KEPT.c.id == kept_id).values(held_by=""))
        note(connection, actor, "unhold", kept_id, detail=one.held)


def remove(engine: Engine, actor: Actor, kept_id: str) -> None:
    """Remove an entry; its content goes with the last one that has it. Raises RefusedError, SQLAlchemyError, OSError.

    On a volume without room the ledger's reserve makes some for it, as for what is past its time.
    """
    try:
        _remove(engine, actor, kept_id)
    except DBAPIError as error:
        reserve = Reserve(engine)
        if not reserve.would_help(error):
            raise
        _remove(engine, actor, kept_id, reserve)
        reserve.settle()
        reserve.take(back=True)


def _remove(engine: Engine, actor: Actor, kept_id: str, reserve: Reserve | None = None) -> None:
    with writing(engine) as connection:
        _alone(connection, kept_id)
        one = found(connection, actor, "delete", kept_id)
        if one.held:
            raise RefusedError(f"{kept_id} is held ({one.held}): `filterd quarantine unhold {kept_id}` first")
        if any(each.state == "releasing" for each in one.recipients):
            raise RefusedError(f"{kept_id} is being released: wait until that has ended")
        if reserve is not None:
            # Now: nobody else writes to this ledger before it is done.
            reserve.give_up()
        connection.execute(delete(s.KEPT).where(s.KEPT.c.id == kept_id))
        who = ", ".join(f"{each.address} ({each.state})" for each in one.recipients)
        note(
            connection, actor, "delete", kept_id, detail=f"{one.kind} of {one.message}: {one.verdict}; {who}"
        )


def told(engine: Engine, actor: Actor, action: str, kept_id: str, detail: str) -> None:
    """Write down an act that changes nothing here: a content was read, or learnt. Raises SQLAlchemyError."""
    with writing(engine) as connection:
        note(connection, actor, action, kept_id, detail=detail)


def count(engine: Engine) -> dict[str, int]:
    """Return how many rows the tables have that grow."""
    with engine.connect() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (s.MESSAGES, s.KEPT, s.EVENTS, s.LISTED)
        }
