"""Hands mail to the MTA: a small SMTP client (RFC 5321) on the MTA's unix socket for us.

The attack it stops: a message of which some recipients get nothing. A recipient that is refused ends the whole
transaction before any content is sent, and several messages are all brought to their last line before the first one
is ended: what can be refused has been refused by then.
"""

import asyncio
import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, Self

from msgspec import Struct

from filterd.config import InjectSettings
from filterd.errors import FilterdError
from filterd.streams import put

_LONGEST_LINE: Final = 4096
_MOST_LINES: Final = 100
_REPLY: Final = re.compile(rb"([2-5][0-9]{2})([ -]|\Z)(.*)", re.DOTALL)
# RFC 5321 4.1.2, loosely: in brackets, and nothing that ends a command or an argument, unless it is quoted.
_PATH: Final = re.compile(
    rb'<(?:[^\0-\x20"<>\\\x7f]|\\[^\0-\x1f\x7f]|"(?:[^\0-\x1f"\\\x7f]|\\[^\0-\x1f\x7f])*+")*+>'
)
# RFC 5321 4.5.3.1.3 has 256; an MTA takes more with a source route, or beyond ASCII.
_LONGEST_PATH: Final = 1000
# RFC 3461 4: what a sender asked to be told goes on with each variant. What RFC 6152 and RFC 6531 say is of the content.
_OF_SENDER: Final = re.compile(rb"RET=(?:FULL|HDRS)|ENVID=[!-~]{1,100}", re.IGNORECASE)
_OF_CONTENT: Final = re.compile(rb"BODY=8BITMIME|SMTPUTF8", re.IGNORECASE)
_OF_RECIPIENT: Final = re.compile(rb"NOTIFY=[A-Z,]{1,40}|ORCPT=[!-~]{1,500}", re.IGNORECASE)
_CLOSE_S: Final = 1.0
_NO_REPLY: Final = "the MTA's answer is no SMTP reply"
# RFC 5321 4.2.3; behind RCPT it means too many recipients (4.5.3.1.10), which is no word on the size.
_TOO_LARGE: Final = 552
_SAYS_SIZE: Final = frozenset({"MAIL FROM", "."})

# What will not change however often the message comes: its size, an address of its envelope.
Obstacle = Literal["size", "address"]


# What Postfix and Sendmail say when they have taken a message.
_QUEUED_AS: Final = re.compile(r"queued as ([A-Za-z0-9]{5,64})\b|\b([0-9A-Za-z]{14,16}) Message accepted")


def queue_ids(said: Iterable[str]) -> tuple[str, ...]:
    """Return the queue ids in what the MTA said to messages that it took."""
    return tuple(found[1] or found[2] for one in said if (found := _QUEUED_AS.search(one)))


class InjectError(FilterdError):
    """The MTA did not take a message from us; nothing of it was sent on."""


class NeverInjectedError(InjectError):
    """The MTA takes this message at no later time either; ``obstacle`` says what stands in its way."""

    def __init__(self, text: str, obstacle: Obstacle) -> None:
        super().__init__(text)
        self.obstacle: Final = obstacle


