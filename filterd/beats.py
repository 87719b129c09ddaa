"""What a process tells the supervisor on its pipe, again and again: that it lives, and how much it has done."""

import asyncio
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

BEAT_S: Final = 2.0
# ready, keep, messages, resident bytes. Shorter than PIPE_BUF, so never in two pieces (pipe(7)).
_FORM: Final = struct.Struct("!??QQ")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MOST: Final = 256 * _FORM.size


class Beat(Struct, frozen=True, kw_only=True):
    """How a process fares. ``ready``: it can do its work; ``keep``: this is no time to replace it.

    ``messages`` it has served; ``rss`` in bytes.
    """

    ready: bool = True
    keep: bool = False
    messages: int = 0
    rss: int = 0


def resident() -> int:
    """Return the bytes of memory of this process that are resident (proc(5), statm), those it shares included."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def heard(pipe: int) -> Beat | None:
    """Return the newest beat on a pipe; None when there is none, or the other end is closed."""
    try:
        data = os.read(pipe, _MOST)
    except BlockingIOError:
        return None
    if len(data) < _FORM.size:
        return None
    ready, keep, messages, rss = _FORM.unpack(data[-_FORM.size :])
    return Beat(ready=ready, keep=keep, messages=messages, rss=rss)


async def beating(pipe: int, now: Callable[[], Beat | None]) -> None:
    """Beat as long as somebody listens; returns when nobody does: the supervisor is gone. None: a beat is left out."""
    while True:
        beat = now()
        try:
            if beat is not None:
                os.write(pipe, _FORM.pack(beat.ready, beat.keep, beat.messages, beat.rss))
        except BlockingIOError:
            pass
        except OSError:
            return
        await asyncio.sleep(BEAT_S)
