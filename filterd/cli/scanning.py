"""``filterd scan``: what the gateway would do with a message, and why."""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filterd import policy, scan
from filterd.carry.variants import Variants
from filterd.config import Config, load
from filterd.errors import ScannerError
from filterd.findings import Verdict
from filterd.message import Envelope, Message, Spool
from filterd.refill import refill
from filterd.service import Service

from .codes import GOOD, REFUSED, UNREACHABLE, USAGE
from .output import Notes, say

_PIECE: Final = 64 * 1024


def run(options: argparse.Namespace) -> int:
    """Examine every file. Returns the exit code."""
    return asyncio.run(_scan(load(options.config), options))


async def _scan(config: Config, options: argparse.Namespace) -> int:
    service = Service(config, Notes(as_json=options.json), workers=1)
    worst = GOOD
    try:
        for name in options.files:
            message = memory(config, _envelope(options))
            try:
                fill(name, message, config.milter.max_message_bytes)
                seen = await _examined(name, message, service)
            except OSError as error:
                print(
                    f"filterd: {name} cannot be read ({error.strerror}): check the name and its permissions",
                    file=sys.stderr,
                )
                return USAGE
            finally:
                message.close()
            say(seen, "" if options.json else scan.as_text(seen), as_json=options.json)
            worst = max(worst, _code(seen))
    finally:
        await service.close()
    return worst


async def _examined(name: str, message: Message, service: Service) -> scan.Scanned:
    """Examine a message, try on a copy what its chains attempt, and say what comes of it."""
    report = await service.examine(message)
    trouble = ""
    limit = service.config.milter.max_message_bytes
    with Variants(
        service, message, report, max_bytes=limit, seconds=service.config.milter.scan_timeout_s
    ) as variants:
        try:
            await variants.fitted(service.decide(report, message.envelope), lambda one: one.order)
        except (ScannerError, OSError) as error:
            trouble = str(error) or type(error).__name__
        now = datetime.now(UTC).astimezone()
        told = policy.explain(report, message.envelope, service.config, now=now, failed=variants.failed)
    return scan.scanned(name, report, told, message.envelope, service.config, trouble=trouble)


def _envelope(options: argparse.Namespace) -> Envelope:
    return Envelope(
        client_address=(options.client or "unknown").encode(),
        helo=options.helo.encode(),
        sender=_bracketed(options.sender),
        recipients=[_bracketed(one) for one in options.recipient],
    )


def _bracketed(address: str) -> bytes:
    return os.fsencode(address if address.startswith("<") else f"<{address}>")


def memory(config: Config, envelope: Envelope) -> Message:
    """Return an empty message. Whoever is at the command line may not write to the daemon's spool: memory does."""
    most = config.milter.max_message_bytes
    return Message(envelope, Spool(config.milter.spool_dir, most + _PIECE), max_bytes=most)


def fill(name: str, message: Message, most: int) -> None:
    """Fill a message from a file ("-": standard input) as an MTA would. Raises OSError.

    Line ends of a file that has no CRLF at all become CRLF.
    """
    with os.fdopen(os.dup(0), "rb") if name == "-" else Path(name).open("rb") as source:
        content = source.read(most + 1)
        if b"\r\n" not in content:
            content = content.replace(b"\n", b"\r\n")

        def pieces() -> Iterator[bytes]:
            yield content
            while piece := source.read(_PIECE):
                yield piece

        refill(message, pieces())


def _code(seen: scan.Scanned) -> int:
    if seen.trouble or any(
        one.verdict is Verdict.NOT_INSPECTED or one.fate == "tempfail" for one in seen.decisions
    ):
        return UNREACHABLE
    return GOOD if all(one.fate == "deliver" for one in seen.decisions) else REFUSED
