"""Streams whose other end may have gone, or says nothing.

The attack it stops: a peer that hangs up at the wrong moment and is taken for a mistake of our own, or holds a
connection for ever.
"""

import asyncio
from typing import Self


def put(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Have data sent. Raises ConnectionResetError when the connection has ended.

    uvloop's transport raises RuntimeError then, which no caller takes for the peer's doing, and does so before a reader of
    the stream has had its turn to hear of the end.
    """
    if writer.is_closing():
        raise ConnectionResetError("the connection has ended")
    writer.write(data)


class Patience:
    """How long is waited for the next bytes of a stream: by one timer, which is set anew only when it is due or too late.

    A timer for each read costs more than what is read. Use as ``with patience.of(seconds)``, and end it.
    """

    __slots__ = ("_loop", "_reader", "_rings", "_timer", "_until")

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        # uvloop makes a plain Handle, which does not tell its time, of a timer that is due within half a millisecond.
        self._timer: asyncio.Handle | None = None
        self._rings = 0.0
        self._until: float | None = None  # None: nothing is waited for

    def of(self, seconds: float) -> Self:
        """Have what is read within the block raise TimeoutError if it takes longer; the stream is then of no use.

        Raises it at once where no time is left.
        """
        if seconds <= 0:
            raise TimeoutError
        self._until = self._loop.time() + seconds
        if self._timer is None or self._rings > self._until:
            self.end()
            self._set(self._until)
        return self

    def __enter__(self) -> None:
        """Begin to wait."""

    def __exit__(self, *_: object) -> None:
        """Wait no more."""
        self._until = None

    def _set(self, rings: float) -> None:
        self._rings = rings
        self._timer = self._loop.call_at(rings, self._ring)

    def _ring(self) -> None:
        """Let whoever has its data already, and its turn next, go first: they came in time."""
        self._timer = self._loop.call_soon(self._due)

    def _due(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if self._until > self._loop.time():
            self._set(self._until)
        else:
            self._reader.set_exception(TimeoutError())

    def end(self) -> None:
        """Let the timer go."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
