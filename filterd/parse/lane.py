"""One parse worker as its milter worker holds it: the lane that leads to it, for one job at a time.

The attack it stops: a parse worker that hangs, that says what nobody asked, or that a message has taken over and that
wishes to be given the next one. The nursery holds the other end of the lane beside the parse worker: it kills it as soon
as we hang up, and tells here how it ended.
"""

import asyncio
import contextlib
import socket
from collections import deque

from filterd.errors import ScannerDownError

from . import border


class EndedError(ScannerDownError):
    """A parse worker has failed or ended with a job."""


class Lane:
    """A lane to a parse worker that there is not yet: ``far`` is for the nursery. Close it: the parse worker ends.

    Needs a running event loop. ``open`` is False when the parse worker has ended, or it was closed; ``jobs`` counts what it
    was given; ``spent``: it has said that it needs more than most messages do (native.py), which nothing takes back.
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
        self.jobs = 0
        self.spent = False
        self.idle_since = 0.0
        self._loop.add_reader(self._near.fileno(), self._heard)

    async def ask(self, kind: bytes, descriptors: list[int]) -> bytes:
        """Have a job done, and return what is said of it. Raises EndedError."""
        self.jobs += 1
        return await self.tell(kind, descriptors)

    async def tell(self, kind: bytes, descriptors: list[int]) -> bytes:
        """Tell it something within a job, and return what is said then. Raises EndedError."""
        if self._said:
            raise EndedError("the parse worker said more than it was asked")
        self._at_work = True
        try:
            socket.send_fds(self._near, [kind], descriptors)
        except OSError as error:
            raise EndedError(f"the parse worker takes no job: {error}") from error
        answer = await self._next()
        self._at_work = False
        return answer

    def may_go_on(self) -> bool:
        """Return whether it may be given the next message, by what is known of it here: its own word counts for no more."""
        return self.open and not self.spent and self.jobs < border.JOBS

    async def given_up(self) -> None:
        """Give a job up; return when its nursery has ended the parse worker."""
        self._near.shutdown(socket.SHUT_WR)
        with contextlib.suppress(EndedError):
            while True:
                await self._next()

    async def _next(self) -> bytes:
        """Return what is said next. Raises EndedError."""
        while not self._said and self.open:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        said = self._said.popleft() if self._said else b""
        if not said:
            raise EndedError("the parse worker went away")
        if said.startswith(border.FAILED):
            raise EndedError(f"the parse worker failed: {said[1:].decode('utf-8', 'replace')}")
        return said

    def _heard(self) -> None:
        try:
            said = self._near.recv(border.MAX_WHOLE)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said == border.SPENT and self._at_work and not self.spent:
            self.spent = True
            return
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
