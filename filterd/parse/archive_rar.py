"""RAR 5 headers, read beside libarchive: it passes over what says that a member is encrypted, and gives its bytes.

Source: the RAR 5.0 archive format note of the format's author. RAR 4 libarchive reads well enough.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from .archive_library import LibraryError, items
from .archive_members import Members
from .harvest import Content, Harvest

_SIGNATURE: Final = b"Rar!\x1a\x07\x01\0"
_MAIN, _FILE, _SERVICE, _CRYPT, _END = 1, 2, 3, 4, 5
_HAS_EXTRA, _HAS_DATA = 1, 2
_HAS_TIME, _HAS_CRC = 2, 4
_VOLUME: Final = 1
_OLD_SIGNATURE: Final = b"Rar!\x1a\x07\0"
_ENCRYPTION: Final = 1
_MAX_HEADER: Final = 2 << 20


class Rar5:
    """What the headers of one archive say. ``locked``: names of encrypted members; ``hidden``: headers are, too."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.locked: set[str] = set()
        self.stored: list[tuple[str, bytes]] = []
        self.hidden = False
        self.volume = False
        # What is cut short libarchive reports.
        with suppress(IndexError):
            self._read()

    def _number(self, at: int) -> tuple[int, int]:
        """Return the number at ``at``, seven bits a byte, and where it ends. Raises IndexError."""
        value = shift = 0
        while True:
            byte = self.data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80 or shift > 63:
                return value, at

    def _read(self) -> None:
        at = len(_SIGNATURE)
        while at < len(self.data):
            size, begin = self._number(at + 4)
            if not 0 < size <= _MAX_HEADER:
                return
            kind, place = self._number(begin)
            flags, place = self._number(place)
            extra, place = self._number(place) if flags & _HAS_EXTRA else (0, place)
            length, place = self._number(place) if flags & _HAS_DATA else (0, place)
            end = begin + size
            if kind == _CRYPT:
                self.hidden = True
                return
            if kind == _MAIN:
                self.volume = bool(self._number(place)[0] & _VOLUME)
            elif kind == _FILE:
                self._file(place, end - extra, end, self.data[end : end + length])
            elif kind == _END:
                return
            at = end + length

    def _file(self, at: int, extra: int, end: int, packed: bytes) -> None:
        flags, at = self._number(at)
        _, at = self._number(at)
        _, at = self._number(at)
        at += 4 * bool(flags & _HAS_TIME) + 4 * bool(flags & _HAS_CRC)
        method, at = self._number(at)
        _, at = self._number(at)
        length, at = self._number(at)
        name = self.data[at : at + length].decode("utf-8", "replace")
        if self._is_locked(extra, end):
            self.locked.add(name)
        elif not method >> 7 & 7:
            self.stored.append((name, packed))

    def _is_locked(self, at: int, end: int) -> bool:
        while at < end:
            size, begin = self._number(at)
            if self._number(begin)[0] == _ENCRYPTION:
                return True
            at = begin + max(size, 1)
        return False


def _is_old_volume(data: bytes) -> bool:
    """Return whether the main header of a RAR 4 archive (type, then flags) says that it is one of several volumes."""
    return (
        data.startswith(_OLD_SIGNATURE) and data[9:10] == b"\x73" and bool(data[10:11] and data[10] & _VOLUME)
    )


def open_rar(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the members of a RAR archive; of encrypted ones the names."""
    members = Members(content, harvest, "rar")
    headers = Rar5(content.data if content.data.startswith(_SIGNATURE) else b"")
    if headers.volume or _is_old_volume(content.data):
        members.note("archive.unreadable", "one of several volumes")
    if headers.hidden:
        members.note("archive.encrypted", "names too")
        return
    for name in headers.locked:
        members.note("archive.encrypted", name)
        yield from members.offer((name,), b"")
    for name, data in headers.stored:
        harvest.budget.take_bytes(len(data))
        yield from members.offer((name,), data)
    try:
        for item in items(content.data, ("rar", "rar5")):
            harvest.budget.take_entry()
            if item.encrypted:
                members.note("archive.encrypted", item.name)
                yield from members.offer((item.name,), b"")
            elif item.plain and item.name not in headers.locked:
                members.check_declared(item.size)
                yield from members.offer((item.name,), members.pieces(item.pieces))
            if members.ended:
                return
    except LibraryError as error:
        members.note_error(str(error))
