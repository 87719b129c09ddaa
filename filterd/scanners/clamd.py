"""clamd: is there malware in these bytes? Descriptor passing (FILDES), else the bytes themselves (INSTREAM).

Source: clamd(8), section COMMANDS. Requests begin with ``z``, so requests and answers end in NUL.
"""

import os
import re
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from msgspec import Struct

from filterd.config import ClamdSettings
from filterd.errors import ScannerAnswerError, ScannerDownError
from filterd.health import Condition
from filterd.log import Log, shown

from .scan import ScanAnswer, Scannable
from .wire import Gate, Wire

_LENGTH: Final = struct.Struct("!I")
_MAX_ANSWER: Final = 4096
_SMALL: Final = 64 * 1024  # goes in one system call
# The name before the colon is "stream" or "fd[N]"; a signature has no blank in it.
_CLEAN: Final = re.compile(rb"(?:stream|fd\[[0-9]+\]): OK")
_FOUND: Final = re.compile(rb"(?:stream|fd\[[0-9]+\]): ([!-~]{1,512}) FOUND")
# What clamd says when it has no FILDES, got no descriptor, or may not look behind it. Only these speak of the
# descriptor; anything else may be about the content, which is then not looked at a second time.
_REFUSAL: Final = re.compile(
    rb"(?:UNKNOWN COMMAND|No file descriptor received|FILDES: didn't receive file descriptor"
    rb"|FILDES support not compiled in|fd\[-?[0-9]+\]: (?:Not a regular file|Can't access file))"
    rb"\.?(?: ERROR)?\0"
)
_TOO_LARGE: Final = b"INSTREAM size limit exceeded. ERROR"
_LIMIT: Final = "Heuristics.Limits.Exceeded"
_OUT_OF_TIME: Final = "Heuristics.Limits.Exceeded.MaxScanTime"


# "ClamAV 1.4.3/27800/Mon Nov 16 08:26:11 2026"; without a database only the first word pair.
_VERSION: Final = re.compile(rb"ClamAV ([!-.0-~]{1,64})(?:/([0-9]{1,9})/([ -~]{1,64}))?")


class Version(Struct, frozen=True, kw_only=True):
    """Which engine and signature database clamd has; ``built`` in seconds since 1970, 0: there is no database."""

    engine: str
    database: int = 0
    built: float = 0.0


class DescriptorRefusedError(ScannerAnswerError):
    """clamd did not get the descriptor, or may not read it: the content has not been looked at."""


def parse(answer: bytes) -> ScanAnswer:
    """Return the meaning of a whole answer with its NUL. Raises ScannerAnswerError for anything unknown."""
    if not answer:
        raise ScannerDownError("clamd hung up without an answer")
    line, nul, rest = answer.partition(b"\0")
    if not nul or rest:
        raise ScannerAnswerError(f"clamd's answer is not one line: {shown(answer)}")
    if _CLEAN.fullmatch(line):
        return ScanAnswer()
    if line == _TOO_LARGE:
        return ScanAnswer(limit="StreamMaxLength")
    if found := _FOUND.fullmatch(line):
        name = found.group(1).decode("ascii")
        # Not a property of the message: on a calmer host, or later, it can be inspected.
        if name == _OUT_OF_TIME:
            raise ScannerAnswerError("clamd ran out of time")
        return ScanAnswer(limit=name) if name.startswith(_LIMIT) else ScanAnswer(signature=name)
    raise ScannerAnswerError(f"clamd answered {shown(line)}")


