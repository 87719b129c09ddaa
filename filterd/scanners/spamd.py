"""spamd: how much does this message look like spam? The SPAMC protocol, commands SYMBOLS and TELL.

Source: SpamAssassin's spamd/PROTOCOL. SpamAssassin judges the host that handed a message over by the topmost
Received line, and the MTA adds its own only after the filter has spoken: so one is put before the message, with
the client, HELO and sender of this session, and X-Envelope-From above it. Both go to spamd only.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from filterd.config import SpamdSettings
from filterd.errors import ScannerAnswerError, ScannerDownError
from filterd.health import Condition
from filterd.log import Log, shown
from filterd.message import Envelope, Message

from .wire import Gate, Wire

_MAX_ANSWER: Final = 64 * 1024
_MAX_SYMBOLS: Final = 200
_STATUS: Final = re.compile(rb"SPAMD/[0-9]{1,3}\.[0-9]{1,3} ([0-9]{1,3}) [ -~]*")
_NUMBER: Final = rb"-?[0-9]{1,6}(?:\.[0-9]{1,6})?"
_VERDICT: Final = re.compile(rb"(?:True|False|Yes|No) ; (" + _NUMBER + rb") / " + _NUMBER)
_SYMBOL: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE (sysexits.h): what spamd answers to TELL without --allow-tell
_ANNOUNCED: Final = re.compile(rb"\r\n(?i:content-length): *([0-9]{1,9})\r\n")
_LENGTH: Final = re.compile(rb"[0-9]{1,9}")
_ADDRESS: Final = re.compile(rb"[0-9A-Fa-f:.]{2,45}")
_UNSAFE: Final = re.compile(
    rb"[^!-'*-:=?-Z^-~]"
)  # keeps a peer's text from ending a comment, bracket or line


class SpamdAnswer(Struct, frozen=True):
    """What spamd says: the score, and the names of the rules that hit."""

    score: float
    symbols: tuple[str, ...]


def _word(value: bytes | None, otherwise: bytes = b"unknown") -> bytes:
    return _UNSAFE.sub(b"_", value[:255]) if value else otherwise


def trace(envelope: Envelope, now: float) -> bytes:
    """Return the header lines that tell spamd of this session. ``now`` is in seconds since 1970.

    A client whose address is not known has none in them: any that stood there would be trusted or blamed.
    """
    sender = _word(envelope.sender.strip(b"<>"), b"")
    address = envelope.client_address
    literal = b" [%s]" % address if _ADDRESS.fullmatch(address) else b""
    client = b"%s (%s%s)" % (_word(envelope.helo), _word(envelope.client_name), literal)
    protocol = b"ESMTPA" if envelope.user else b"ESMTP"
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(now)).encode("ascii")
    return (
        b"X-Envelope-From: <%s>\r\n"
        b"Received: from %s\r\n\tby %s with %s id %s\r\n\t(envelope-from <%s>); %s\r\n"
    ) % (sender, client, _word(envelope.host), protocol, _word(envelope.queue_id), sender, date)


def telling(length: int, user: str, *, spam: bool) -> bytes:
    """Return the head of a TELL request: this message of ``length`` bytes is spam, or is none; learn it (spamd/PROTOCOL)."""
    lines = [
        "TELL SPAMC/1.5",
        *([f"User: {user}"] if user else []),
        f"Content-length: {length}",
        f"Message-class: {'spam' if spam else 'ham'}",
        "Set: local",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def told(answer: bytes) -> bool:
    """Return whether spamd has learnt a message; False: it knew it already. Raises ScannerAnswerError, ScannerDownError."""
    if not answer:
        raise ScannerDownError("spamd hung up without an answer")
    status, *lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    number = _STATUS.fullmatch(status)
    if number is not None and int(number.group(1)) == _UNAVAILABLE:
        raise ScannerAnswerError("spamd learns nothing: start it with --allow-tell")
    if number is None or int(number.group(1)) != 0:
        raise ScannerAnswerError(f"spamd answered {shown(status)}")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
    }
    return b"local" in headers.get(b"didset", b"").split(b",")


def request(length: int, user: str) -> bytes:
    """Return the head of a SYMBOLS request for ``length`` bytes, and spamd's name for whose rules to use."""
    lines = ["SYMBOLS SPAMC/1.5", *([f"User: {user}"] if user else []), f"Content-length: {length}", "", ""]
    return "\r\n".join(lines).encode("ascii")


