"""What is asked of the ledger: messages that fit, one message with all that is known of it, kept entries.

Every answer is bounded, and goes on behind the last one by its key: an offset would read all that it passes over.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    exists,
    func,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.elements import KeyedColumnElement

from filterd.errors import UsageError

from . import schema as s

MOST: Final = 1000  # rows of one answer
_MOST_ABOUT: Final = (
    1000  # recipients, findings, entries, events of one message: as many as a record can have
)
_ESCAPE: Final = "\\"


class Filter(Struct, frozen=True, kw_only=True):
    """Which messages are meant; what is "" or None does not matter. Times in ms since 1970, ``until_ms`` excluded.

    Addresses and clients may hold ``*`` for anything; letter case then does not matter. ``kind``, ``state``, ``held``
    and ``verdicts`` (one of them) are about kept entries. ``after`` is the id of the last row that was seen.
    """

    id: str = ""
    queue_id: str = ""
    message_id: str = ""
    sender: str | None = None
    recipient: str = ""
    client: str = ""
    verdict: str = ""
    verdicts: frozenset[str] | None = None
    rule: str = ""
    kind: str = ""
    state: str = ""
    held: bool = False
    since_ms: int | None = None
    until_ms: int | None = None
    after: str = ""


class MessageSeen(Struct, frozen=True, kw_only=True):
    """One message. ``received`` is ISO 8601; ``outcomes`` are those of its recipients, each once."""

    id: str
    received: str
    gateway: str
    queue_id: str
    message_id: str
    sender: str
    client: str
    size: int
    verdict: str
    rule: str
    score: float | None
    reply: str
    recipients: tuple[str, ...]
    outcomes: tuple[str, ...]
    kept: bool


class RecipientSeen(Struct, frozen=True, kw_only=True):
    """What became of a message for one recipient."""

    address: str
    fate: str
    wanted: str
    verdict: str
    rule: str
    outcome: str
    changed: bool


class FoundSeen(Struct, frozen=True, kw_only=True):
    """One finding. ``counted`` False: of a rule in warn mode, or one that did not count for anybody."""

    stage: str
    rule: str
    verdict: str
    path: str
    name: str
    detail: str
    score: float | None
    counted: bool


class KeptForSeen(Struct, frozen=True, kw_only=True):
    """Whose a kept entry is. ``state``: kept, releasing (at this moment, or a release broke off), released."""

    address: str
    state: str
    changed: str


class KeptSeen(Struct, frozen=True, kw_only=True):
    """One kept entry. ``expires`` "": never; ``held``: why it is kept beyond that, "" for not."""

    id: str
    message: str
    kind: str
    reason: str
    verdict: str
    rule: str
    digest: str
    since: str
    expires: str
    held: str
    sender: str
    queue_id: str
    size: int
    recipients: tuple[KeptForSeen, ...]


class EventSeen(Struct, frozen=True, kw_only=True):
    """Who did what, when, with which entry."""

    at: str
    actor: str
    action: str
    subject: str
    recipient: str
    detail: str


class InjectionSeen(Struct, frozen=True, kw_only=True):
    """A queue id under which the MTA took the message, or a variant of it, anew."""

    queue_id: str
    at: str


class WholeMessage(Struct, frozen=True, kw_only=True):
    """All that the ledger knows of one message. ``ms``: what judging took; ``stage_ms``: each stage's part of it."""

    message: MessageSeen
    client_name: str
    helo: str
    user: str
    direction: str
    ms: float
    digest: str
    stage_ms: dict[str, float]
    recipients: tuple[RecipientSeen, ...]
    findings: tuple[FoundSeen, ...]
    kept: tuple[KeptSeen, ...]
    injections: tuple[InjectionSeen, ...]
    events: tuple[EventSeen, ...]


def iso(ms: int) -> str:
    """Return a time as ISO 8601 in the gateway's zone; "" for 0."""
    return (
        datetime.fromtimestamp(ms / 1000, UTC).astimezone().isoformat(timespec="milliseconds") if ms else ""
    )


