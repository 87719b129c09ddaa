"""Opens zip files in every way that readers do: by the central directory, by what lies outside of it, as a stream.

Where readings differ in names or bytes, each is offered and the archive is ambiguous. A zip without any oddity is
read once: its local headers agree with its directory and cover the file, so every reader sees the same.
"""

import re
import zlib
from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import Final

from . import passwords
from .archive_library import LibraryError, items
from .archive_members import Members
from .harvest import Content, Harvest, LimitReachedError
from .kinds import ZIP_TAIL
from .zip_data import METHODS, STORED, Unpacked
from .zip_records import (
    DESCRIBED,
    LOCAL,
    Directory,
    Header,
    central_headers,
    directories,
    local_header,
)

_CONTROL: Final = re.compile(rb"[\0-\x1f]")
_NEXT_RECORD: Final = re.compile(rb"PK(?:\x07\x08|\x03\x04|\x01\x02|\x05\x06)")
# A local header that `_Zip._hidden` goes on with: a known method, a name of at most 64 KiB.
_LOCAL_LIKE: Final = re.compile(
    re.escape(LOCAL)
    + rb"[\0-\xff]{4}(?:%b)[\0-\xff]{16}(?!\0\0)"
    % b"|".join(re.escape(method.to_bytes(2, "little")) for method in sorted(METHODS))
)
# Members that a password may fail on before it counts as wrong: each try of AES costs a thousand hashes.
_MAX_MISSES: Final = 8
_SPLIT: Final = 0xFFFF  # the number of disks of a zip64, which says it elsewhere


