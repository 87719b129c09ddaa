"""SMTP as an outsider speaks it: a raw client that sends exact bytes and believes nothing about the replies.

A library for honest clients would refuse to send what these probes must send (commands before the greeting, bare
line ends), so the dialogue is ours. Everything that the server chooses is bounded.
"""

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import AsyncIterator

from audit.errors import NoSightError
from audit.place import Place
from roles.claims import Greeting, Reply

# RFC 5321 4.5.3.1.5 allows 512 octets; servers that exceed it should still be seen, not misread.
MAX_LINE = 4096
# The longest honest reply is EHLO's, below 30 lines.
MAX_LINES = 128
CONNECT_SECONDS = 10.0
# A server may look up names before it answers; a greeting delay is commonly 5 to 10 seconds.
STEP_SECONDS = 20.0

# In the place of a reply: the other side has ended the connection.
CLOSED = "closed"

_REPLY_LINE = re.compile(rb"(\d{3})([ -]?)(.*)")


class Talk:
    """One SMTP connection; made by ``talk``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, content: bytes) -> None:
        """Send bytes as they are; raises OSError if the peer has gone, TimeoutError if it does not read."""
        self._writer.write(content)
        async with asyncio.timeout(STEP_SECONDS):
            await self._writer.drain()

    async def reply(self, about: str, seconds: float | None = None) -> str:
        """Return one whole reply, its lines joined by a newline; it has ``seconds``, or a step's time, for each line.

        ``about`` says what is answered; NoSightError names it when no reply comes, or something that is none.
        """
        lines: list[str] = []
        while True:
            line = await self._line(about, lines, seconds)
            match = _REPLY_LINE.fullmatch(line)
            if match is None or len(lines) == MAX_LINES:
                raise NoSightError(f"no SMTP reply to {about}: {line[:100]!r}")
            lines.append(line.decode("utf-8", "backslashreplace"))
            if match[2] != b"-":
                return "\n".join(lines)

    async def command(self, line: str, seconds: float | None = None) -> str:
        """Send one line and return the reply to it."""
        await self.send(line.encode() + b"\r\n")
        return await self.reply(line, seconds)

    async def exactly(self, count: int) -> bytes:
        """Return the next ``count`` bytes as they come; EOFError or OSError where the connection ends."""
        return await self._reader.readexactly(count)

    async def secured(self) -> None:
        """Begin TLS, whoever the server is (RFC 3207 4.1); NoSightError when the handshake fails."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await self._writer.start_tls(_trusting())
        except (OSError, TimeoutError) as error:
            raise NoSightError(f"no TLS after STARTTLS: {error}") from error

    async def _line(self, about: str, before: list[str], seconds: float | None) -> bytes:
        seconds = STEP_SECONDS if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds):
                line = await self._reader.readuntil(b"\n")
        except TimeoutError as error:
            raise NoSightError(f"no reply to {about} within {seconds:g} s") from error
        except asyncio.IncompleteReadError as error:
            said = f" after {before!r}" if before else ""
            raise NoSightError(f"connection closed instead of a reply to {about}{said}") from error
        except asyncio.LimitOverrunError as error:
            raise NoSightError(f"a line longer than {MAX_LINE} bytes in the reply to {about}") from error
        except OSError as error:
            raise NoSightError(f"connection broken instead of a reply to {about}: {error}") from error
        return line.removesuffix(b"\n").removesuffix(b"\r")


@contextlib.asynccontextmanager
async def talk(place: Place, port: int) -> AsyncIterator[Talk]:
    """Connect to the gateway, from our declared address if there is one, and close at the end.

    Raises NoSightError when no connection comes about.
    """
    address, source = place.address(), place.source()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                address, port, limit=MAX_LINE, local_addr=(source, 0) if source else None
            )
    except TimeoutError as error:
        raise NoSightError(f"no connection to {address} port {port} within {CONNECT_SECONDS:g} s") from error
    except OSError as error:
        raise NoSightError(f"no connection to {address} port {port}: {_reason(error)}") from error
    try:
        yield Talk(reader, writer)
    finally:
        # The sight is taken; whether the goodbye arrives is of no interest.
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(b"QUIT\r\n")
            writer.close()
            async with asyncio.timeout(1):
                await writer.wait_closed()


def _trusting() -> ssl.SSLContext:
    """Return what takes any certificate: who the server is, is not what such a probe looks at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: OSError) -> str:
    # asyncio writes a text of its own, with the address in it, into `strerror`.
    return os.strerror(error.errno) if error.errno else str(error)


async def greeting(claim: Greeting, place: Place) -> str:
    """Return the greeting."""
    async with talk(place, claim.port) as peer:
        return await peer.reply("the connection")


async def reply(claim: Reply, place: Place) -> str:
    """Return the reply to the last line of a dialogue.

    Raises NoSightError when the dialogue ends sooner, or when the server refuses a line that the rest stands on:
    then the last reply is about that refusal, and says nothing of what the claim is about.
    """
    lines = [place.filled(line) for line in claim.lines]
    async with talk(place, claim.port) as peer:
        if not claim.early:
            await _greeted(peer)
            return await _in_turn(peer, lines)
        said = await _early(peer, lines)
    if said == CLOSED:
        # Who hangs up on everybody cuts off nobody for talking early.
        async with talk(place, claim.port) as peer:
            await _greeted(peer)
    return said


async def _greeted(peer: Talk) -> None:
    said = await peer.reply("the connection")
    if not said.startswith("2"):
        raise NoSightError(f"greeted with {said}")


async def _in_turn(peer: Talk, lines: list[str]) -> str:
    """Send each line after the reply to the one before; content between 354 and the lone dot has no replies."""
    said, content = "", False
    for index, line in enumerate(lines):
        if content and line != ".":
            await peer.send(line.encode() + b"\r\n")
            continue
        said = await peer.command(line)
        content = not content and said.startswith("354")
        opens = line.upper().startswith(("EHLO", "HELO", "MAIL"))
        if opens and index < len(lines) - 1 and not said.startswith("2"):
            raise NoSightError(f"{line} was refused, the rest was not tried: {said}")
    return said


async def _early(peer: Talk, lines: list[str]) -> str:
    """Send everything at once, then return the last reply that comes: a cut-off client gets fewer than it sent.

    CLOSED stands for the reply where the other side ended the connection without a word.
    """
    said = ""
    try:
        await peer.send("".join(f"{line}\r\n" for line in lines).encode())
        for about in ("the connection", *lines):
            said = await peer.reply(about)
    except (NoSightError, OSError) as error:
        if not said and _ended(error):
            return CLOSED
        if not said:
            raise
    return said


def _ended(error: Exception) -> bool:
    """Say whether the other side ended the connection, as against having said nothing in time, or nonsense."""
    cause = error.__cause__ if isinstance(error, NoSightError) else error
    return isinstance(cause, asyncio.IncompleteReadError | ConnectionError)
