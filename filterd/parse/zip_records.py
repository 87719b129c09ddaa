"""The records of a zip file (PKWARE APPNOTE 6.3.10), each read at a place, none trusted. Pure."""

import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

LOCAL: Final = b"PK\x03\x04"
CENTRAL: Final = b"PK\x01\x02"
END: Final = b"PK\x05\x06"
_END64: Final = b"PK\x06\x06"
_LOCATOR64: Final = b"PK\x06\x07"
_LOCAL_HEAD: Final = struct.Struct("<4sHHHHHIIIHH")  # 4.3.7
_CENTRAL_HEAD: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")  # 4.3.12
_END_HEAD: Final = struct.Struct("<4sHHHHIIH")  # 4.3.16
_WIDE: Final = 0xFFFFFFFF
ENCRYPTED: Final = 1  # 4.4.4: bit 0
DESCRIBED: Final = 8  # bit 3: sizes follow the data
_UTF8: Final = 0x800  # bit 11
_UNICODE_PATH: Final = 0x7075  # 4.6.9
_ZIP64_EXTRA: Final = 1  # 4.5.3
_MAX_METHOD: Final = 99


class Header(Struct, frozen=True, kw_only=True):
    """What one header, local or central, says of a member. ``at`` is the local header's place in the file.

    ``start`` is where the data begin (local headers only), ``end`` where the header itself ends.
    """

    raw: bytes
    names: tuple[str, ...]
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    at: int
    start: int = 0
    end: int = 0

    @property
    def encrypted(self) -> bool:
        """Return whether the data are encrypted."""
        return bool(self.flags & ENCRYPTED)


class Directory(Struct, frozen=True, kw_only=True):
    """A central directory, as one end record points to it. ``shift``: bytes in front of the zip proper."""

    start: int
    end: int
    shift: int
    count: int
    record: int
    comment_end: int
    disks: int


def local_header(data: bytes, at: int) -> Header | None:
    """Return the local header at ``at``, or None if what stands there can be none."""
    if data[at : at + 4] != LOCAL or at + _LOCAL_HEAD.size > len(data):
        return None
    _, _, flags, method, _, _, crc, packed, size, name, extra = _LOCAL_HEAD.unpack_from(data, at)
    start = at + _LOCAL_HEAD.size + name + extra
    if method > _MAX_METHOD or start > len(data):
        return None
    raw = data[at + _LOCAL_HEAD.size : at + _LOCAL_HEAD.size + name]
    extras = data[start - extra : start]
    size, packed, _ = _wide(extras, size, packed, 0)
    return Header(raw=raw, names=_names(raw, flags, extras), flags=flags, method=method, crc=crc, packed=packed,
                  size=size, at=at, start=start, end=start)  # fmt: skip


def central_headers(data: bytes, directory: Directory) -> Iterator[Header]:
    """Yield the entries of a central directory, as far as they go on; their count is the caller's to bound."""
    at = directory.start
    while data[at : at + 4] == CENTRAL and at + _CENTRAL_HEAD.size <= len(data):
        (_, _, _, flags, method, _, _, crc, packed, size, name, extra, comment, _, _, _, offset) = (
            _CENTRAL_HEAD.unpack_from(data, at)
        )
        begin = at + _CENTRAL_HEAD.size
        raw, extras = data[begin : begin + name], data[begin + name : begin + name + extra]
        size, packed, offset = _wide(extras, size, packed, offset)
        end = begin + name + extra + comment
        place = offset + directory.shift
        # A program put in front may or may not have moved the offsets; whichever place holds a header is meant.
        if data[place : place + 4] != LOCAL and data[offset : offset + 4] == LOCAL:
            place = offset
        yield Header(raw=raw, names=_names(raw, flags, extras), flags=flags, method=method, crc=crc, packed=packed,
                     size=size, at=place, end=end)  # fmt: skip
        at = end


def directories(data: bytes, tail: int) -> Iterator[Directory]:
    """Yield a directory for each end record in the last ``tail`` bytes, the last first."""
    low = max(0, len(data) - tail)
    at = data.rfind(END, low)
    while at != -1:
        yield from _directory(data, at)
        at = data.rfind(END, low, at + 3) if at > low else -1


def _directory(data: bytes, record: int) -> Iterator[Directory]:
    if record + _END_HEAD.size > len(data):
        return
    _, disk, first, _, count, size, offset, comment = _END_HEAD.unpack_from(data, record)
    behind = record
    if data[record - 20 : record - 16] == _LOCATOR64 and record >= 20:  # 4.3.15
        wide = _end64(data, record)
        if wide:
            count, size, offset, behind = wide
    places = [place for place in dict.fromkeys((behind - size, offset)) if data[place : place + 4] == CENTRAL]
    if not places and count == 0 and size == 0:
        places = [behind]
    for place in places:
        # Readers differ: some go back from the end record, some follow the offset. Both are readings.
        yield Directory(start=place, end=behind, shift=behind - size - offset, count=count, record=record,
                        comment_end=record + _END_HEAD.size + comment, disks=max(disk, first))  # fmt: skip


def _end64(data: bytes, record: int) -> tuple[int, int, int, int] | None:
    """Return count, size, offset of the zip64 end record (4.3.14) before ``record``, and where it stands."""
    said = struct.unpack_from("<Q", data, record - 12)[0]
    for at in (said, data.rfind(_END64, max(0, record - 4096), record)):
        if 0 <= at <= len(data) - 56 and data[at : at + 4] == _END64:
            count, size, offset = struct.unpack_from("<QQQ", data, at + 32)
            return count, size, offset, at
    return None


def _wide(extras: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return size, packed size and offset, from the zip64 field where the header has no room for them."""
    for tag, body in _fields(extras):
        if tag == _ZIP64_EXTRA:
            numbers = iter(struct.unpack_from(f"<{min(len(body) // 8, 3)}Q", body))
            size = next(numbers, size) if size == _WIDE else size
            packed = next(numbers, packed) if packed == _WIDE else packed
            offset = next(numbers, offset) if offset == _WIDE else offset
    return size, packed, offset


def _fields(extras: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extras):
        tag, length = struct.unpack_from("<HH", extras, at)
        yield tag, extras[at + 4 : at + 4 + length]
        at += 4 + length


def _names(raw: bytes, flags: int, extras: bytes) -> tuple[str, ...]:
    """Return the readings of a name: UTF-8 where it is that, else code page 437; and that of the Unicode field."""
    try:
        names = [raw.decode("utf-8")]
    except UnicodeDecodeError:
        names = [raw.decode("utf-8", "replace") if flags & _UTF8 else raw.decode("cp437")]
    names += [body[5:].decode("utf-8", "replace") for tag, body in _fields(extras) if tag == _UNICODE_PATH]
    return tuple(dict.fromkeys(names))
