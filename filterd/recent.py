"""What was found in messages of late: the same message in the same envelope is looked at once.

The attack it stops: a mailing of many equal messages that keeps the engines busy. Only whole reports are kept, for a
short time, and none of a message that nobody could inspect; a new signature database or configuration ends them all.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from . import __version__
from .config import Config, ListEntry
from .findings import Verdict
from .message import Message
from .pipeline import Report
from .policy.decide import REQUIRED
from .stages import virus

_MOST: Final = 512 * 1024  # bytes of one report; greater ones are rare, and would drive out many
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Report)

Examine = Callable[[], Awaitable[Report]]


class Memory(Protocol):
    """Where reports are kept: the ledger's process, for all workers."""

    async def recall(self, key: bytes) -> bytes:
        """Return what is kept under a key, or b""."""

    def remember(self, key: bytes, value: bytes) -> None:
        """Keep a value."""


class Recent:
    """The reports of late, as one worker sees them."""

    def __init__(self, config: Config, memory: Memory, lists: Sequence[ListEntry] = ()) -> None:
        """Begin without any. ``lists`` of senders are those in force, on which a report depends as well."""
        self._memory = memory
        self._salt = hashlib.sha256(__version__.encode() + msgspec.json.encode((config, lists))).digest()
        self._going: dict[bytes, asyncio.Event] = {}

    async def report(self, message: Message, examine: Examine) -> Report:
        """Return the report of a message: a recent one of the same, or what ``examine`` finds."""
        if message.oversize:
            return await examine()
        key = self._key(message)
        if (going := self._going.get(key)) is not None:
            # The same message is being looked at for another connection. If nothing comes of that, there is no queue:
            # each looks for itself, or a message on which an engine hangs would hold up all that are like it.
            await going.wait()
            return await self._recalled(key) or await examine()
        self._going[key] = asyncio.Event()
        try:
            if (known := await self._recalled(key)) is not None:
                return known
            report = await examine()
            if (value := _kept(report)) and len(value) <= _MOST:
                self._memory.remember(key, value)
            return report
        finally:
            self._going.pop(key).set()

    async def _recalled(self, key: bytes) -> Report | None:
        value = await self._memory.recall(key)
        return _DECODER.decode(value) if value else None

    def _key(self, message: Message) -> bytes:
        one = message.envelope
        envelope = (one.client_address, one.client_name, one.helo, one.sender, one.user, one.recipients)
        return hashlib.sha256(self._salt + _ENCODER.encode(envelope) + message.digest()).digest()


def _kept(report: Report) -> bytes:
    """Return a report as it is kept, or b"" for one that is not."""
    seen = {result.stage for result in report.results}
    whole = seen >= REQUIRED or virus.STAGE.id in seen
    if not whole or any(found.verdict is Verdict.NOT_INSPECTED for found in report.findings):
        return b""
    try:
        return _ENCODER.encode(report)
    except UnicodeEncodeError:
        return b""
