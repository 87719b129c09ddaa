"""One JSON line an event, and one a message, on a file descriptor (journald takes it from there).

The attack it stops: a peer that forges log lines, floods them or hides control characters in them. Every text
of a peer goes through ``shown``; subjects and content are not logged at all.
"""

import os
import time
from typing import Final

import msgspec

_ENCODER: Final = msgspec.json.Encoder()
# journald splits lines at 48 KiB, and a pipe writes a line in one piece only up to 4 KiB (PIPE_BUF).
MAX_LINE: Final = 32 * 1024


def shown(value: bytes | None, limit: int = 256) -> str | None:
    r"""Return a peer's bytes as text: at most ``limit`` characters, and what is not printable as \\xNN."""
    if value is None:
        return None
    text = value[: limit * 4].decode("utf-8", "backslashreplace")
    if not text.isprintable():
        text = "".join(
            one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
        )
    return text if len(text) <= limit and len(value) <= limit * 4 else text[: limit - 1] + "…"


class Log:
    """Writes lines to ``descriptor``. Values are numbers, texts that ``shown`` has made safe, or lists of them."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor

    def event(self, event: str, **fields: object) -> None:
        """Write one line: the time (UTC), the event's name, its fields. A full disk or closed pipe is borne."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        line = _ENCODER.encode({"time": stamp, "event": event, **fields})
        if len(line) > MAX_LINE:
            line = _ENCODER.encode({"time": stamp, "event": event, "error": "the line was too long to log"})
        try:
            os.write(self._descriptor, line + b"\n")
        except OSError:
            # Nowhere left to say it; mail goes on.
            return
