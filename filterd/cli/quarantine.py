"""``filterd quarantine``: what is kept, and what people do with it."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from filterd.carry.inject import InjectError, NeverInjectedError
from filterd.errors import FilterdError, UsageError
from filterd.ledger import acts
from filterd.ledger.blobs import BlobError
from filterd.ledger.learn import learn
from filterd.ledger.queries import EventSeen, FoundSeen, KeptSeen, kept, message
from filterd.ledger.release import Order, Released, release
from filterd.ledger.roles import RefusedError, classes_of
from filterd.scanners.spamd import Spamd
from filterd.service import Service

from .codes import GOOD, REFUSED, UNREACHABLE
from .desk import Desk, desk
from .messages import asked, more
from .output import Notes, OutputError, pairs, printable, printing, say, table


class KeptPage(Struct, frozen=True, kw_only=True):
    """An answer to a search. ``next``: what to give to --after for more; "" at the end."""

    entries: tuple[KeptSeen, ...]
    next: str


class KeptWhole(Struct, frozen=True, kw_only=True):
    """One entry with what was found in its message, and who did what with it."""

    entry: KeptSeen
    message_id: str
    findings: tuple[FoundSeen, ...]
    events: tuple[EventSeen, ...]


class Done(Struct, frozen=True, kw_only=True):
    """What was done with an entry. ``detail`` says more of it."""

    entry: str
    done: str
    detail: str = ""


def run(options: argparse.Namespace) -> int:
    """Do one deed. Returns the exit code."""
    with desk(options) as at:
        try:
            return _DEEDS[options.deed](at, options)
        except BlobError as error:
            raise RefusedError(f"the content of {options.id} cannot be read: {error}") from error


def _list(at: Desk, options: argparse.Namespace) -> int:
    wanted = msgspec.structs.replace(
        asked(options), state=options.state, held=options.held, verdicts=classes_of(at.actor.role, "list")
    )
    with at.engine.connect() as connection:
        found = kept(connection, wanted, options.limit)
    following = found[-1].id if len(found) == options.limit else ""
    text = table(
        ("ID", "SINCE", "AS", "CLASS", "RULE", "SENDER", "FOR", "BYTES", "EXPIRES"),
        [
            (
                one.id, one.since, one.kind, one.verdict, one.rule, one.sender or "<>",
                [who.address if who.state == "kept" else f"{who.address} ({who.state})" for who in one.recipients],
                one.size, "held" if one.held else one.expires,
            )
            for one in found
        ],
    )  # fmt: skip
    say(
        KeptPage(entries=found, next=following),
        more(text or "nothing that is kept fits", following),
        as_json=options.json,
    )
    return GOOD


def _show(at: Desk, options: argparse.Namespace) -> int:
    with at.engine.connect() as connection:
        entry = acts.found(connection, at.actor, "show", options.id)
        whole = message(connection, entry.message)
    findings = whole.findings if whole is not None else ()
    events = tuple(one for one in whole.events if one.subject == entry.id) if whole is not None else ()
    message_id = whole.message.message_id if whole is not None else ""
    blocks = [
        pairs(
            [
                ("id", entry.id), ("kept as", entry.kind), ("reason", entry.reason), ("class", entry.verdict),
                ("rule", entry.rule), ("since", entry.since), ("expires", entry.expires or "never"),
                ("held", entry.held), ("sender", entry.sender or "<>"), ("queue id", entry.queue_id),
                ("message", entry.message), ("message-id", message_id), ("size", f"{entry.size} bytes"),
                ("content", entry.digest),
            ]
        ),
        table(("FOR", "STATE", "SINCE"), [(one.address, one.state, one.changed) for one in entry.recipients]),
        table(
            ("RULE", "CLASS", "COUNTED", "PART", "NAME", "SCORE", "DETAIL"),
            [
                (one.rule, one.verdict, "yes" if one.counted else "no", one.path, one.name, one.score, one.detail)
                for one in findings
            ],
        ),
        table(
            ("AT", "WHO", "DID", "FOR", "DETAIL"),
            [(one.at, one.actor, one.action, one.recipient, one.detail) for one in events],
        ),
    ]  # fmt: skip
    record = KeptWhole(entry=entry, message_id=message_id, findings=findings, events=events)
    say(record, "\n\n".join(block for block in blocks if block), as_json=options.json)
    return GOOD


def _export(at: Desk, options: argparse.Namespace) -> int:
    """Write the content; written down before the first byte is out."""
    with at.engine.connect() as connection:
        entry = acts.found(connection, at.actor, "export", options.id)
    blobs = at.blobs()
    if options.output is None:
        if sys.stdout.isatty():
            raise UsageError("a message may be hostile to a terminal: give --output FILE, or a pipe")
        printable()
        acts.told(at.engine, at.actor, "export", entry.id, "to standard output")
        for piece in blobs.pieces(entry.digest):
            with printing():
                sys.stdout.buffer.write(piece)
        return GOOD
    try:
        descriptor = os.open(options.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{options.output} cannot be written ({error.strerror}): give a new file") from error
    acts.told(at.engine, at.actor, "export", entry.id, f"to {options.output}")
    try:
        with os.fdopen(descriptor, "wb") as target:
            for piece in blobs.pieces(entry.digest):
                target.write(piece)
    except OSError as error:
        raise OutputError(
            f"{options.output} is not whole ({error.strerror}): remove it, and give a file where there is room"
        ) from error
    _done(entry.id, "exported", str(options.output), options)
    return GOOD


def _release(at: Desk, options: argparse.Namespace) -> int:
    order = Order(entry=options.id, recipients=tuple(options.recipient), waive_virus=options.waive_virus)
    made = asyncio.run(_released(at, order, Notes(as_json=options.json)))
    who = ", ".join(made.recipients)
    text = {
        "released": f"{made.entry}: released to {who}, queued as {', '.join(made.queue_ids) or 'unknown'}",
        "approved": f"{made.entry}: not yet released to {who}",
        "refused": f"{made.entry}: not released to {who}",
        "not-inspected": f"{made.entry}: not released to {who}; try again when the engines answer",
    }[made.status]
    say(made, "\n  ".join([text, *made.why]), as_json=options.json)
    return {"released": GOOD, "not-inspected": UNREACHABLE}.get(made.status, REFUSED)


async def _released(at: Desk, order: Order, notes: Notes) -> Released:
    service = Service(at.config, notes, workers=1)
    try:
        return await release(at.engine, at.blobs(), service, order, at.actor)
    except NeverInjectedError as error:
        raise RefusedError(
            f"{order.entry} was not released, it stays kept: {error}; export it instead"
        ) from error
    except InjectError as error:
        raise FilterdError(f"{order.entry} was not released: {error}") from error
    finally:
        await service.close()


def _delete(at: Desk, options: argparse.Namespace) -> int:
    acts.remove(at.engine, at.actor, options.id)
    _done(options.id, "deleted", "", options)
    return GOOD


def _hold(at: Desk, options: argparse.Namespace) -> int:
    acts.hold(at.engine, at.actor, options.id, options.reason)
    _done(options.id, "held", options.reason, options)
    return GOOD


def _unhold(at: Desk, options: argparse.Namespace) -> int:
    acts.unhold(at.engine, at.actor, options.id)
    _done(options.id, "no longer held", "", options)
    return GOOD


def _learn(at: Desk, options: argparse.Namespace) -> int:
    spamd = Spamd(at.config.spamd, slots=1, log=Notes(as_json=options.json))
    new = asyncio.run(
        learn(at.engine, at.blobs(), at.config, spamd, kept_id=options.id, actor=at.actor, spam=options.spam)
    )
    which = "spam" if options.spam else "ham"
    _done(options.id, f"learnt as {which}" if new else f"was known as {which}", "", options)
    return GOOD


def _done(entry: str, done: str, detail: str, options: argparse.Namespace) -> None:
    text = f"{entry}: {done}" + (f", {detail}" if detail else "")
    say(Done(entry=entry, done=done, detail=detail), text, as_json=options.json)


_DEEDS: Final[Mapping[str, Callable[[Desk, argparse.Namespace], int]]] = {
    "list": _list, "show": _show, "export": _export, "release": _release, "delete": _delete, "hold": _hold,
    "unhold": _unhold, "learn": _learn,
}  # fmt: skip