class Letter(Struct, frozen=True, kw_only=True):
    """One message to hand over: envelope addresses in angle brackets, content with CRLF.

    ``size`` is that of the content in bytes, 0 if it is not known: the MTA can then refuse it before any is sent.
    ``sender_parameters`` and ``parameters`` (by recipient) are as SMTP had them; those that hold for any way go on.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    content: Iterable[bytes]
    eight_bit: bool = True
    size: int = 0
    sender_parameters: tuple[bytes, ...] = ()
    parameters: Mapping[bytes, tuple[bytes, ...]] = {}

    @property
    def international(self) -> bool:
        """Return whether an address cannot do without SMTPUTF8 (RFC 6531)."""
        return not all(address.isascii() for address in (self.sender, *self.recipients))


class _Reply(Struct, frozen=True):
    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """Return it for the log: bounded, printable."""
        words = b" ".join(self.lines)[:300].decode("ascii", "replace")
        return f"{self.code} {''.join(one if one.isprintable() else '?' for one in words)}"


class Injection:
    """One transaction: ``offer`` brings it to the last line, ``finish`` ends it. Use as a context."""

    def __init__(self, settings: InjectSettings, host: bytes) -> None:
        self._settings = settings
        self._host = host
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        """Return it unconnected: ``offer`` connects."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up; a message that was not ended is dropped by the MTA."""
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._writer.wait_closed()

    async def offer(self, letter: Letter) -> None:
        """Send all but the last line. Raises InjectError: the MTA has then taken nothing."""
        for address in (letter.sender, *letter.recipients):
            if len(address) > _LONGEST_PATH or not _PATH.fullmatch(address):
                raise NeverInjectedError(
                    f"{address[:80]!r} cannot be written into an SMTP command", "address"
                )
        if not letter.recipients:
            raise InjectError("a message without recipients")
        with _translated(self._settings):
            async with asyncio.timeout(self._settings.timeout_s):
                await self._envelope(letter)
                await self._content(letter.content)

    async def finish(self) -> str:
        """Send the last line and return what the MTA says. Raises InjectError when it did not take the message."""
        with _translated(self._settings):
            async with asyncio.timeout(self._settings.timeout_s):
                said = await self._command(b".", 250)
                if self._writer is not None:
                    # It has the message, whether it still hears us or not.
                    with contextlib.suppress(ConnectionResetError):
                        put(self._writer, b"QUIT\r\n")
                return said.text

    async def _envelope(self, letter: Letter) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(
            self._settings.socket, limit=_LONGEST_LINE
        )
        await self._expect(220, "the greeting")
        offered = await self._command(b"EHLO " + (self._host or b"localhost"), 250)
        keywords = {line.split(b" ")[0].upper() for line in offered.lines[1:]}
        if letter.international and b"SMTPUTF8" not in keywords:
            raise NeverInjectedError("the MTA takes no addresses beyond ASCII (RFC 6531)", "address")
        await self._command(b"MAIL FROM:" + letter.sender + _mail_options(letter, keywords), 250)
        for recipient in dict.fromkeys(letter.recipients):
            options = letter.parameters.get(recipient, ()) if b"DSN" in keywords else ()
            await self._command(b"RCPT TO:" + recipient + _chosen(options, _OF_RECIPIENT), 250)
        await self._command(b"DATA", 354)

    async def _content(self, pieces: Iterable[bytes]) -> None:
        """Send the content, dots doubled (RFC 5321 4.5.2); behind a bare LF too, which the MTA may take for an end."""
        writer = self._writer
        if writer is None:
            return
        last = b"\r\n"
        for piece in pieces:
            if not piece:
                continue
            stuffed = piece.replace(b"\n.", b"\n..")
            if piece.startswith(b".") and last.endswith(b"\n"):
                stuffed = b"." + stuffed
            put(writer, stuffed)
            last = (last + piece)[-2:]
            await writer.drain()
        if last != b"\r\n":
            put(writer, b"\r\n")

    async def _command(self, line: bytes, wanted: int) -> _Reply:
        if self._writer is None:
            raise InjectError("there is no connection")
        put(self._writer, line + b"\r\n")
        await self._writer.drain()
        return await self._expect(wanted, line.split(b":")[0].decode("ascii", "replace"))

    async def _expect(self, wanted: int, what: str) -> _Reply:
        reply = await self._reply()
        if reply.code // 10 != wanted // 10:
            said = f"the MTA answered {what} with {reply.text}"
            if reply.code == _TOO_LARGE and what in _SAYS_SIZE:
                raise NeverInjectedError(said, "size")
            raise InjectError(said)
        return reply

    async def _reply(self) -> _Reply:
        """Return the next reply, all its lines. Raises InjectError for what is none."""
        if self._reader is None:
            raise InjectError("there is no connection")
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            line = await self._reader.readuntil(b"\n")
            parts = _REPLY.fullmatch(line.rstrip(b"\r\n"))
            if parts is None:
                break
            lines.append(parts[3])
            if parts[2] != b"-":
                return _Reply(int(parts[1]), tuple(lines))
        raise InjectError(_NO_REPLY)


def _mail_options(letter: Letter, keywords: Collection[bytes]) -> bytes:
    """Return the parameters of MAIL that the MTA offers to take."""
    of_content = {one.upper() for one in letter.sender_parameters if _OF_CONTENT.fullmatch(one)}
    eight_bit = letter.eight_bit or b"BODY=8BITMIME" in of_content
    options = b" BODY=8BITMIME" if eight_bit and b"8BITMIME" in keywords else b""
    if letter.size and b"SIZE" in keywords:
        options += b" SIZE=%d" % letter.size  # RFC 1870 4
    if b"SMTPUTF8" in keywords and (letter.international or b"SMTPUTF8" in of_content):
        options += b" SMTPUTF8"
    return options + (_chosen(letter.sender_parameters, _OF_SENDER) if b"DSN" in keywords else b"")


def of_sender(parameters: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return those parameters of MAIL that still hold when a message is handed over at a later time."""
    return tuple(one for one in parameters if _OF_SENDER.fullmatch(one) or _OF_CONTENT.fullmatch(one))


def of_recipient(parameters: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return those parameters of RCPT that still hold when a message is handed over at a later time."""
    return tuple(one for one in parameters if _OF_RECIPIENT.fullmatch(one))


def _chosen(parameters: Iterable[bytes], known: re.Pattern[bytes]) -> bytes:
    return b"".join(b" " + one for one in parameters if known.fullmatch(one))


def unwell(error: InjectError) -> bool:
    """Whether the MTA itself is in trouble; else it is this message that it does not take."""
    return error.__cause__ is not None or str(error) == _NO_REPLY


@contextlib.contextmanager
def _translated(settings: InjectSettings) -> Iterator[None]:
    """Say of whatever goes wrong on the socket that the MTA did not take the message."""
    try:
        yield
    except TimeoutError as error:
        raise InjectError(
            f"the MTA at {settings.socket} gave no answer in {settings.timeout_s:g} s"
        ) from error
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise InjectError(f"the MTA at {settings.socket} broke off") from error
    except OSError as error:
        raise InjectError(
            f"the MTA at {settings.socket} cannot be reached ({error.strerror or error})"
        ) from error


async def inject(settings: InjectSettings, host: bytes, letters: Sequence[Letter]) -> list[str]:
    """Hand over all letters and return what the MTA said to each, or raise InjectError.

    Should the MTA refuse one at its last line after it has taken another, the error is raised as well: the sender
    tries again, and some recipients get the message twice. That is the lesser evil.
    """
    async with contextlib.AsyncExitStack() as stack:
        injections = [await stack.enter_async_context(Injection(settings, host)) for _ in letters]
        for injection, letter in zip(injections, letters, strict=True):
            await injection.offer(letter)
        return [await injection.finish() for injection in injections]
