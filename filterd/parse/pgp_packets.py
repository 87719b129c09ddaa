"""OpenPGP files that are only stored or compressed: who has no key reads them all the same (RFC 9580 4, 5.6, 5.9)."""

import binascii
import bz2
import re
from collections.abc import Iterator
from typing import Final

from . import native
from .harvest import Content, Harvest
from .inflate import RAW, ZLIB, inflated

_ARMOUR: Final = re.compile(
    rb"-----BEGIN PGP (?:MESSAGE|ARMORED FILE)[^-\r\n]{0,40}-----\r?\n(?:[!-9;-~]{1,40}:[^\r\n]*\r?\n)*+[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\r\n]+)"
)
_COMPRESSED, _LITERAL = 8, 11
_ENCRYPTED: Final = frozenset({1, 3, 9, 18, 20})
_PIECE: Final = 64 * 1024
_MAX_PACKETS: Final = 100
_MAX_ARMOURS: Final = 20


def is_packets(content: Content) -> bool:
    """Return whether a content of no other kind begins like a compressed packet, of old or new form."""
    return content.kind == "unknown" and _starts_compressed(content.data)


def _starts_compressed(data: bytes) -> bool:
    packet = next(_packets(data), None)
    return packet is not None and packet[0] == _COMPRESSED and packet[1][:1] in {b"\1", b"\2", b"\3"}


def open_packets(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the files in the packets of a binary OpenPGP file."""
    for number, data in enumerate(_files(content.data, content, harvest), 1):
        yield content.inner(number, data, "pgp")


def open_armour(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the files in armoured messages (kind "pgp")."""
    number = 0
    for armour, _ in zip(_ARMOUR.finditer(content.data), range(_MAX_ARMOURS), strict=False):
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", armour[1].partition(b"=")[0])
        letters = letters[: len(letters) - (len(letters) % 4 == 1)]
        for data in _files(binascii.a2b_base64(letters + b"=" * (-len(letters) % 4)), content, harvest):
            number += 1
            yield content.inner(number, data, "pgp")


def _files(data: bytes, content: Content, harvest: Harvest) -> Iterator[bytes]:
    for tag, body in _packets(data):
        harvest.budget.take_time()
        if tag in _ENCRYPTED:
            harvest.note("integrity.encrypted", content)
            return
        if tag == _COMPRESSED:
            inner = harvest.budget.read_all(_unpacked(body), len(data))
            harvest.budget.take_entry()
            yield inner
            yield from _files(inner, content, harvest) if not _starts_compressed(inner) else ()
        elif tag == _LITERAL and len(body) > 6 + body[1]:
            harvest.budget.take_entry()
            yield body[6 + body[1] :]


def _unpacked(body: bytes) -> Iterator[bytes]:
    """Yield what the algorithm in the first byte unpacks: deflate, zlib, bzip2; up to where it is broken."""
    data = body[1:]
    if body[:1] == b"\3":
        yield from _bunzipped(data)
        return
    yield from inflated(data, RAW if body[:1] == b"\1" else ZLIB)


def _bunzipped(data: bytes) -> Iterator[bytes]:
    native.note()
    unpacker = bz2.BZ2Decompressor()
    try:
        yield unpacker.decompress(data, _PIECE)
        while not unpacker.eof and not unpacker.needs_input:
            yield unpacker.decompress(b"", _PIECE)
    except (OSError, ValueError):
        return


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, body) of the packets; one without a length goes to the end."""
    at = 0
    for _ in range(_MAX_PACKETS):
        if at >= len(data) or not data[at] & 0x80:
            return
        first, at = data[at], at + 1
        if first & 0x40:
            body, at = _new_body(data, at)
            yield first & 0x3F, body
            continue
        size = 1 << (first & 3) if first & 3 < 3 else 0
        length = int.from_bytes(data[at : at + size], "big") if size else len(data)
        at += size
        yield first >> 2 & 15, data[at : at + length]
        at += length


def _new_body(data: bytes, at: int) -> tuple[bytes, int]:
    """Return a body whose length is of the new form, in one piece or several (4.2.1), and where it ends."""
    pieces: list[bytes] = []
    while at < len(data):
        first, at, partial = data[at], at + 1, False
        length = first
        if 192 <= first < 224:
            length = (first - 192 << 8) + int.from_bytes(data[at : at + 1], "big") + 192
            at += 1
        elif first == 255:
            length = int.from_bytes(data[at : at + 4], "big")
            at += 4
        elif first >= 224:
            length, partial = 1 << (first & 31), True
        pieces.append(data[at : at + length])
        at += length
        if not partial:
            break
    return b"".join(pieces), at
