"""Times and days as they are written on the command line, in the gateway's zone."""

import argparse
import re
from datetime import UTC, date, datetime
from typing import Final

from filterd.errors import UsageError

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str) -> int:
    """Return a time in ms since 1970, at least 0: ISO 8601, or how long ago (90m, 36h, 7d). Raises ArgumentTypeError."""
    if (ago := _AGO.fullmatch(text)) is not None:
        return max(0, int((datetime.now(UTC).timestamp() - int(ago[1]) * _SECONDS[ago[2]]) * 1000))
    try:
        at = datetime.fromisoformat(text)
        return max(0, int((at if at.tzinfo is not None else at.astimezone()).timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write it like 2026-03-01, 2026-03-01T08:00 or, so long ago, 36h"
        ) from None


def in_order(options: argparse.Namespace) -> None:
    """Return if the times of a command leave something between them. Raises UsageError."""
    since, until = getattr(options, "since", None), getattr(options, "until", None)
    if isinstance(since, int) and isinstance(until, int) and since >= until:
        raise UsageError("--until is not later than --since: nothing lies between them")


def day(text: str) -> date:
    """Return a day. Raises ArgumentTypeError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it like 2026-12-31") from None
