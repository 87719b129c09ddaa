"""libarchive, memory to memory: members of an archive as pieces of bytes, nothing on disk.

Only formats named by the caller are tried, and no callbacks are made: the daemon may not have memory that is both
writable and executable, and mtree, raw and external programs would let an archive name what it is read with.
"""

import ctypes
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from libarchive import ffi
from libarchive.exception import ArchiveError
from msgspec import Struct

from . import native

# libarchive-c logs each warning; what it says goes into findings.
logging.getLogger("libarchive").setLevel(logging.CRITICAL)

_PIECE: Final = 1 << 18
_MAX_WARNINGS: Final = 100
_DIRECTORY: Final = 0o040000
_FILE_TYPES: Final = 0o170000
_is_encrypted: Final[Callable[[Any], int]] = ffi.ffi("entry_is_encrypted", [ctypes.c_void_p], ctypes.c_int)
_has_encrypted: Final[Callable[[Any], int]] = ffi.ffi(
    "read_has_encrypted_entries", [ctypes.c_void_p], ctypes.c_int
)


class LibraryError(Exception):
    """libarchive could not go on. ``fatal``: nor can it read the members that follow."""

    def __init__(self, text: str, *, fatal: bool) -> None:
        super().__init__(text)
        self.fatal = fatal


class Item(Struct, kw_only=True):
    """One member. ``pieces`` must be read before the next item is asked for; it raises LibraryError.

    ``size`` in bytes as declared, -1 if it is not; ``plain`` is False for directories, links and devices.
    """

    name: str
    size: int
    encrypted: bool
    plain: bool
    pieces: Iterator[bytes]


def items(
    data: bytes, formats: Iterable[str], *, filters: Iterable[str] = (), password: str = ""
) -> Iterator[Item]:
    """Yield the members of ``data``, read as one of libarchive's ``formats``. Raises LibraryError."""
    with _opened(data, formats, filters, password) as archive:
        while True:
            entry = ffi.entry_new()
            try:
                if _next(archive, entry) == ffi.ARCHIVE_EOF:
                    return
                yield Item(
                    name=_name(entry),
                    size=ffi.entry_size(entry) if ffi.entry_size_is_set(entry) else -1,
                    encrypted=bool(_is_encrypted(entry)),
                    plain=ffi.entry_filetype(entry) & _FILE_TYPES not in _NOT_PLAIN,
                    pieces=_pieces(archive),
                )
            finally:
                ffi.entry_free(entry)


# Directories, links, sockets, pipes and devices. A type of 0 is a file of a format without types.
_NOT_PLAIN: Final = frozenset({_DIRECTORY, 0o120000, 0o140000, 0o010000, 0o020000, 0o060000})


@contextmanager
def _opened(data: bytes, formats: Iterable[str], filters: Iterable[str], password: str) -> Iterator[Any]:
    native.note()
    archive = ffi.read_new()
    try:
        for name in formats:
            ffi.get_read_format_function(name)(archive)
        for name in filters:
            ffi.get_read_filter_function(name)(archive)
        for spelling in _spellings(password):
            _told(ffi.read_add_passphrase, archive, spelling)
        _told(ffi.read_open_memory, archive, data, len(data))
        yield archive
    finally:
        ffi.read_free(archive)


def _spellings(password: str) -> list[bytes]:
    """Return the bytes that packers make of a password: UTF-8, or what Windows and DOS call the code page of the West."""
    spelled = dict.fromkeys(password.encode(code, "ignore") for code in ("utf-8", "cp1252", "cp850"))
    return [one for one in spelled if one and (password.isascii() or len(one) >= len(password))]


def _next(archive: object, entry: object) -> int:
    try:
        return _told(ffi.read_next_header2, archive, entry)
    except LibraryError as error:
        if _has_encrypted(archive) > 0:
            raise LibraryError(f"encrypted: {error}", fatal=error.fatal) from error
        raise


def _told(call: Callable[..., int], *arguments: object) -> int:
    try:
        return call(*arguments)
    except ArchiveError as error:
        raise LibraryError(str(error.msg or ""), fatal=error.retcode == ffi.ARCHIVE_FATAL) from error


def _name(entry: object) -> str:
    wide = ffi.entry_pathname_w(entry)
    if wide:
        return str(wide)
    narrow = ffi.entry_pathname(entry)
    return narrow.decode("utf-8", "replace") if narrow else ""


def _pieces(archive: object) -> Iterator[bytes]:
    """Yield blocks as the library unpacks them (its read_data loses what came before an error), holes as zeros."""
    block, length, offset = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_longlong()
    refs = (ctypes.byref(block), ctypes.byref(length), ctypes.byref(offset))
    at = warnings = 0
    while (result := _told(ffi.read_data_block, archive, *refs)) != ffi.ARCHIVE_EOF:
        warnings += result == ffi.ARCHIVE_WARN
        if warnings > _MAX_WARNINGS:
            raise LibraryError("broken data", fatal=True)
        while at < offset.value:
            hole = min(offset.value - at, _PIECE)
            yield bytes(hole)
            at += hole
        if length.value and block.value:
            yield ctypes.string_at(block.value, length.value)
            at += length.value
