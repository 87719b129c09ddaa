"""Opens compressed streams: gzip (RFC 1952), bzip2, xz, lzma; by libarchive zstd, lz4, lzip, compress, rpm."""

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from .archive_library import LibraryError, items
from .archive_members import Members, Opener
from .harvest import Content, Harvest
from .zip_data import Unpacked, Unpacker

_MEMORY: Final = 128 << 20
_SUFFIX: Final = re.compile(r"\.(?:gz|bz2?|xz|lzma|zst|lz4?|z)$", re.IGNORECASE)
_TAR_SUFFIX: Final = re.compile(r"\.t(?:gz|bz2?|xz|lz|zst|az)$", re.IGNORECASE)
_HAS_CRC, _HAS_EXTRA, _HAS_NAME, _HAS_COMMENT = 2, 4, 8, 16  # RFC 1952 2.3.1
_TRAILER: Final = 8
_FILTERS: Final = {
    "zst": "zstd",
    "lz4": "lz4",
    "lzip": "lzip",
    "compress": "compress",
    "rpm": "rpm",
}


def inner_name(name: str) -> str:
    """Return the name that a compressed file has unpacked: "a.tgz" holds "a.tar", "b.gz" holds "b"."""
    return _TAR_SUFFIX.sub(".tar", name) if _TAR_SUFFIX.search(name) else _SUFFIX.sub("", name)


def open_gzip(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what a gzip file holds: all members joined, as gunzip does, the first alone, and what trails them."""
    members, data = Members(content, harvest, "gz"), content.data
    name, at = inner_name(content.name), 0
    parts: list[bytes] = []
    while data[at : at + 3] == b"\x1f\x8b\x08":
        harvest.budget.take_time()
        start, inner = _gzip_header(data, at)
        unpacked = Unpacked(data, 8, start, len(data))
        parts.append(members.pieces(unpacked))
        name = inner or name
        if unpacked.broken:
            at = len(data)
            break
        at = start + unpacked.used
        if data[at : at + _TRAILER] != struct.pack("<II", zlib.crc32(parts[-1]), len(parts[-1]) & 0xFFFFFFFF):
            members.note("archive.checksum")
        at += _TRAILER
    yield from _joined(members, name, parts, data[at:])


def _gzip_header(data: bytes, at: int) -> tuple[int, str]:
    """Return where the deflated data start, and the name in the header."""
    flags, place, name = data[at + 3] if len(data) > at + 3 else 0, at + 10, ""
    if flags & _HAS_EXTRA and place + 2 <= len(data):
        place += 2 + struct.unpack_from("<H", data, place)[0]
    for flag in (_HAS_NAME, _HAS_COMMENT):
        if flags & flag:
            end = data.find(b"\0", place)
            if flag == _HAS_NAME and end != -1:
                name = data[place : min(end, place + 1024)].decode("utf-8", "replace")
            place = end + 1 if end != -1 else len(data)
    return place + (2 if flags & _HAS_CRC else 0), name


def _joined(members: Members, name: str, parts: list[bytes], rest: bytes) -> Iterator[Content]:
    yield from members.offer((name,), b"".join(parts))
    if len(parts) > 1:
        # Some readers stop behind the first member.
        yield from members.offer((name,), parts[0])
        yield from members.offer((name,), parts[-1])
    if rest.strip(b"\0"):
        yield from members.offer((), rest)


def open_stream(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what bzip2, xz or lzma data hold: all streams joined, the first alone, and what trails them."""
    members, data, at = Members(content, harvest, content.kind), content.data, 0
    parts: list[bytes] = []
    while at < len(data) and (
        not parts or (_MAGIC[content.kind] and data.startswith(_MAGIC[content.kind], at))
    ):
        harvest.budget.take_time()
        unpacked = Unpacked(data, _UNPACKERS[content.kind], at, len(data))
        parts.append(members.pieces(unpacked))
        if unpacked.broken:
            at = len(data)
            break
        at += unpacked.used
        # Streams of xz may be padded with zero bytes (xz file format 2.2).
        at += len(data) - at - len(data[at:].lstrip(b"\0")) if content.kind == "xz" else 0
    yield from _joined(members, inner_name(content.name), parts, data[at:])


_MAGIC: Final = {"bz2": b"BZh", "xz": b"\xfd7zXZ\0", "lzma": b"", "zlib": b"\x78"}
_UNPACKERS: Final[dict[str, Callable[[], Unpacker]]] = {
    "bz2": bz2.BZ2Decompressor,
    "zlib": zlib.decompressobj,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MEMORY),
}


def open_filtered(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what libarchive unpacks as one stream."""
    members = Members(content, harvest, content.kind)
    name = "" if content.kind == "rpm" else inner_name(content.name)
    data = _behind_skippable(content.data)
    kind = "lz4" if data.startswith(b"\x04\x22\x4d\x18") else content.kind
    try:
        for item in items(data, ("raw",), filters=(_FILTERS[kind],)):
            yield from members.offer((name,), members.pieces(item.pieces))
    except LibraryError as error:
        members.note_error(str(error))


def _behind_skippable(data: bytes) -> bytes:
    """Return data without the frames in front that say nothing (RFC 8878 3.1.2), which libarchive may not pass."""
    at = 0
    while data[at + 1 : at + 4] == b"\x2a\x4d\x18" and data[at] & 0xF0 == 0x50 and at + 8 <= len(data):
        at += 8 + struct.unpack_from("<I", data, at + 4)[0]
    return data[at:] if at else data


OPENERS: Final[dict[str, Opener]] = {
    "gz": open_gzip,
    **dict.fromkeys(_MAGIC, open_stream),
    **dict.fromkeys(_FILTERS, open_filtered),
}
