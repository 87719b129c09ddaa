"""Two servers that no gateway may be like: one takes everything, one refuses everything.

Whatever a dialogue forbids the weak one does, so a dialogue that it passes would find no fault in any gateway.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from tests.acceptance.dialogue import Arrived

GREETING: Final = "220 mx ESMTP Postfix 3.7.11 (Debian/GNU) / Sendmail 8.17.1.9"
EHLO: Final = "\r\n".join(
    f"250{'-' if word != 'HELP' else ' '}{word}"
    for word in ("mx", "PIPELINING", "SIZE", "VRFY", "EXPN", "ETRN", "VERB", "XCLIENT", "XFORWARD", "AUTH LOGIN",
                 "STARTTLS", "DSN", "CHUNKING", "BINARYMIME", "8BITMIME", "SMTPUTF8", "HELP")
)  # fmt: skip
# By command; all others are good.
ANSWERS: Final = {
    "EHLO": EHLO,
    "DATA": "354 Go ahead, sendmail",
    "STARTTLS": "220 2.0.0 Ready",
    "VRFY": "250 2.1.5 <{rest}>",
    "EXPN": "250 2.1.5 <{rest}>",
    "HELP": "214 2.0.0 This is sendmail version 8.17.1.9",
    "AUTH": "235 2.7.0 Authentication successful",
}
# Programs that cut a line at the end of their buffer read what follows as the next one.
BUFFER: Final = 512
# In which a server sees that its client has gone.
GONE_SECONDS: Final = 10.0
_LINE_END: Final = re.compile(rb"\r\n|[\r\n\0]")


class _Session:
    """One connection to the weak server: lines end by CR, LF or NUL, in a command and in a message."""

    def __init__(self, arrived: list[Arrived]) -> None:
        self._arrived = arrived
        self._rest = b""
        self._sender = ""
        self._content: list[bytes] | None = None
        self._chunk = 0

    def fed(self, data: bytes) -> bytes:
        """Take bytes and return what is answered."""
        said, at, self._rest = list[bytes](), 0, self._rest + data
        while at < len(self._rest):
            if self._chunk:
                taken = min(self._chunk, len(self._rest) - at)
                self._chunk, at = self._chunk - taken, at + taken
                continue
            end = _LINE_END.search(self._rest, at, at + BUFFER)
            if end is None and len(self._rest) - at < BUFFER:
                break
            stop, following = (end.start(), end.end()) if end else (at + BUFFER, at + BUFFER)
            said.append(self._line(self._rest[at:stop]))
            at = following
        self._rest = self._rest[at:]
        return b"".join(said)

    def left(self) -> None:
        """Take what the other side did not end for a message."""
        if self._content is not None:
            self._line(b".")

    def _line(self, line: bytes) -> bytes:
        if self._content is None:
            return self._command(line.decode("latin-1")).encode() + b"\r\n" if line else b""
        if line != b".":
            self._content.append(line.removeprefix(b"."))
            return b""
        self._arrived.append(Arrived(sender=self._sender, content=b"\r\n".join(self._content)))
        self._content = None
        return b"250 2.0.0 Ok: queued by Postfix\r\n"

    def _command(self, line: str) -> str:
        verb, _, rest = line.strip().upper().partition(" ")
        if verb == "DATA":
            self._content = []
        elif verb == "BDAT":
            size = re.match(r"\d+", rest)
            # A chunk without a size has no end.
            self._chunk = (int(size[0]) if size else 0) or 1 << 40
        elif verb == "MAIL":
            self._sender = line.partition("<")[2].partition(">")[0]
        return ANSWERS.get(verb, "250 2.1.5 Ok, says Postfix").replace("{rest}", rest.lower())


async def _weak(arrived: list[Arrived], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    session = _Session(arrived)
    writer.write(GREETING.encode() + b"\r\n")
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(session.fed(data))
            await writer.drain()
    session.left()
    writer.close()


async def _refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mx ESMTP\r\n")
    with contextlib.suppress(OSError):
        while line := await reader.readline():
            greets = line.upper().startswith((b"EHLO", b"HELO"))
            writer.write((EHLO if greets else "550 5.7.1 No").encode() + b"\r\n")
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def weak(arrived: list[Arrived]) -> AsyncIterator[int]:
    """Serve what takes everything on a port of the loopback; what it took for messages is put into ``arrived``."""
    async with _serving(lambda reader, writer: _weak(arrived, reader, writer)) as port:
        yield port


@contextlib.asynccontextmanager
async def refusing() -> AsyncIterator[int]:
    """Serve what refuses everything but a greeting."""
    async with _serving(_refusing) as port:
        yield port


@contextlib.asynccontextmanager
async def _serving(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve until the block is over and every client that came has been served to its end, or for a while."""
    served = list[asyncio.Task[object] | None]()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        with contextlib.suppress(asyncio.CancelledError):
            await handler(reader, writer)

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield port
        if tasks := [task for task in served if task]:
            _, late = await asyncio.wait(tasks, timeout=GONE_SECONDS)
            for task in late:
                task.cancel()