def parse(answer: bytes) -> SpamdAnswer:
    """Return the meaning of a whole answer. Raises ScannerAnswerError for an error, a gap or anything unknown."""
    if not answer:
        raise ScannerDownError("spamd hung up without an answer")
    head, blank, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    number = _STATUS.fullmatch(status)
    if not blank or number is None or int(number.group(1)) != 0:
        raise ScannerAnswerError(f"spamd answered {shown(status)}")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or headers.setdefault(name.strip().lower(), value.strip()) != value.strip():
            raise ScannerAnswerError(f"spamd sent the header {shown(line)}")
    verdict = _VERDICT.fullmatch(headers.get(b"spam", b""))
    length = headers.get(b"content-length", b"%d" % len(body))
    if verdict is None or not _LENGTH.fullmatch(length) or len(body) < int(length):
        raise ScannerAnswerError("spamd's answer has no score or is cut off")
    # What stands behind is none of it, whether it came in time to be read or not.
    names = (name.strip() for name in body[: int(length)].decode("ascii", "replace").split(","))
    symbols = tuple(name for name in names if _SYMBOL.fullmatch(name))
    return SpamdAnswer(float(verdict.group(1)), symbols[:_MAX_SYMBOLS])


def _is_whole(answer: bytes | bytearray) -> bool:
    """Whether an answer has all that it announces: the end of the connection need not be waited for.

    spamd's child is free only when it has tidied up behind it. Until then the next question waits in spamd's listen queue,
    within its own time.
    """
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = _ANNOUNCED.search(head + b"\r\n") if blank else None
    return length is not None and len(body) >= int(length[1])


class Spamd:
    """The client of one worker. ``slots`` is its share of ``max_concurrent``."""

    def __init__(self, settings: SpamdSettings, *, slots: int, log: Log) -> None:
        self._path = settings.socket
        self._user = settings.user
        self._max_bytes = settings.max_bytes
        self._start_bytes = min(settings.start_bytes, settings.max_bytes)
        self._gate = Gate("spamd", slots=slots, timeout_s=settings.timeout_s, log=log)

    @property
    def condition(self) -> Condition:
        """Return how it fares."""
        return self._gate.condition

    async def ping(self) -> None:
        """Return when spamd is up. Raises ScannerError."""

        async def question() -> None:
            async with Wire(self._path) as wire:
                await wire.send(b"PING SPAMC/1.5\r\n\r\n")
                answer = await wire.receive(_MAX_ANSWER, b"\n")
            if not re.fullmatch(rb"SPAMD/[0-9.]{3,7} 0 PONG\r\n", answer):
                raise ScannerAnswerError(f"spamd answered {shown(answer)} to a ping")

        await self._gate.ask(question)

    async def score(self, message: Message) -> SpamdAnswer:
        """Return score and rules of a message, or of the start of a long one. Raises ScannerError."""
        return await self._gate.ask(lambda: self._score(message))

    async def tell(self, message: Message, *, spam: bool) -> bool:
        """Have spamd learn a message, of which it gets what it gets for a score. Returns as told(). Raises ScannerError."""

        async def question() -> bool:
            return told(await self._answer(message, lambda length: telling(length, self._user, spam=spam)))

        return await self._gate.ask(question)

    async def _score(self, message: Message) -> SpamdAnswer:
        return parse(await self._answer(message, lambda length: request(length, self._user)))

    async def _answer(self, message: Message, head: Callable[[int], bytes]) -> bytes:
        """Return the answer to a request with a message, whose head is made for its length."""
        lead = trace(message.envelope, time.time())
        size = message.spool.size
        given = size if size <= self._max_bytes else self._start_bytes
        async with Wire(self._path) as wire:
            # If spamd hangs up early it says why before: read that.
            with suppress(BrokenPipeError, ConnectionResetError):
                await wire.send(head(len(lead) + given) + lead)
                await wire.send_all(message.spool.pieces(given))
                # spamd reads by lines: where the content does not end with one, it waits for this, whatever
                # Content-length said.
                wire.end_request()
            return await wire.receive(_MAX_ANSWER, whole=_is_whole)
