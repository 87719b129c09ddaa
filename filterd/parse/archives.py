"""Opens the archives that libarchive reads, and archives that stand behind other content."""

import re
from collections.abc import Iterator
from typing import Final

from .archive_library import Item, LibraryError, items
from .archive_members import Members, Opener
from .harvest import Content, Harvest

# The formats of libarchive by which each kind may be read.
_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "7z": ("7zip",),
    "tar": ("tar",),
    "cpio": ("cpio",),
    "ar": ("ar",),
    "cab": ("cab",),
    "lha": ("lha",),
    "xar": ("xar",),
    "iso": ("iso9660",),
    "warc": ("warc",),
}
# Bytes at which an archive may begin inside another content, with its kind: self-extracting programs, pictures
# with an archive appended. Zips are found by zips.open_zip itself.
_SIGNATURES: Final = (
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c\0",
    b"MSCF\0\0\0\0",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
)
_BLOCK: Final = 512
# The coder record of AES in a 7z header: four bytes of id, with properties.
_AES_7Z: Final = b"\x24\x06\xf1\x07\x01"
_UDF: Final = re.compile(rb"\x00NSR0[23]\x01")
_VOLUMES: Final = slice(32768, 32768 + 64 * 2048)
_MAX_CARVED: Final = 8


def open_with_library(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the members of an archive of a kind in ``_FORMATS``, names and all, decrypted where a password fits."""
    members = Members(content, harvest, content.kind)
    formats = _FORMATS[content.kind]
    if content.kind == "iso" and _UDF.search(content.data[_VOLUMES]):
        # The system shows the files of the other file system, which nothing here reads.
        members.note("archive.unreadable", "UDF beside ISO 9660")
    try:
        for item in items(content.data, formats):
            harvest.budget.take_entry()
            if item.encrypted:
                members.note("archive.encrypted", item.name)
                yield from members.offer((item.name,), b"")
            else:
                yield from _read(item, members)
            if members.ended:
                return
    except LibraryError as error:
        locked = content.kind == "7z" and _AES_7Z in content.data
        members.note_error(f"encrypted: {error}" if locked else str(error))
        if content.kind == "tar":
            yield from _lenient_tar(members)


def _lenient_tar(members: Members) -> Iterator[Content]:
    """Yield what stands behind each header of a tar, whatever its checksum says (POSIX.1-1988 10.1.1)."""
    data, at = members.content.data, 0
    while at + _BLOCK <= len(data):
        members.harvest.budget.take_time()
        header = data[at : at + _BLOCK]
        at += _BLOCK
        digits = header[124:136].strip(b" \0")
        if not header[0] or not digits.isdigit() or any(digit > ord("7") for digit in digits):
            continue
        size = int(digits, 8)
        members.harvest.budget.take_entry()
        members.check_declared(size)
        name = header[:100].partition(b"\0")[0].decode("utf-8", "replace")
        yield from members.offer((name,), data[at : at + size])
        at += -(-size // _BLOCK) * _BLOCK


def _read(item: Item, members: Members) -> Iterator[Content]:
    if item.plain:
        members.check_declared(item.size)
        yield from members.offer((item.name,), members.pieces(item.pieces))


def open_carved(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what begins with an archive's signature somewhere behind the start of another content."""
    for found, start in enumerate(sorted(_places(content.data))[:_MAX_CARVED], 1):
        harvest.budget.take_entry()
        rest = content.data[start:]
        harvest.budget.take_bytes(len(rest))
        yield content.inner(found, rest, "carved", name=content.name)


def _places(data: bytes) -> Iterator[int]:
    """Yield the first places of each signature behind the start."""
    for signature in _SIGNATURES:
        at = data.find(signature, 1)
        for _ in range(_MAX_CARVED):
            if at == -1:
                break
            yield at
            at = data.find(signature, at + 1)


OPENERS: Final[dict[str, Opener]] = dict.fromkeys(_FORMATS, open_with_library)
