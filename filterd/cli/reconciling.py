"""``filterd reconcile``: the ledger against the MTA's log."""

import argparse
import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filterd.errors import ConfigError
from filterd.ledger.maillog import MailLog
from filterd.ledger.reconcile import EDGE_MS, Reconciled, compared, injected_at, known, no_log, of_hosts

from .codes import GOOD, REFUSED
from .desk import desk
from .output import Progress, pairs, say, table


def run(options: argparse.Namespace) -> int:
    """Compare. Returns the exit code."""
    log = MailLog(datetime.now(UTC).astimezone(), since_ms=options.since, until_ms=options.until)
    progress = Progress("lines read")
    # The log first, and as who one is: what it says came is then in the ledger already.
    with _lines(options) as lines:
        for read in log.read(lines):
            progress(read)
    progress.end()
    if why := no_log(log):
        raise ConfigError(why)
    with desk(options) as at:
        at.allow("search")
        with at.engine.connect() as connection:
            since, until = log.first_ms - EDGE_MS, log.last_ms + EDGE_MS
            records = of_hosts(known(connection, since, until), log)
            injected = injected_at(connection, since, until)
            made = compared(log, records, injected, since_ms=options.since, until_ms=options.until)
    say(made, _text(made), as_json=options.json)
    return REFUSED if made.unexplained_count else GOOD


@contextlib.contextmanager
def _lines(options: argparse.Namespace) -> Iterator[Iterable[str]]:
    """Open the log; lines that are no UTF-8 are read all the same."""
    if options.log == Path("-"):
        with os.fdopen(os.dup(0), encoding="utf-8", errors="backslashreplace") as source:
            yield source
        return
    if options.log is not None:
        try:
            with options.log.open(encoding="utf-8", errors="backslashreplace") as source:
                yield source
        except OSError as error:
            raise ConfigError(
                f"{options.log} cannot be read ({error.strerror}): give the right --log"
            ) from error
        return
    command = ["journalctl", "--facility=mail", "--output=short-iso-precise", "--no-pager", "--quiet"]
    for name, ms in (("since", options.since), ("until", options.until)):
        if ms is not None:
            command.append(f"--{name}=@{ms / 1000:.3f}")
    try:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, encoding="utf-8", errors="backslashreplace"
        ) as process:
            if process.stdout is not None:
                yield process.stdout
    except OSError as error:
        raise ConfigError(f"journalctl cannot be run ({error.strerror}): give --log FILE") from error


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
