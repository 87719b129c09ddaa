"""``filterd reconcile``: the ledger against the MTA's log."""

import argparse
import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

from filterd.errors import ConfigError, FilterdError
from filterd.ledger.known import gateways, injected_at, known, of_gateways
from filterd.ledger.maillog import MailLog
from filterd.ledger.reconcile import EDGE_MS, Reconciled, compared, nothing_to_compare

from .codes import GOOD, REFUSED
from .desk import desk
from .output import Progress, pairs, say, table

# So much of the journal beyond the range, in ms: what came in the range may be delivered after it.
_BEYOND_MS: Final = 3_600_000
_JOURNAL: Final = ("journalctl", "--facility=mail", "--output=short-iso-precise", "--no-pager", "--quiet")


class RangeError(FilterdError):
    """There is nothing to compare; the text says why and what to do."""


def run(options: argparse.Namespace) -> int:
    """Compare. Returns the exit code."""
    log = MailLog(datetime.now(UTC).astimezone(), since_ms=options.since, until_ms=options.until)
    progress = Progress("lines read")
    # The log first, and as who one is: what it says came is then in the ledger already.
    with _lines(options) as lines:
        for read in log.read(lines):
            progress(read)
    progress.end()
    if why := nothing_to_compare(log, options.since, options.until):
        raise RangeError(why) if log.lines else ConfigError(why)
    with desk(options) as at:
        at.allow("search")
        with at.engine.connect() as connection:
            since = max(log.first_ms - EDGE_MS, (options.since or 0) - _BEYOND_MS)
            until = log.last_ms + EDGE_MS
            if options.until is not None:
                until = min(until, options.until + _BEYOND_MS)
            names = frozenset(options.gateway) or gateways(known(connection, since, until), log)
            records = of_gateways(known(connection, since, until), names)
            injected = injected_at(connection, since, until)
            made = compared(
                log, records, injected, since_ms=options.since, until_ms=options.until, stored=at.blobs().has
            )
    say(made, _text(made), as_json=options.json)
    return REFUSED if made.unexplained_count else GOOD


@contextlib.contextmanager
def _lines(options: argparse.Namespace) -> Iterator[Iterable[str]]:
    """Open the log; lines that are no UTF-8 are read all the same."""
    if options.log == "-":
        with os.fdopen(os.dup(0), encoding="utf-8", errors="backslashreplace") as source:
            yield source
        return
    if options.log is not None:
        try:
            with Path(options.log).open(encoding="utf-8", errors="backslashreplace") as source:
                yield source
        except OSError as error:
            raise ConfigError(
                f"{options.log} cannot be read ({error.strerror}): give the right --log"
            ) from error
        return
    try:
        with _journal(options.since, options.until) as found:
            yield found
    except OSError as error:
        raise ConfigError(f"journalctl cannot be run ({error.strerror}): give --log FILE") from error


@contextlib.contextmanager
def _journal(since_ms: int | None, until_ms: int | None) -> Iterator[Iterable[str]]:
    """Open the journal about a range; one line from before and after says that it reaches further, so nothing is cut off."""
    before, after, between = [], [], list(_JOURNAL)
    if since_ms is not None:
        first = f"@{max(since_ms - _BEYOND_MS, 0) / 1000:.3f}"
        between.append(f"--since={first}")
        before = [*_JOURNAL, f"--until={first}", "--lines=1"]
    if until_ms is not None:
        last = f"@{(until_ms + _BEYOND_MS) / 1000:.3f}"
        between.append(f"--until={last}")
        after = [*_JOURNAL, f"--since={last}", "--lines=1"]
    with contextlib.ExitStack() as opened:

        def lines(command: list[str]) -> Iterable[str]:
            process = opened.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="backslashreplace")
            )
            return process.stdout or ()

        yield chain.from_iterable(lines(command) for command in (before, between, after) if command)


def _text(made: Reconciled) -> str:
    def counts(of: dict[str, int]) -> str:
        return ", ".join(f"{name} {many}" for name, many in of.items()) or "nothing"

    blocks = [
        pairs(
            [
                ("from", f"{made.since} to {made.until}, {made.lines} lines of the MTA's"),
                ("by the log", counts(made.log)), ("by the ledger", counts(made.ledger)),
                ("at the door", counts(made.at_the_door)), ("explained", counts(made.explained)),
            ]
        ),
        table(
            ("KNOWN TO", "QUEUE ID", "MESSAGE", "AT", "WHY"),
            [(one.side, one.queue_id, one.message, one.at, one.why) for one in made.unexplained],
        ),
        f"unexplained: {made.unexplained_count}",
    ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block)
