"""One question and one answer over a unix socket, bounded in bytes, seconds and number at a time."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Self, TypeVar

from filterd.errors import ScannerAnswerError, ScannerDownError, ScannerError
from filterd.health import Condition
from filterd.log import Log
from filterd.within import Within

T = TypeVar("T")
_READ: Final = 16 * 1024
_BUSY_RETRY_S: Final = 0.02


class Wire:
    """A connection for one request. Use as ``async with Wire(path)``; OSError passes through to the Gate."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(0)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            while True:
                try:
                    self._socket.connect(self._path)
                except BlockingIOError:
                    # The engine's listen queue is full (unix(7), EAGAIN): there is no event to wait for.
                    await asyncio.sleep(_BUSY_RETRY_S)
                else:
                    return self
        except BaseException:
            self._socket.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Hang up; an engine that is still at work on this question may stop."""
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        await self._loop.sock_sendall(self._socket, data)

    async def send_all(self, pieces: Iterable[bytes]) -> None:
        """Send pieces one by one, as the engine takes them."""
        for piece in pieces:
            await self._loop.sock_sendall(self._socket, piece)

    def end_request(self) -> None:
        """Say that no more will be sent; the answer can still be received."""
        self._socket.shutdown(socket.SHUT_WR)

    def send_descriptor(self, command: bytes, descriptor: int) -> None:
        """Send a command, and a NUL byte with a file descriptor (SCM_RIGHTS); a fresh socket has room for both at once."""
        socket.send_fds(self._socket, [command, b"\0"], [descriptor])

    async def receive(
        self, limit: int, until: bytes = b"", *, whole: Callable[[bytearray], bool] = lambda _: False
    ) -> bytes:
        """Return what is answered up to its end, or up to ``until`` when given, or as soon as it is ``whole``.

        Raises ScannerAnswerError beyond ``limit`` bytes.
        """
        answer = bytearray()
        while data := await self._loop.sock_recv(self._socket, _READ):
            answer += data
            if len(answer) > limit:
                raise ScannerAnswerError(f"the answer is longer than {limit} bytes")
            if (until and until in answer) or whole(answer):
                break
        return bytes(answer)


class Gate:
    """Lets ``slots`` requests at a time through to one engine, and notes when it goes down and comes back.

    Seconds are counted from the moment a slot is free; the wait for one is bounded by the caller's deadline.
    """

    def __init__(self, engine: str, *, slots: int, timeout_s: float, log: Log) -> None:
        self._engine = engine
        self._slots = asyncio.Semaphore(slots)
        self._timeout_s = timeout_s
        self._log = log
        self.condition = Condition()

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return what ``question`` returns. Raises ScannerDownError or ScannerAnswerError."""
        condition = self.condition
        async with condition.place(self._slots):
            answer = await self._answer(question)
        if condition.problem:
            condition.worked()
            self._log.event("scanner_up", scanner=self._engine)
        return answer

    async def _answer(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            with Within.seconds(self._timeout_s):
                return await question()
        except TimeoutError as error:
            self._went_down(
                down := ScannerDownError(f"{self._engine} gave no answer in {self._timeout_s:g} s")
            )
            raise down from error
        except OSError as error:
            self._went_down(down := ScannerDownError(f"{self._engine} cannot be reached: {error}"))
            raise down from error
        except ScannerError as error:
            self._went_down(error)
            raise

    def _went_down(self, why: ScannerError) -> None:
        if not self.condition.problem:
            self._log.event("scanner_down", scanner=self._engine, why=str(why)[:500])
        self.condition.failed(why)