def open_zip(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the members of a zip, of whatever content has a zip's records; nothing where it has none."""
    yield from _Zip(content, harvest).read()


class _Zip:
    """One zip while it is read."""

    def __init__(self, content: Content, harvest: Harvest) -> None:
        self.data = content.data
        self.members = Members(content, harvest, "zip")
        self.budget = harvest.budget
        self.harvest = harvest
        self.spans: list[tuple[int, int]] = []
        # Something at which readers may differ, so the library's two readers are asked as well.
        self.odd = False
        self.locked: list[tuple[str, ...]] = []
        self.unread: set[str] = set()

    def read(self) -> Iterator[Content]:
        """Yield the members by all readings."""
        found = self._directories()
        for directory in found:
            yield from self._read_directory(directory)
        yield from self._outside(listed=bool(found))
        if self.odd or self.unread:
            yield from self._by_library()
        if self.locked:
            yield from self._unlock("zip_seekable" if found else "zip_streamable")

    def _directories(self) -> list[Directory]:
        """Return the directories that are this zip's own: not those of a zip stored within it."""
        own: list[Directory] = []
        entries: list[list[Header]] = []
        every = sorted(
            directories(self.data, ZIP_TAIL), key=lambda found: found.comment_end != len(self.data)
        )
        for directory in every:
            if any(start <= directory.record < end for start, end in self.spans):
                continue
            listed = self._entries(directory)
            if listed in entries:
                continue
            own.append(directory)
            entries.append(listed)
            self._add_spans(directory, listed)
            if directory.disks not in {0, _SPLIT}:
                self.members.note("archive.unreadable", "one of several volumes")
        if len([listed for listed in entries if listed]) > 1:
            self.members.note("archive.ambiguous", "two central directories")
        if len(own) > 1 or any(found.shift or found.comment_end != len(self.data) for found in own):
            self.odd = True
        return own

    def _entries(self, directory: Directory) -> list[Header]:
        listed = []
        for header in central_headers(self.data, directory):
            self.budget.take_entry()
            listed.append(header)
        if listed and listed[-1].end != directory.end:
            self.odd = True
        return listed

    def _add_spans(self, directory: Directory, listed: list[Header]) -> None:
        """Remember which bytes the members take. Raises LimitReachedError if two take the same."""
        spans = []
        for header in listed:
            local = local_header(self.data, header.at)
            if local:
                spans.append((local.at, local.start + header.packed))
                # What the header itself holds, name and extra field, is no member's: another may hide there.
                self.spans += [(local.at, local.at + len(LOCAL)), (local.start, local.start + header.packed)]
        spans.sort()
        for (_, end), (start, _) in pairwise(spans):
            if start < end:
                raise LimitReachedError(
                    "limit.overlap", f"a member begins {end - start} bytes inside another"
                )
        self.spans += [(directory.start, max(directory.comment_end, directory.record + 22))]

    def _read_directory(self, directory: Directory) -> Iterator[Content]:
        for header in central_headers(self.data, directory):
            self.budget.take_time()
            local = local_header(self.data, header.at)
            if local is None:
                self.odd = True
                self.members.note("archive.broken", f"no member where {header.names[0]!r} should be")
            elif not (header.raw.endswith(b"/") and header.packed == local.packed == 0):
                yield from self._member(header, local)

    def _member(self, header: Header, local: Header) -> Iterator[Content]:
        """Yield one member as the directory tells it, and as its own header does where that differs."""
        names = (*header.names, *local.names)
        if header.raw.replace(b"\\", b"/") != local.raw.replace(b"\\", b"/"):
            self._differs(f"names {header.names[0]!r} and {local.names[0]!r}")
        if header.encrypted or local.encrypted:
            self.locked.append(header.names)
            yield from self.members.offer(names, b"")
        if header.encrypted and local.encrypted:
            yield from self._false_lock(names, header, local.start)
            return
        told = (header.method, header.packed)
        own = (local.method, header.packed if local.flags & DESCRIBED and not local.packed else local.packed)
        first = yield from self._reading(names, header, local.start, *told)
        if local.flags & DESCRIBED and header.method == STORED:
            self.odd = True
        if own != told:
            self.odd = True
            second = yield from self._reading(names, header, local.start, *own)
            if second != first:
                self._differs(f"{header.names[0]!r}: method and size {told} and {own}")

    def _false_lock(self, names: tuple[str, ...], header: Header, start: int) -> Iterator[Content]:
        """Yield a member that is said to be encrypted and is not: there are readers that do not ask."""
        if header.method not in METHODS or not header.size:
            return
        try:
            data = self.budget.read_all(
                iter(Unpacked(self.data, header.method, start, start + header.packed)), header.packed
            )
        except LibraryError:
            return
        if zlib.crc32(data) == header.crc:
            self._differs(f"{names[0]!r} is said to be encrypted")
            yield from self.members.offer(names, data)

    def _differs(self, detail: str) -> None:
        self.odd = True
        self.members.note("archive.ambiguous", detail)

    def _reading(
        self, names: tuple[str, ...], header: Header, start: int, method: int, packed: int
    ) -> Generator[Content, None, bytes | None]:
        """Yield a member's bytes by one reading, and return them (None: unreadable here)."""
        if method not in METHODS:
            self.unread.update(names)
            return None
        self.members.check_declared(header.size, packed)
        end = start + packed
        if end > len(self.data):
            self.odd = True
            self.members.note("archive.broken", f"{names[0]!r} goes on behind the end of the file")
        unpacked = Unpacked(self.data, method, start, min(end, len(self.data)), header.size)
        data = self.members.pieces(unpacked, packed)
        if unpacked.used != packed:
            self.odd = True
        if len(data) != header.size and data:
            self._differs(f"{names[0]!r} has {len(data)} bytes, not {header.size}")
        elif zlib.crc32(data) != header.crc:
            self.members.note("archive.checksum", names[0])
        yield from self.members.offer(names, data)
        return data

    def _outside(self, *, listed: bool) -> Iterator[Content]:
        """Yield members that no directory lists: some readers go by the local headers alone."""
        spans, begin = sorted(self.spans), 0
        while found := _LOCAL_LIKE.search(self.data, begin):
            at = found.start()
            inside = next((end for start, end in spans if start <= at < end), 0)
            end = inside or (yield from self._hidden(at, listed=listed))
            begin = max(end, at + len(LOCAL))

    def _hidden(self, at: int, *, listed: bool) -> Generator[Content, None, int]:
        """Yield the member whose header stands at ``at``, if one does; return where it ends."""
        local = local_header(self.data, at)
        if local is None or local.method not in METHODS or not local.raw or _CONTROL.search(local.raw):
            return at + len(LOCAL)
        self.budget.take_entry()
        self.odd = True
        if local.encrypted:
            self.locked.append(local.names)
            yield from self.members.offer(local.names, b"")
            return local.start + local.packed
        unpacked = Unpacked(self.data, local.method, local.start, self._end(local), local.size or -1)
        taken: list[bytes] = []
        try:
            data = self.budget.read_all(_kept(unpacked, taken), local.packed or len(self.data))
        except LibraryError:
            data = b"".join(taken)
            if not data:
                return at + len(LOCAL)
        if data and not self.members.has(data):
            rule = "archive.ambiguous" if listed else "archive.broken"
            self.members.note(rule, f"{local.names[0]!r} is in no directory")
            yield from self.members.offer(local.names, data)
        return local.start + unpacked.used

    def _end(self, local: Header) -> int:
        """Return where the data of a member end, by its own header or by the record that follows."""
        if local.packed:
            return min(local.start + local.packed, len(self.data))
        if local.method == STORED and local.flags & DESCRIBED:
            behind = _NEXT_RECORD.search(self.data, local.start)
            return behind.start() if behind else len(self.data)
        return local.start if local.method == STORED else len(self.data)

    def _by_library(self) -> Iterator[Content]:
        """Yield what libarchive's two zip readers make of it, where we have not."""
        for name in ("zip_seekable", "zip_streamable"):
            try:
                for item in items(self.data, (name,)):
                    self.budget.take_time()
                    if not item.plain or item.encrypted:
                        continue
                    wanted = item.name in self.unread
                    data = self._library_data(item.pieces, wanted=wanted)
                    if data and not self.members.has(data):
                        yield from self.members.offer((item.name,), data)
            except LibraryError:
                continue

    def _library_data(self, pieces: Iterator[bytes], *, wanted: bool) -> bytes:
        """Return a member's bytes; that it cannot be read counts only if nothing else could read it either."""
        try:
            return self.budget.read_all(pieces, len(self.data))
        except LibraryError as error:
            if wanted:
                self.members.note_error(str(error))
            if error.fatal:
                raise
            return b""

    def _unlock(self, reader: str) -> Iterator[Content]:
        """Yield what the message's own passwords decrypt; what they do not makes the archive an encrypted one."""
        opened: dict[str, bytes] = {}
        for password in passwords.candidates(self.harvest):
            if len(opened) >= len(set(self.locked)):
                break
            for name, data in self._unlocked(reader, password, opened):
                opened[name] = data
                yield from self.members.offer((name,), data)
        if opened:
            self.members.note("archive.password-in-body", f"{len(opened)} of {len(self.locked)} members")
        if len(opened) < len(set(self.locked)):
            self.members.note(
                "archive.encrypted", f"{self.locked[0][0]!r} and others" if self.locked[1:] else ""
            )

    def _unlocked(self, reader: str, password: str, done: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
        misses = 0
        try:
            for item in items(self.data, (reader,), password=password):
                self.budget.take_time()
                if not item.encrypted or not item.plain or item.name in done:
                    continue
                try:
                    yield item.name, self.budget.read_all(item.pieces, len(self.data))
                except LibraryError as error:
                    misses += 1
                    if error.fatal or misses == _MAX_MISSES:
                        return
        except LibraryError:
            return


def _kept(pieces: Unpacked, taken: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        taken.append(piece)
        yield piece
