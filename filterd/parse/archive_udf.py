"""UDF disk images (ECMA-167, OSTA UDF 2.60): the files in them, also where the same image is an ISO 9660 one as well.

File entries are looked for in every sector and not by the tree of directories: what a system shows is among them.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from .archive_members import Members
from .harvest import Content, Harvest, LimitReachedError

_SECTOR: Final = 2048
_TAG: Final = 16  # bytes of a descriptor's tag (ECMA-167 3/7.2)
_PARTITION, _NAMES, _FILE, _FILE_2 = 5, 257, 261, 266
_KINDS: Final = frozenset({_PARTITION, _FILE, _FILE_2})
# Where the length of attributes stands, which is followed by the length of allocations and by both (4/14.9, 4/14.17).
_LENGTHS: Final = {_FILE: 168, _FILE_2: 208}
_DIRECTORY, _REGULAR = 4, 5  # 4/14.6.6
_SHORT, _LONG, _EMBEDDED = 0, 1, 3  # 4/14.6.8
_NAME_HEAD: Final = 38
_PARENT_OR_DELETED: Final = 0x0C  # 4/14.4.3
_RECORDED: Final = 0
_MARK: Final = re.compile(rb"\0NSR0[23]\x01")  # 3/9.1
_VOLUMES: Final = slice(32768, 32768 + 64 * _SECTOR)


class _Entry(Struct, frozen=True, kw_only=True):
    """One file entry: the block that names refer to, its type, its length in bytes, and where its bytes are."""

    block: int
    type: int
    length: int
    form: int
    places: bytes


def open_udf(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the files of a UDF image; report an image in which no file can be found, or a file that is not there."""
    members = Members(content, harvest, content.kind)
    data = content.data
    start, entries = 0, []
    for at, kind in _descriptors(data):
        harvest.budget.take_time()
        if kind == _PARTITION:
            start = struct.unpack_from("<I", data, at + 188)[0]
        elif entry := _entry(data, at, kind):
            entries.append(entry)
    if not entries:
        members.note("archive.unreadable", "UDF without a file entry")
        return
    names = _named(entries, data, start)
    for entry in entries:
        if entry.type == _REGULAR:
            harvest.budget.take_entry()
            members.check_declared(entry.length)
            read = _read(entry, data, start)
            harvest.budget.take_bytes(len(read))
            if len(read) < entry.length:
                members.note("archive.broken", "a file whose bytes are not in the image")
            yield from members.offer((names.get(entry.block, ""),), read)


def is_beside(data: bytes) -> bool:
    """Return whether an ISO 9660 image says that it is one of UDF too: then a system shows the files of that."""
    return _MARK.search(data[_VOLUMES]) is not None


def _descriptors(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield place and kind of the descriptors that matter, with a right checksum, in whole sectors."""
    for at in range(0, len(data) - _SECTOR + 1, _SECTOR):
        kind = data[at] | data[at + 1] << 8
        if kind in _KINDS and (sum(data[at : at + _TAG]) - data[at + 4]) & 255 == data[at + 4]:
            yield at, kind


def _entry(data: bytes, at: int, kind: int) -> _Entry | None:
    lengths = at + _LENGTHS[kind]
    attributes, allocated = struct.unpack_from("<II", data, lengths)
    begin = lengths + 8 + attributes
    if attributes + allocated > _SECTOR - _LENGTHS[kind] - 8:
        return None
    return _Entry(
        block=struct.unpack_from("<I", data, at + 12)[0],
        type=data[at + 27],
        length=struct.unpack_from("<Q", data, at + 56)[0],
        form=data[at + 34] & 7,
        places=data[begin : begin + allocated],
    )


def _read(entry: _Entry, data: bytes, start: int) -> bytes:
    """Return a file's bytes as far as they are there; what is said to be empty is zeros."""
    if entry.form == _EMBEDDED:
        return entry.places[: entry.length]
    if entry.form not in {_SHORT, _LONG}:
        return b""
    step, read = (8, 16)[entry.form], bytearray()
    for at in range(0, len(entry.places) - step + 1, step):
        size, block = struct.unpack_from("<II", entry.places, at)
        kind, size = size >> 30, min(size & 0x3FFFFFFF, entry.length - len(read))
        if not size:
            break
        begin = (start + block) * _SECTOR
        if kind != _RECORDED and size > len(data):
            raise LimitReachedError("limit.leaf", "a file of zeros that is larger than its image")
        read += data[begin : begin + size] if kind == _RECORDED else bytes(size)
    return bytes(read)


def _named(entries: list[_Entry], data: bytes, start: int) -> dict[int, str]:
    """Return the names in all directories, by the block of the entry that they refer to."""
    names: dict[int, str] = {}
    for entry in entries:
        if entry.type != _DIRECTORY:
            continue
        listing, at = _read(entry, data, start), 0
        while at + _NAME_HEAD <= len(listing) and listing[at : at + 2] == _NAMES.to_bytes(2, "little"):
            flags, length = listing[at + 18], listing[at + 19]
            block, used = (
                struct.unpack_from("<I", listing, at + 24)[0],
                struct.unpack_from("<H", listing, at + 36)[0],
            )
            begin = at + _NAME_HEAD + used
            if length and not flags & _PARENT_OR_DELETED:
                names.setdefault(block, _name(listing[begin : begin + length]))
            at = begin + length + -(_NAME_HEAD + used + length) % 4
    return names


def _name(raw: bytes) -> str:
    """Return a name in one of the two widths of OSTA's compressed Unicode (UDF 2.1.1)."""
    return raw[1:].decode("utf-16-be" if raw[:1] == b"\x10" else "latin-1", "replace")