def like(column: KeyedColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Return the condition that a text is meant by a pattern in which ``*`` is anything; without one, that it equals."""
    if "*" not in pattern:
        return column == pattern
    text = pattern.lower()
    for letter in (_ESCAPE, "%", "_"):
        text = text.replace(letter, _ESCAPE + letter)
    return func.lower(column).like(text.replace("*", "%"), escape=_ESCAPE)


def _conditions(of: Filter) -> list[ColumnElement[bool]]:
    """Return the conditions on messages alone."""
    m = s.MESSAGES.c
    found: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (m.id, of.id), (m.queue_id, of.queue_id), (m.message_id, of.message_id), (m.verdict, of.verdict),
        )
        if value
    ]  # fmt: skip
    if of.sender is not None:
        found.append(like(m.sender, of.sender))
    if of.client:
        found.append(or_(like(m.client_address, of.client), like(m.client_name, of.client)))
    if of.recipient:
        r = s.RECIPIENTS.c
        # A list of ids: SQLite walks the one index that is short, and not all messages.
        found.append(m.id.in_(select(r.message).where(like(r.address, of.recipient))))
    if of.rule:
        f = s.FINDINGS.c
        decided = s.MESSAGES.alias("decided").c
        of_rule = union_all(
            select(f.message).where(f.rule == of.rule), select(decided.id).where(decided.rule == of.rule)
        )
        found.append(m.id.in_(of_rule))
    return found


def _about_kept(of: Filter) -> list[ColumnElement[bool]]:
    k, states = s.KEPT.c, s.KEPT_FOR.c
    found: list[ColumnElement[bool]] = []
    if of.kind:
        found.append(k.kind == of.kind)
    if of.held:
        found.append(k.held_by != "")
    if of.state:
        found.append(exists().where(states.kept == k.id, states.state == of.state))
    return found


def _behind(
    of: Filter, time: KeyedColumnElement[int], key: KeyedColumnElement[str], table_of: Select[tuple[int]]
) -> list[ColumnElement[bool]]:
    """Return the conditions on time, and that a row comes behind the last one of the answer before."""
    found: list[ColumnElement[bool]] = []
    if of.since_ms is not None:
        found.append(time >= of.since_ms)
    if of.until_ms is not None:
        found.append(time < of.until_ms)
    if of.after:
        last = table_of.where(key == of.after).scalar_subquery()
        found.append(or_(time < last, and_(time == last, key < of.after)))
    return found


def _known(connection: Connection, table: Table, of: Filter) -> None:
    """Return if there is a row behind which an answer can go on. Raises UsageError."""
    if of.after and connection.execute(select(table.c.id).where(table.c.id == of.after)).first() is None:
        raise UsageError(f"--after: there is no {of.after}, or no more: begin anew without it")


def messages(connection: Connection, of: Filter, limit: int = 50) -> tuple[MessageSeen, ...]:
    """Return messages that fit, the newest first, at most ``limit`` (and MOST). Raises UsageError."""
    _known(connection, s.MESSAGES, of)
    m, k = s.MESSAGES.c, s.KEPT.c
    query = select(s.MESSAGES).where(
        *_conditions(of), *_behind(of, m.received_ms, m.id, select(m.received_ms))
    )
    if about := _about_kept(of):
        query = query.where(exists().where(k.message == m.id, *about))
    rows = connection.execute(query.order_by(m.received_ms.desc(), m.id.desc()).limit(min(limit, MOST))).all()
    return _messages(connection, rows)


def _messages(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[MessageSeen, ...]:
    ids = [row.id for row in rows]
    whose: dict[str, list[tuple[str, str]]] = {}
    r, k = s.RECIPIENTS.c, s.KEPT.c
    for row in connection.execute(
        select(r.message, r.address, r.outcome).where(r.message.in_(ids)).order_by(r.id)
    ):
        whose.setdefault(row.message, []).append((row.address, row.outcome))
    kept = set(connection.execute(select(k.message).where(k.message.in_(ids))).scalars())
    return tuple(
        MessageSeen(
            id=row.id, received=iso(row.received_ms), gateway=row.gateway, queue_id=row.queue_id,
            message_id=row.message_id, sender=row.sender, client=row.client_address, size=row.size,
            verdict=row.verdict, rule=row.rule, score=row.score, reply=row.reply,
            recipients=tuple(address for address, _ in whose.get(row.id, ())),
            outcomes=tuple(dict.fromkeys(outcome for _, outcome in whose.get(row.id, ()))),
            kept=row.id in kept,
        )
        for row in rows
    )  # fmt: skip


def message(connection: Connection, message_id: str) -> WholeMessage | None:
    """Return all that is known of a message, by its id or (the newest one) its queue id; None if there is none."""
    m, i, e = s.MESSAGES.c, s.INJECTIONS.c, s.EVENTS.c
    by_queue_id = select(i.message).where(i.queue_id == message_id)
    wanted = or_(m.id == message_id, m.queue_id == message_id, m.id.in_(by_queue_id))
    row = connection.execute(select(s.MESSAGES).where(wanted).order_by(m.received_ms.desc()).limit(1)).first()
    if row is None:
        return None
    (shown,) = _messages(connection, [row])
    entries = kept(connection, Filter(id=row.id), limit=_MOST_ABOUT)
    return WholeMessage(
        message=shown,
        client_name=row.client_name, helo=row.helo, user=row.user, direction=row.direction, ms=row.ms,
        digest=row.digest, stage_ms=row.stage_ms,
        recipients=tuple(
            RecipientSeen(**_of(one, RecipientSeen)) for one in _about(connection, s.RECIPIENTS, row.id)
        ),
        findings=tuple(FoundSeen(**_of(one, FoundSeen)) for one in _about(connection, s.FINDINGS, row.id)),
        kept=entries,
        injections=tuple(
            InjectionSeen(queue_id=one.queue_id, at=iso(one.at_ms))
            for one in _about(connection, s.INJECTIONS, row.id)
        ),
        events=events(connection, e.subject.in_([row.id, *(one.id for one in entries)])),
    )  # fmt: skip


def _about(connection: Connection, table: Table, message_id: str) -> Sequence[Row[Any]]:
    query = select(table).where(table.c.message == message_id).order_by(table.c.id)
    return connection.execute(query.limit(_MOST_ABOUT)).all()


def _of(row: Row[Any], struct: type[Struct]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in struct.__struct_fields__}


def kept(connection: Connection, of: Filter, limit: int = 50) -> tuple[KeptSeen, ...]:
    """Return kept entries that fit, the newest first; ``of.id`` is a message's, ``of.after`` an entry's. Raises UsageError."""
    _known(connection, s.KEPT, of)
    k, m, states = s.KEPT.c, s.MESSAGES.c, s.KEPT_FOR.c
    query = select(s.KEPT, m.sender, m.queue_id, m.size).join(s.MESSAGES, m.id == k.message)
    whole = of.id and not (of.sender or of.recipient or of.client)
    about = Filter(
        id=of.id, queue_id=of.queue_id, message_id=of.message_id, sender=of.sender, client=of.client, rule=of.rule
    )  # fmt: skip
    query = query.where(
        *([m.id == of.id] if whole else _conditions(about)),
        *_behind(of, k.since_ms, k.id, select(k.since_ms)),
        *_about_kept(of),
    )
    if of.verdict:
        query = query.where(k.verdict == of.verdict)
    if of.verdicts is not None:
        query = query.where(k.verdict.in_(of.verdicts))
    if of.recipient:
        query = query.where(exists().where(states.kept == k.id, like(states.address, of.recipient)))
    rows = connection.execute(query.order_by(k.since_ms.desc(), k.id.desc()).limit(min(limit, MOST))).all()
    return _kept(connection, rows)


def entry(connection: Connection, kept_id: str) -> KeptSeen | None:
    """Return one kept entry, or None."""
    k, m = s.KEPT.c, s.MESSAGES.c
    query = select(s.KEPT, m.sender, m.queue_id, m.size).join(s.MESSAGES, m.id == k.message)
    found = _kept(connection, connection.execute(query.where(k.id == kept_id)).all())
    return found[0] if found else None


def _kept(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[KeptSeen, ...]:
    whose: dict[str, list[KeptForSeen]] = {}
    states = s.KEPT_FOR.c
    query = select(s.KEPT_FOR).where(states.kept.in_([row.id for row in rows])).order_by(states.id)
    for row in connection.execute(query):
        one = KeptForSeen(address=row.address, state=row.state, changed=iso(row.changed_ms))
        whose.setdefault(row.kept, []).append(one)
    return tuple(
        KeptSeen(
            id=row.id, message=row.message, kind=row.kind, reason=row.reason, verdict=row.verdict, rule=row.rule,
            digest=row.digest, since=iso(row.since_ms), expires=iso(row.expires_ms), held=row.held_by,
            sender=row.sender, queue_id=row.queue_id, size=row.size, recipients=tuple(whose.get(row.id, ())),
        )
        for row in rows
    )  # fmt: skip


def events(
    connection: Connection, where: ColumnElement[bool], limit: int = _MOST_ABOUT
) -> tuple[EventSeen, ...]:
    """Return events, the oldest first."""
    rows = connection.execute(select(s.EVENTS).where(where).order_by(s.EVENTS.c.id).limit(limit)).all()
    return tuple(
        EventSeen(
            at=iso(row.at_ms), actor=row.actor, action=row.action, subject=row.subject,
            recipient=row.recipient, detail=row.detail,
        )
        for row in rows
    )  # fmt: skip