def parse_version(answer: bytes) -> Version:
    """Return what a whole answer to VERSION says. Raises ScannerAnswerError. The date is in clamd's local time."""
    line, nul, rest = answer.partition(b"\0")
    said = _VERSION.fullmatch(line)
    if said is None or not nul or rest:
        raise ScannerAnswerError(f"clamd answered {shown(answer)} when asked for its version")
    engine, number, date = said.groups()
    if number is None:
        return Version(engine=engine.decode("ascii"))
    try:
        built = time.mktime(time.strptime(date.decode("ascii"), "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError) as error:
        raise ScannerAnswerError(f"clamd dates its database {shown(date)}") from error
    return Version(engine=engine.decode("ascii"), database=int(number), built=built)


def stream(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return an INSTREAM request: command, pieces with their length before them, a zero length."""
    yield b"zINSTREAM\0"
    for piece in pieces:
        yield _LENGTH.pack(len(piece)) + piece
    yield _LENGTH.pack(0)


class Clamd:
    """The client of one worker. ``slots`` is its share of ``max_concurrent``."""

    name: Final = "clamd"

    def __init__(self, settings: ClamdSettings, *, slots: int, log: Log) -> None:
        self._path = settings.socket
        self._log = log
        self._fdpass = settings.fdpass
        self._timeout_s = settings.timeout_s
        self._gate = Gate("clamd", slots=slots, timeout_s=settings.timeout_s, log=log)

    @property
    def condition(self) -> Condition:
        """Return how it fares."""
        return self._gate.condition

    async def version(self) -> Version:
        """Return which engine and database it has. Raises ScannerError."""

        async def question() -> Version:
            async with Wire(self._path) as wire:
                await wire.send(b"zVERSION\0")
                return parse_version(await wire.receive(_MAX_ANSWER, b"\0"))

        # One that keeps it to itself is not down.
        return await Gate("clamd", slots=1, timeout_s=self._timeout_s, log=Log(-1)).ask(question)

    async def ping(self) -> None:
        """Return when clamd is up. Raises ScannerError."""

        async def question() -> None:
            async with Wire(self._path) as wire:
                await wire.send(b"zPING\0")
                if (answer := await wire.receive(_MAX_ANSWER, b"\0")) != b"PONG\0":
                    raise ScannerAnswerError(f"clamd answered {shown(answer)} to a ping")

        await self._gate.ask(question)

    async def scan(self, content: Scannable) -> ScanAnswer:
        """Return what clamd says about the content. Raises ScannerError when that cannot be known."""
        return await self._gate.ask(lambda: self._scan(content))

    async def _scan(self, content: Scannable) -> ScanAnswer:
        descriptor = content.descriptor() if self._fdpass else None
        if descriptor is None:
            return await self._by_stream(content)
        try:
            return parse(await self._by_descriptor(descriptor))
        except DescriptorRefusedError as refused:
            why = str(refused)
        except (ScannerDownError, ConnectionResetError):
            if await self._takes_descriptors_like(content):
                raise
            why = "clamd hangs up on descriptors"
        # clamd may be barred from our descriptors (a profile, another kernel): hand it the bytes. Once that has
        # worked where the descriptor did not, this worker does not try descriptors again.
        answer = await self._by_stream(content)
        self._fdpass = False
        self._log.event("clamd_descriptor_refused", why=why[:500])
        return answer

    async def _takes_descriptors_like(self, content: Scannable) -> bool:
        """Whether a hang-up was about the content: an empty descriptor of the same kind gets an answer.

        clamd hangs up without a word when SELinux or AppArmor keeps a descriptor from it, and when it dies.
        """
        blank = content.blank()
        try:
            return bool(await self._by_descriptor(blank))
        except (DescriptorRefusedError, ConnectionResetError):
            return False
        finally:
            os.close(blank)

    async def _by_descriptor(self, descriptor: int) -> bytes:
        """Return clamd's answer. Raises DescriptorRefusedError when it is about the descriptor."""
        async with Wire(self._path) as wire:
            # One that does not know FILDES answers so and hangs up at once.
            with suppress(BrokenPipeError, ConnectionResetError):
                _send(wire, descriptor)
            answer = await wire.receive(_MAX_ANSWER, b"\0")
        if _REFUSAL.fullmatch(answer):
            raise DescriptorRefusedError(f"clamd answered {shown(answer[:-1])}")
        return answer

    async def _by_stream(self, content: Scannable) -> ScanAnswer:
        async with Wire(self._path) as wire:
            # clamd answers and hangs up as soon as StreamMaxLength is passed: that answer is still to read.
            with suppress(BrokenPipeError, ConnectionResetError):
                if content.size <= _SMALL:
                    await wire.send(b"".join(stream(content.pieces())))
                else:
                    await wire.send_all(stream(content.pieces()))
            return parse(await wire.receive(_MAX_ANSWER, b"\0"))


def _send(wire: Wire, descriptor: int) -> None:
    try:
        wire.send_descriptor(b"zFILDES\0", descriptor)
    except ConnectionError:
        raise
    except OSError as error:
        raise DescriptorRefusedError(f"the descriptor cannot be sent: {error}") from error
