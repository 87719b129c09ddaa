"""How much one sender has sent of late, counted by all workers together.

The attack it stops: an account or host inside that was taken over and sends as fast as it can, through many connections.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct


class Amount(Struct, frozen=True, kw_only=True):
    """What was sent within a window of time."""

    messages: float = 0.0
    recipients: float = 0.0


class Rates:
    """Counters by key, in memory that all processes share which are forked after it was made.

    A window slides: of the one before, the share counts that is not over yet. The kernel locks a row for its writer and
    unlocks it when that ends, however it ends. Keys beyond ``places`` push out those that have rested longest.
    """

    # Digest of the key, begin of its window (time.monotonic); messages and recipients of that window and of the one before.
    _ENTRY: Final = struct.Struct("=16sd4Q")
    _WAYS: Final = 8  # places that one key may take

    def __init__(self, places: int = 16_384) -> None:
        """Make it, for so many keys at most. Nothing of it takes room before it is used."""
        self._rows = max(1, places // self._WAYS)
        self._row_bytes = self._ENTRY.size * self._WAYS
        self._file = os.memfd_create("rates", os.MFD_CLOEXEC)
        os.ftruncate(self._file, self._rows * self._row_bytes)
        self._at = mmap.mmap(self._file, self._rows * self._row_bytes)

    def add(
        self, key: str, *, messages: int, recipients: int, window_s: float, now: float | None = None
    ) -> Amount:
        """Count (or, with numbers below 0, take back) and return what is in the window then, this included."""
        moment = time.monotonic() if now is None else now
        digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        with self._row(int.from_bytes(digest[:4], "big") % self._rows) as row:
            at = self._place(row, digest)
            own, begun, *sums = self._ENTRY.unpack_from(self._at, at)
            passed = moment - begun
            if own != digest or passed >= 2 * window_s:
                begun, passed, sums = moment, 0.0, [0, 0, 0, 0]
            elif passed >= window_s:
                begun, passed, sums = begun + window_s, passed - window_s, [0, 0, *sums[:2]]
            sums[0], sums[1] = max(0, sums[0] + messages), max(0, sums[1] + recipients)
            self._ENTRY.pack_into(self._at, at, digest, begun, *sums)
        left = 1 - passed / window_s
        return Amount(messages=sums[0] + sums[2] * left, recipients=sums[1] + sums[3] * left)

    def _place(self, row: int, digest: bytes) -> int:
        """Return where a key stands, or else the place of the key whose window began first."""
        places = range(row, row + self._row_bytes, self._ENTRY.size)

        def rested(place: int) -> float:
            own, begun, *_ = self._ENTRY.unpack_from(self._at, place)
            return float("-inf") if own == digest else float(begun)

        return min(places, key=rested)

    @contextmanager
    def _row(self, number: int) -> Iterator[int]:
        """Have a row for oneself. A lock of fcntl(2) is the process's: nothing within the block may wait."""
        start = number * self._row_bytes
        fcntl.lockf(self._file, fcntl.LOCK_EX, self._row_bytes, start)
        try:
            yield start
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, self._row_bytes, start)
