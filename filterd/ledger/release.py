"""Lets kept mail out: to whom it belongs and nobody else, looked at anew, by as many people as it takes.

The attacks it stops: a release that reaches others than whom it was kept for (P11), one that loops back into
quarantine (P10: the MTA's service for us asks no milter), and one person who lets out what two are to let out.

The order is: mark as being released - hand over to the MTA - mark as released. A crash between the last two may send a
message twice, once the mark has aged; none is ever marked as released that the MTA has not taken.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, Literal, Protocol

from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, and_, insert, not_, or_, select, update

from filterd import pipeline
from filterd.carry.inject import Letter, inject, queue_ids
from filterd.carry.recorded import MAX_ADDRESS
from filterd.config import Config, ListEntry
from filterd.findings import Verdict
from filterd.message import Envelope, Message, Spool
from filterd.refill import refill
from filterd.scanners.engines import Engines

from . import lists
from . import schema as s
from .acts import found, note, now_ms
from .blobs import Blobs
from .database import writing
from .expiry import DAY_MS
from .queries import KeptSeen
from .roles import Actor, RefusedError, may
from .waiver import Objection, Recorded, Waiver, classes, objections, waiver

APPROVAL_DAYS: Final = 7
# No examination and hand-over lasts so long; a mark that is older was left by a crash.
_STALE_MS: Final = 1_800_000
_RECEIVED: Final = frozenset({"passed", "injected"})
# What carry.recorded makes of an address whose bytes no text can hold.
_NOT_WHOLE: Final = re.compile(r"\\x[89a-f][0-9a-f]")
_APPROVE: Final = "approve"
_APPROVE_INFECTED: Final = "approve-infected"


class Inspector(Protocol):
    """What a release needs of a service (filterd.service.Service)."""

    config: Config
    engines: Engines


class Order(Struct, frozen=True, kw_only=True):
    """What is asked for: an entry, for whom (() for all whose it is and who have not got it), and with what waived."""

    entry: str
    recipients: tuple[str, ...] = ()
    waive_virus: bool = False


class Released(Struct, frozen=True, kw_only=True):
    """What came of it. ``recipients``: for whom. approved: a second administrator has to say the same.

    refused: something else is found in it. not-inspected: an engine could not look. ``why`` says what.
    """

    entry: str
    status: Literal["released", "approved", "refused", "not-inspected"]
    recipients: tuple[str, ...]
    why: tuple[str, ...] = ()
    queue_ids: tuple[str, ...] = ()


class _Case(Struct, frozen=True, kw_only=True):
    """What is known of an entry. ``recipients``: who is to get it; ``parameters``: of RCPT, by recipient.

    ``listed``: the lists of senders that the ledger has.
    """

    entry: KeptSeen
    recipients: tuple[str, ...]
    parameters: dict[str, str]
    message: Row[Any]
    findings: tuple[Recorded, ...]
    listed: tuple[ListEntry, ...]


async def release(engine: Engine, blobs: Blobs, service: Inspector, order: Order, actor: Actor) -> Released:
    """Let an entry out. Raises RefusedError, BlobError, InjectError, SQLAlchemyError, OSError; nothing is out then."""
    case = _case(engine, order, actor)
    waived = waiver(case.entry.rule, case.findings, infected=order.waive_virus)
    config = service.config
    message = Message(
        _envelope(case), _spool(config, case.message.size), max_bytes=config.milter.max_message_bytes
    )
    try:
        refill(message, blobs.pieces(case.entry.digest))
        against = await _against(message, service, waived, case)
        if against:
            return _refused(engine, case, actor, against)
        if lacking := _approval(engine, case, order, actor, config):
            return Released(
                entry=case.entry.id, status="approved", recipients=case.recipients, why=(lacking,)
            )
        queue_ids = await _hand_over(engine, case, message, config, actor)
    finally:
        message.close()
    return Released(entry=case.entry.id, status="released", recipients=case.recipients, queue_ids=queue_ids)


def _case(engine: Engine, order: Order, actor: Actor) -> _Case:
    with engine.connect() as connection:
        entry = found(connection, actor, "release", order.entry)
        if order.waive_virus and not may(actor.role, "release-infected", Verdict.INFECTED):
            raise RefusedError(
                f"{actor.name} ({actor.role}) may not waive the virus engines: ask an administrator"
            )
        f = s.FINDINGS.c
        counted = connection.execute(
            select(f.stage, f.rule, f.verdict, f.detail).where(f.message == entry.message, f.counted)
        ).all()
        findings = tuple(
            Recorded(stage=row.stage, rule=row.rule, verdict=row.verdict, detail=row.detail)
            for row in counted
        )
        for verdict in classes(entry.verdict, findings) - {entry.verdict}:
            if not may(actor.role, "release", verdict):
                raise RefusedError(
                    f"{actor.name} ({actor.role}) may not release {entry.id}: it is {verdict} as well; "
                    "ask an administrator"
                )
        case = _Case(
            entry=entry,
            recipients=_whose(connection, entry, order.recipients),
            parameters=_parameters(connection, entry),
            message=connection.execute(select(s.MESSAGES).where(s.MESSAGES.c.id == entry.message)).one(),
            findings=findings,
            listed=lists.entries(connection),
        )
    for address in (case.message.sender, *case.recipients):
        if _NOT_WHOLE.search(address) or len(address) >= MAX_ADDRESS:
            raise RefusedError(
                f"{address[:80]} is not the address that SMTP had: that was no UTF-8, or longer than the ledger "
                f"takes; nobody can be given {entry.id} by it: export it instead"
            )
    return case


def _parameters(connection: Connection, entry: KeptSeen) -> dict[str, str]:
    r = s.RECIPIENTS.c
    rows = connection.execute(select(r.address, r.parameters).where(r.message == entry.message))
    return {row.address: row.parameters for row in rows}


def _whose(connection: Connection, entry: KeptSeen, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the recipients who are to get it: of those whose it is. Raises RefusedError for any other."""
    states = {one.address: one.state for one in entry.recipients}
    for address in wanted:
        if address not in states:
            raise RefusedError(
                f"{entry.id} is not kept for {address}, but for {', '.join(states) or 'nobody'}"
            )
        if states[address] == "released":
            raise RefusedError(f"{entry.id} has been released to {address} already")
    chosen = tuple(dict.fromkeys(wanted)) or tuple(
        who for who, state in states.items() if state != "released"
    )
    k, states_of, r = s.KEPT.c, s.KEPT_FOR.c, s.RECIPIENTS.c
    had = set(
        connection.execute(
            select(r.address).where(r.message == entry.message, r.outcome.in_(_RECEIVED))
        ).scalars()
    )
    had |= set(
        connection.execute(
            select(states_of.address)
            .join(s.KEPT, k.id == states_of.kept)
            .where(k.message == entry.message, k.id != entry.id, states_of.state == "released")
        ).scalars()
    )
    if wanted and (twice := [who for who in chosen if who in had]):
        raise RefusedError(f"{', '.join(twice)} got the message of {entry.id} already: export it instead")
    if not (left := tuple(who for who in chosen if who not in had)):
        raise RefusedError(f"everybody for whom {entry.id} is kept got it already")
    return left


