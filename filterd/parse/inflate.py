"""Deflated bytes (RFC 1950, 1951), a piece at a time, so that a budget is asked before the next one is made."""

import zlib
from collections.abc import Iterator
from typing import Final

RAW: Final = -15  # zlib's number for deflate without a head
ZLIB: Final = 15
_PIECE: Final = 64 * 1024


def inflated(data: bytes, form: int = ZLIB) -> Iterator[bytes]:
    """Yield what is packed in ``data``, in pieces of at most 64 KiB, up to its end or to where it is broken."""
    unpacker = zlib.decompressobj(form)
    try:
        while data and not unpacker.eof:
            yield unpacker.decompress(data, _PIECE)
            data = unpacker.unconsumed_tail
    except zlib.error:
        return
