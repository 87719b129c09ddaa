"""``filterd lists``: senders that are accepted or refused."""

import argparse

from msgspec import Struct

from filterd.ledger import lists
from filterd.ledger.lists import ListRow, NewRow

from .codes import GOOD
from .desk import Desk, desk
from .output import say, table


class ListsPage(Struct, frozen=True, kw_only=True):
    """The entries."""

    entries: tuple[ListRow, ...]


class ListDone(Struct, frozen=True, kw_only=True):
    """What was done with an entry."""

    id: int
    done: str


def run(options: argparse.Namespace) -> int:
    """Add, remove or show. Returns the exit code."""
    with desk(options) as at:
        match options.deed:
            case "add":
                number = _added(at, options)
                say(ListDone(id=number, done="added"), f"{number}: added", as_json=options.json)
            case "remove":
                lists.remove(at.engine, at.actor, options.id)
                say(ListDone(id=options.id, done="removed"), f"{options.id}: removed", as_json=options.json)
            case _:
                at.allow("search")
                with at.engine.connect() as connection:
                    found = lists.rows(connection, verdict=options.verdict, expired=options.expired)
                say(ListsPage(entries=found), _text(found), as_json=options.json)
    return GOOD


def _added(at: Desk, options: argparse.Namespace) -> int:
    until = lists.day_in(options.days) if options.days is not None else options.until
    row = NewRow(
        verdict=options.verdict,
        sender=options.sender,
        recipient=options.recipient,
        client=options.client,
        authentication="none" if options.unproven else "required",
        until=until,
        note=options.note,
    )
    return lists.add(at.engine, at.actor, row)


def _text(found: tuple[ListRow, ...]) -> str:
    return table(
        ("N", "WHAT", "SENDER", "FOR", "CLIENT", "PROOF", "UNTIL", "BY", "NOTE"),
        [
            (
                one.id, one.verdict, one.sender, one.recipient or "everybody", one.client or "any",
                one.authentication, f"{one.until or 'for ever'}{' (over)' if one.expired else ''}", one.made_by,
                one.note,
            )
            for one in found
        ],
    ) or "the lists are empty"  # fmt: skip
