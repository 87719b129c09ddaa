"""``filterd stats``: counts."""

import argparse

from filterd.ledger.queries import iso
from filterd.ledger.stats import Range, Stats, counted, totals

from .codes import GOOD
from .desk import desk
from .output import Progress, say, table


def run(options: argparse.Namespace) -> int:
    """Count. Returns the exit code."""
    of = Range(since_ms=options.since, until_ms=options.until)
    progress = Progress("scores read")
    with desk(options) as at:
        at.allow("search")
        with at.engine.connect() as connection:
            messages, size = totals(connection, of)
            rows = counted(connection, options.by, of, options.limit, progress=progress)
    progress.end()
    made = Stats(
        by=options.by, since=iso(options.since or 0), until=iso(options.until or 0), messages=messages,
        bytes=size, rows=rows,
    )  # fmt: skip
    say(made, _text(made), as_json=options.json)
    return GOOD


def _text(made: Stats) -> str:
    head: tuple[str, ...] = (made.by.upper(), "MESSAGES", "SHARE")
    head += {"rule": ("NOT COUNTED",), "dnsbl": (), "outcome": ()}.get(made.by, ("BYTES",))
    rows = []
    for one in made.rows:
        row: tuple[object, ...] = (
            one.key or "<>",
            one.messages,
            f"{one.messages / max(1, made.messages):.1%}",
        )
        row += {"rule": (one.warned,), "dnsbl": (), "outcome": ()}.get(made.by, (one.bytes,))
        rows.append(row)
    return f"{made.messages} messages, {made.bytes} bytes\n{table(head, rows)}".strip()
