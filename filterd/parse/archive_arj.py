"""Opens ARJ archives as far as their members are stored; compressed ones are named, and reported as unreadable."""

import struct
from collections.abc import Iterator
from typing import Final

from .archive_members import Members
from .harvest import Content, Harvest

_MAGIC: Final = b"\x60\xea"
_MIN_HEADER: Final = 30
_MAX_HEADER: Final = 2600  # technote: header size limit
_STORED: Final = 0
_GARBLED: Final = 1
_VOLUME: Final = 4
_MAIN: Final = 2


def open_arj(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the stored members of an ARJ archive, and the names of the others."""
    members, data, at = Members(content, harvest, "arj"), content.data, 0
    while True:
        if data[at : at + 2] != _MAGIC or at + 4 > len(data):
            members.note("archive.broken", f"no header at {at}")
            return
        size = struct.unpack_from("<H", data, at + 2)[0]
        if size == 0:
            return
        if not _MIN_HEADER <= size <= _MAX_HEADER or at + 4 + size > len(data):
            members.note("archive.broken", f"a header of {size} bytes")
            return
        harvest.budget.take_entry()
        header = data[at + 4 : at + 4 + size]
        at = _behind_extended(data, at + 4 + size + 4)
        if header[6] != _MAIN:
            packed = struct.unpack_from("<I", header, 12)[0]
            yield from _member(header, data[at : at + packed], members)
            at += packed


def _behind_extended(data: bytes, at: int) -> int:
    """Return where the extended headers end: each has a size, 0 for none, and its own checksum."""
    while at + 2 <= len(data):
        size = struct.unpack_from("<H", data, at)[0]
        at += 2
        if size == 0:
            break
        at += size + 4
    return at


def _member(header: bytes, packed: bytes, members: Members) -> Iterator[Content]:
    name = header[header[0] :].partition(b"\0")[0]
    readable = name.decode("utf-8", "replace")
    flags, method = header[4], header[5]
    if flags & _GARBLED:
        members.note("archive.encrypted", readable)
        yield from members.offer((readable,), b"")
    elif flags & _VOLUME or method != _STORED:
        members.note("archive.unreadable", f"ARJ method {method}")
        yield from members.offer((readable,), b"")
    else:
        members.harvest.budget.take_bytes(len(packed))
        yield from members.offer((readable,), packed)