def _envelope(case: _Case) -> Envelope:
    row = case.message
    return Envelope(
        client_name=row.client_name.encode(),
        client_address=row.client_address.encode(),
        helo=row.helo.encode(),
        sender=_path(row.sender),
        sender_parameters=tuple(row.sender_parameters.encode().split()),
        recipients=[_path(one) for one in case.recipients],
        parameters={
            _path(one): tuple(case.parameters.get(one, "").encode().split()) for one in case.recipients
        },
        queue_id=row.queue_id.encode() or None,
        host=row.gateway.encode() or None,
        user=row.user.encode() or None,
    )


def _path(address: str) -> bytes:
    return f"<{address}>".encode()


def _spool(config: Config, size: int) -> Spool:
    # Whoever is at the command line may not be able to write to the daemon's spool: memory does.
    return Spool(config.milter.spool_dir, size + 64 * 1024)


async def _against(
    message: Message, service: Inspector, waived: Waiver, case: _Case
) -> tuple[Objection, ...]:
    """Return what stands against it today. All stages are asked: none may be spared by what is waived."""
    whole = case.message.size
    if message.size != whole:
        return (Objection(why=f"its content is not whole: {message.size} of {whole} bytes are kept"),)
    report = await pipeline.examine(
        message,
        service.engines,
        seconds=service.config.milter.scan_timeout_s,
        bounds=waived.bounds(service.config.milter),
        settled=lambda _: False,
    )
    now = datetime.now(UTC).astimezone()
    listed = (*service.config.list, *case.listed)
    return objections(report, message.envelope, service.config, waived, now, listed=listed)


def _refused(engine: Engine, case: _Case, actor: Actor, against: Sequence[Objection]) -> Released:
    why = tuple(one.why for one in against)
    with writing(engine) as connection:
        note(
            connection, actor, "release-refused", case.entry.id,
            recipient=", ".join(case.recipients), detail="; ".join(why),
        )  # fmt: skip
    return Released(
        entry=case.entry.id,
        status="not-inspected" if all(one.later for one in against) else "refused",
        recipients=case.recipients,
        why=why,
    )


