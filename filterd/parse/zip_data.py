"""Unpacks compressed data in pieces, and says where they ended: the members of zips, and single streams."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from . import native
from .archive_library import LibraryError

STORED: Final = 0
_DEFLATED: Final = 8
_PIECE: Final = 1 << 18
_STORED_PIECE: Final = 1 << 24
_MEMORY: Final = 128 << 20


class Unpacker(Protocol):
    """What zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Return whether the stream has come to its end."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Return what was given behind that end."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most ``max_length`` bytes more."""
        ...


class Unpacked:
    """The pieces of one stream; afterwards ``used`` is the number of its packed bytes, ``broken`` if it ended early.

    ``method``: a zip's method number (one of METHODS), or what makes the unpacker. ``size``: the unpacked bytes,
    where the data themselves do not tell their end (-1: they do).
    """

    def __init__(
        self, data: bytes, method: int | Callable[[], Unpacker], start: int, end: int, size: int = -1
    ) -> None:
        self._data = data
        self._method = method
        self._start = start
        self._end = end
        self._size = size
        self.used = 0
        self.broken = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield bytes. Raises LibraryError where the data are broken."""
        if self._method == STORED:
            self.used = max(0, self._end - self._start)
            for at in range(self._start, self._end, _STORED_PIECE):
                yield self._data[at : min(at + _STORED_PIECE, self._end)]
            return
        try:
            yield from self._unpack()
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, struct.error) as error:
            self.broken = True
            text = "needs too much memory: unsupported" if "limit" in str(error) else "broken data"
            raise LibraryError(f"{text} ({error})", fatal=False) from error

    def _unpack(self) -> Iterator[bytes]:
        at, unpacker = self._begun()
        pending, done, given = b"", False, 0
        while not unpacker.eof and not done:
            if not pending and getattr(unpacker, "needs_input", True):
                pending = self._data[at : min(at + _PIECE, self._end)]
                at += len(pending)
            last = not pending
            piece = unpacker.decompress(pending, _PIECE)
            pending = getattr(unpacker, "unconsumed_tail", b"")
            done = last and not piece and getattr(unpacker, "needs_input", True)
            if piece:
                given += len(piece)
                yield piece
        self.used = at - len(unpacker.unused_data) - self._start
        if not unpacker.eof and given != self._size:
            self.broken = True
            raise LibraryError("broken data (they end too early)", fatal=False)

    def _begun(self) -> tuple[int, Unpacker]:
        """Return where the packed data proper begin, and what unpacks them."""
        if self._method != _DEFLATED:
            native.note()
        if callable(self._method):
            return self._start, self._method()
        return _START[self._method](self._data, self._start)


def _lzma(data: bytes, start: int) -> tuple[int, Unpacker]:
    """APPNOTE 5.8.8: version, length of the properties, properties; then what a .lzma file has behind its length."""
    length = struct.unpack_from("<H", data, start + 2)[0]
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MEMORY)
    unpacker.decompress(data[start + 4 : start + 4 + length] + b"\xff" * 8, -1)
    return start + 4 + length, unpacker


_START: Final[dict[int, Callable[[bytes, int], tuple[int, Unpacker]]]] = {
    _DEFLATED: lambda _, start: (start, zlib.decompressobj(-15)),
    12: lambda _, start: (start, bz2.BZ2Decompressor()),
    14: _lzma,
    95: lambda _, start: (start, lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY)),
}
METHODS: Final = frozenset(_START) | {STORED}
