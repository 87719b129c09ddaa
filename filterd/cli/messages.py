"""``filterd messages``: search every message, show one."""

import argparse

import msgspec
from msgspec import Struct

from filterd.ledger.queries import Filter, MessageSeen, WholeMessage, message, messages
from filterd.ledger.roles import RefusedError

from .codes import GOOD
from .desk import desk
from .output import pairs, say, table


class MessagesPage(Struct, frozen=True, kw_only=True):
    """An answer to a search. ``next``: what to give to --after for more; "" at the end."""

    messages: tuple[MessageSeen, ...]
    next: str


def run(options: argparse.Namespace) -> int:
    """Search or show. Returns the exit code."""
    with desk(options) as at:
        at.allow("search")
        if options.deed == "show":
            with at.engine.connect() as connection:
                one = message(connection, options.id)
            if one is None:
                raise RefusedError(
                    f"there is no message {options.id}: `filterd messages` finds those there are"
                )
            say(one, as_text(one), as_json=options.json)
            return GOOD
        with at.engine.connect() as connection:
            found = messages(connection, asked(options), options.limit)
    following = found[-1].id if len(found) == options.limit else ""
    say(MessagesPage(messages=found, next=following), _listed(found, following), as_json=options.json)
    return GOOD


def asked(options: argparse.Namespace) -> Filter:
    """Return the filter that the options give."""
    return Filter(
        queue_id=options.queue_id, message_id=options.message_id, sender=options.sender,
        recipient=options.recipient, client=options.client, verdict=options.verdict, rule=options.rule,
        kind=options.kind, since_ms=options.since, until_ms=options.until, after=options.after,
    )  # fmt: skip


def _listed(found: tuple[MessageSeen, ...], following: str) -> str:
    text = table(
        ("ID", "RECEIVED", "QUEUE ID", "SENDER", "RECIPIENTS", "CLASS", "RULE", "OUTCOME"),
        [
            (
                one.id, one.received, one.queue_id, one.sender or "<>", one.recipients, one.verdict, one.rule,
                one.outcomes,
            )
            for one in found
        ],
    )  # fmt: skip
    return more(text or "no message fits", following)


def more(text: str, following: str) -> str:
    """Return a table with a last line that says how to go on."""
    return f"{text}\n… --after {following} shows what follows" if following else text


def as_text(one: WholeMessage) -> str:
    """Return all that is known of a message as lines for a person."""
    seen = one.message
    blocks = [
        pairs(
            [
                ("id", seen.id), ("received", seen.received), ("gateway", seen.gateway), ("queue id", seen.queue_id),
                ("message-id", seen.message_id), ("sender", seen.sender or "<>"),
                ("client", f"{one.client_name} [{seen.client}]"), ("helo", one.helo), ("user", one.user),
                ("direction", f"{one.direction}bound"), ("size", f"{seen.size} bytes"),
                ("decided", f"{seen.verdict} [{seen.rule}]" if seen.rule else seen.verdict), ("score", seen.score),
                ("answered", seen.reply), ("took", f"{one.ms:g} ms"),
                ("stages", [f"{name} {ms:g} ms" for name, ms in one.stage_ms.items()]), ("content", one.digest),
            ]
        ),
        _block("recipients", one.recipients),
        _block("findings", one.findings),
        table(
            ("KEPT", "AS", "CLASS", "RULE", "EXPIRES", "FOR"),
            [
                (k.id, k.kind, k.verdict, k.rule, k.expires, [f"{w.address} {w.state}" for w in k.recipients])
                for k in one.kept
            ],
        ),
        _block("injections", one.injections),
        _block("events", one.events),
    ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block)


def _block(name: str, rows: tuple[Struct, ...]) -> str:
    if not rows:
        return ""
    head = [one.upper().replace("_", " ") for one in rows[0].__struct_fields__]
    return f"{name}:\n" + table(head, [list(msgspec.structs.astuple(row)) for row in rows])
