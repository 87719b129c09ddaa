"""One parse worker as its milter worker holds it: the lane that leads to it, for one job at a time.

The attack it stops: a parse worker that hangs, or that says what nobody asked. The nursery holds the other end of the
lane beside the parse worker: it kills it as soon as we hang up, and tells here how it ended.
"""

import asyncio
import contextlib
import socket
from collections import deque

from filterd.errors import ScannerDownError

from . import border


class Lane:
    """A lane to a parse worker that there is not yet: ``far`` is for the nursery. Close it: the parse worker ends.

    Needs a running event loop. ``open`` is False when the parse worker has ended, or it was closed.
    """

    def __init__(self) -> None:
        """Make it. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.settimeout(0)
        self._at_work = False
        self._said: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.open = True
        self.idle_since = 0.0
        self._loop.add_reader(self._near.fileno(), self._heard)

    async def ask(self, kind: bytes, descriptors: list[int]) -> bytes:
        """Have a job done, and return what is said of it. Raises ScannerDownError."""
        if self._said:
            raise ScannerDownError("the parse worker said more than it was asked")
        self._at_work = True
        try:
            socket.send_fds(self._near, [kind], descriptors)
        except OSError as error:
            raise ScannerDownError(f"the parse worker takes no job: {error}") from error
        answer = await self._next()
        self._at_work = False
        return answer

    async def given_up(self) -> None:
        """Give a job up; return when its nursery has ended the parse worker."""
        self._near.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ScannerDownError):
            while True:
                await self._next()

    async def _next(self) -> bytes:
        """Return what is said next. Raises ScannerDownError: the parse worker has failed or ended."""
        while not self._said and self.open:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        said = self._said.popleft() if self._said else b""
        if not said:
            raise ScannerDownError("the parse worker went away")
        if said.startswith(border.FAILED):
            raise ScannerDownError(f"the parse worker failed: {said[1:].decode('utf-8', 'replace')}")
        return said

    def _heard(self) -> None:
        try:
            said = self._near.recv(border.MAX_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        self._said.append(said)
        if not said or not self._at_work or said.startswith(border.FAILED):
            # It has ended, or says something without a job: it gets none any more.
            self.close()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Hang up. A second call does nothing."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._near.fileno())
        self._near.close()
        self.far.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