def _approval(engine: Engine, case: _Case, order: Order, actor: Actor, config: Config) -> str:
    """Return "" if one is enough, or another one has approved the same; else note the approval, and say what lacks."""
    waives = classes(case.entry.verdict, case.findings) | ({Verdict.INFECTED} if order.waive_virus else set())
    if not waives & set(config.store.four_eyes):
        return ""
    action = _APPROVE_INFECTED if order.waive_virus else _APPROVE
    e = s.EVENTS.c
    with writing(engine) as connection:
        rows = connection.execute(
            select(e.actor, e.recipient).where(
                e.subject == case.entry.id,
                e.action == action,
                e.at_ms > now_ms() - APPROVAL_DAYS * DAY_MS,
            )
        ).all()
        by_others = {row.recipient for row in rows if row.actor != actor.name}
        if by_others.issuperset(case.recipients):
            return ""
        own = {row.recipient for row in rows if row.actor == actor.name}
        for recipient in case.recipients:
            if recipient not in own:
                note(connection, actor, action, case.entry.id, recipient=recipient)
    return (
        f"{actor.name} has approved it; another administrator has to give the same command within "
        f"{APPROVAL_DAYS} days ([store] four_eyes)"
    )


async def _hand_over(
    engine: Engine, case: _Case, message: Message, config: Config, actor: Actor
) -> tuple[str, ...]:
    since = _mark(engine, case)
    try:
        host = case.message.gateway.encode("ascii", "replace") or b"localhost"
        letter = Letter(
            sender=message.envelope.sender,
            recipients=tuple(message.envelope.recipients),
            content=_traced(case, message),
            eight_bit=not all(piece.isascii() for piece in message.spool.pieces()),
            sender_parameters=message.envelope.sender_parameters,
            parameters=message.envelope.parameters,
        )
        said = await inject(config.inject, host, [letter])
    except BaseException:
        _unmark(engine, case, since)
        raise
    found = queue_ids(said)
    _done(engine, case, found, actor)
    return found


def _traced(case: _Case, message: Message) -> Iterator[bytes]:
    """Yield the content with a trace before it (RFC 5321 4.4), and nothing else changed: signatures stay good."""
    date = format_datetime(datetime.now(UTC))
    yield (
        f"Received: by {case.message.gateway or 'localhost'} (filterd quarantine) id {case.entry.id};\r\n\t{date}\r\n"
    ).encode("ascii", "replace")
    yield from message.spool.pieces()


def _mark(engine: Engine, case: _Case) -> int:
    """Mark the recipients as being served, all or none, so that no second release sends it too. Returns when."""
    states, since = s.KEPT_FOR.c, now_ms()
    free = or_(
        states.state == "kept", and_(states.state == "releasing", states.changed_ms < since - _STALE_MS)
    )
    kept = s.KEPT.c
    with writing(engine) as connection:
        # The message may be kept more than once, and each of its entries be released at this moment.
        connection.execute(select(kept.id).where(kept.message == case.entry.message).with_for_update()).all()
        elsewhere = select(states.address).join(s.KEPT, kept.id == states.kept)
        served = connection.execute(
            elsewhere.where(
                kept.message == case.entry.message, kept.id != case.entry.id,
                states.address.in_(case.recipients), states.state != "kept", not_(free),
            )
        ).scalars().all()  # fmt: skip
        if served:
            raise RefusedError(
                f"another entry of this message is released, or being so, to {', '.join(served)}"
            )
        marked = connection.execute(
            update(s.KEPT_FOR)
            .where(states.kept == case.entry.id, states.address.in_(case.recipients), free)
            .values(state="releasing", changed_ms=since)
            .returning(states.address)
        ).scalars()
        if set(marked) != set(case.recipients):
            raise RefusedError(
                f"{case.entry.id} is being released or was removed by somebody else: look with "
                f"`filterd quarantine show {case.entry.id}`; what a crash left is free after "
                f"{_STALE_MS // 60_000} minutes"
            )
    return since


def _unmark(engine: Engine, case: _Case, since: int) -> None:
    states = s.KEPT_FOR.c
    with writing(engine) as connection:
        connection.execute(
            update(s.KEPT_FOR)
            .where(states.kept == case.entry.id, states.state == "releasing", states.changed_ms == since)
            .values(state="kept", changed_ms=now_ms())
        )


def _done(engine: Engine, case: _Case, queue_ids: Sequence[str], actor: Actor) -> None:
    states, now = s.KEPT_FOR.c, now_ms()
    with writing(engine) as connection:
        connection.execute(
            update(s.KEPT_FOR)
            .where(states.kept == case.entry.id, states.address.in_(case.recipients))
            .values(state="released", changed_ms=now)
        )
        rows = [{"message": case.entry.message, "queue_id": one, "at_ms": now} for one in queue_ids]
        if rows:
            connection.execute(insert(s.INJECTIONS), rows)
        for recipient in case.recipients:
            queued = f"queued as {', '.join(queue_ids)}"
            note(connection, actor, "release", case.entry.id, recipient=recipient, detail=queued)
