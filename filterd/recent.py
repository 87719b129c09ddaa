"""What was found in messages of late: the same message in the same envelope is looked at once.

The attack it stops: a mailing of many equal messages that keeps the engines busy. Only whole reports are kept, for a
short time, and none of a message that nobody could inspect; a new signature database or configuration ends them all.
The virus engines see the message each time all the same: they may have got signatures of which they tell nobody.
"""

import asyncio
import hashlib
import mmap
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from . import __version__
from .config import Config, ListEntry
from .findings import Verdict
from .message import Message
from .pipeline import Report
from .policy.decide import REQUIRED
from .stages import virus

_SECONDS: Final = 300.0
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Report)

Examine = Callable[[], Awaitable[Report]]
# Whether what was found in a message still is all that the virus engines have against it.
Holds = Callable[[Report], Awaitable[bool]]


class Memory:
    """Reports by key, in memory that all processes share which are forked after it was made.

    There are no locks: of two that write to one place at a time neither is believed, by the digest of all of it.
    A value that is longer than ``longest`` bytes is not kept.
    """

    _DATABASE: Final = struct.Struct("=d")
    # Digest of what follows, until when it holds (by time.monotonic), the signature database, the value's length; the key.
    _HEAD: Final = struct.Struct("=16sddI32s")
    _PLACE: Final = 8192  # bytes
    _WAYS: Final = 4  # places that one key may take

    def __init__(self, places: int = 1024, *, seconds: float = _SECONDS) -> None:
        """Make it, for so many reports at most. Nothing of it takes room before it is used."""
        self._seconds = seconds
        self._rows = max(1, places // self._WAYS)
        self._at = mmap.mmap(-1, self._PLACE * (1 + self._rows * self._WAYS))
        self.longest = self._PLACE - self._HEAD.size

    def recall(self, key: bytes) -> bytes:
        """Return what is remembered under a key of 32 bytes, or b""."""
        for place in self._places(key):
            check, until, database, length, own = self._HEAD.unpack_from(self._at, place)
            if own != key or time.monotonic() >= until or database != self.database:
                continue
            value = self._at[place + self._HEAD.size : place + self._HEAD.size + min(length, self.longest)]
            if check == self._check(until, database, key, value):
                return value
        return b""

    def remember(self, key: bytes, value: bytes, database: float) -> None:
        """Keep what was found under a signature database, in the place of the same key or of the oldest one there."""
        if len(value) > self.longest:
            return
        until = time.monotonic() + self._seconds

        def age(place: int) -> float:
            _, before, _, _, own = self._HEAD.unpack_from(self._at, place)
            return float("-inf") if own == key else float(before)

        place = min(self._places(key), key=age)
        check = self._check(until, database, key, value)
        head = self._HEAD.pack(check, until, database, len(value), key)
        self._at[place : place + len(head) + len(value)] = head + value

    @property
    def database(self) -> float:
        """The virus engine's signature database: what was found under another one is forgotten, as it may know better."""
        return float(self._DATABASE.unpack_from(self._at)[0])

    @database.setter
    def database(self, number: float) -> None:
        self._DATABASE.pack_into(self._at, 0, number)

    def _places(self, key: bytes) -> range:
        row = int.from_bytes(key[:4], "big") % self._rows
        first = self._PLACE * (1 + row * self._WAYS)
        return range(first, first + self._PLACE * self._WAYS, self._PLACE)

    @classmethod
    def _check(cls, until: float, database: float, key: bytes, value: bytes) -> bytes:
        whole = cls._HEAD.pack(b"", until, database, len(value), key) + value
        return hashlib.blake2b(whole, digest_size=16).digest()


class Recent:
    """The reports of late, as one worker sees them."""

    def __init__(self, config: Config, memory: Memory, lists: Sequence[ListEntry] = ()) -> None:
        """Begin without any. ``lists`` of senders are those in force, on which a report depends as well."""
        self._memory = memory
        self._salt = hashlib.sha256(__version__.encode() + msgspec.json.encode((config, lists))).digest()
        self._going: dict[bytes, asyncio.Event] = {}

    async def report(self, message: Message, examine: Examine, holds: Holds) -> Report:
        """Return the report of a message: a recent one of the same, if it ``holds``, or what ``examine`` finds."""
        if message.oversize:
            return await examine()
        key = self._key(message)
        if (going := self._going.get(key)) is not None:
            # The same message is being looked at for another connection. If nothing comes of that, there is no queue:
            # each looks for itself, or a message on which an engine hangs would hold up all that are like it.
            await going.wait()
            return await self._recalled(key, holds) or await examine()
        self._going[key] = asyncio.Event()
        try:
            if (known := await self._recalled(key, holds)) is not None:
                return known
            # As of now: another one may come while the message is looked at.
            database = self._memory.database
            report = await examine()
            if value := _kept(report):
                self._memory.remember(key, value, database)
            return report
        finally:
            self._going.pop(key).set()

    async def _recalled(self, key: bytes, holds: Holds) -> Report | None:
        if not (value := self._memory.recall(key)):
            return None
        known = _DECODER.decode(value)
        return known if await holds(known) else None

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
