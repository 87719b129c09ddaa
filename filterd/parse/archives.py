"""Opens the archives that libarchive reads, and archives that stand behind other content."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from .archive_library import Item, LibraryError, items
from .archive_members import Members, Opener
from .harvest import Content, Harvest
from .kinds import ZIP_TAIL
from .search import find
from .zip_records import END, LOCAL, local_header

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
_VOLUMES: Final = slice(32768, 32768 + 64 * 2048)
_SECTOR: Final = 2048
_NO_VOLUME: Final = 0xFE  # a type of volume descriptor that nobody knows
_TRAILER: Final = b"TRAILER!!!"
_END_SIZE: Final = 22
_MAX_CARVED: Final = 8
# Kinds in whose midst a zip is looked for; others have many of their own, or an opener that finds them.
_AROUND_ZIPS: Final = frozenset({"unknown", "jpeg", "png", "gif", "webp", "bmp", "tiff"})


def open_with_library(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the members of an archive of a kind in ``_FORMATS``, names and all, decrypted where a password fits."""
    members = Members(content, harvest, content.kind)
    formats = _FORMATS[content.kind]
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
        yield from _behind(members)
        yield from _other_trees(members)
    except LibraryError as error:
        locked = content.kind == "7z" and _AES_7Z in content.data
        members.note_error(f"encrypted: {error}" if locked else str(error))
        if content.kind == "tar":
            yield from _lenient_tar(members)


def _behind(members: Members) -> Iterator[Content]:
    """Yield what stands behind the end of a tar or cpio: who ignores zeros (tar -i, a kernel's) reads on."""
    data, at = members.content.data, 0
    if members.content.kind == "cpio":
        at = data.find(_TRAILER) + len(_TRAILER)
        rest = data[at:] if at >= len(_TRAILER) else b""
    elif members.content.kind == "tar":
        while data[at : at + _BLOCK].strip(b"\0"):
            digits = data[at + 124 : at + 136].strip(b" \0")
            if not digits.isdigit() or any(digit > ord("7") for digit in digits):
                return
            at += _BLOCK - (-int(digits, 8) // _BLOCK) * _BLOCK
        rest = data[at:]
    elif members.content.kind == "iso":
        # The size of the volume in sectors (ECMA-119 8.4.8).
        rest = data[int.from_bytes(data[_VOLUMES.start + 80 : _VOLUMES.start + 84], "little") * _SECTOR :]
    else:
        return
    rest = rest.lstrip(b"\0")
    if rest:
        members.harvest.budget.take_bytes(len(rest))
        yield from members.offer((), rest)


def _other_trees(members: Members) -> Iterator[Content]:
    """Yield the files of an ISO image that only some systems see: each has up to three trees, of which one is shown."""
    content = members.content
    if content.kind != "iso":
        return
    plain = bytearray(content.data)
    for at in range(_VOLUMES.start, min(_VOLUMES.stop, len(plain)), _SECTOR):
        if plain[at : at + 6] == b"\x02CD001":
            plain[at] = _NO_VOLUME
    # Without the mark of Rock Ridge (SUSP 5.3) the tree of Joliet is read.
    for image in (bytes(plain), content.data.replace(b"SP\x07\x01\xbe\xef", b"XX\x07\x01\xbe\xef")):
        if image == content.data:
            continue
        # The image was read once, so what is wrong with it is known.
        with suppress(LibraryError):
            for item in items(image, ("iso9660",)):
                members.harvest.budget.take_entry()
                data = members.harvest.budget.read_all(item.pieces, len(image)) if item.plain else b""
                if data and not members.has(data):
                    yield from members.offer((item.name,), data)


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
    places = sorted((*_places(content.data), *_zip_places(content)))
    for found, start in enumerate(places[:_MAX_CARVED], 1):
        harvest.budget.take_entry()
        rest = _cut(content.data[start:])
        harvest.budget.take_bytes(len(rest))
        yield content.inner(found, rest, "carved", name=content.name)


def _cut(rest: bytes) -> bytes:
    """Return a zip without what follows it; other archives know their own end."""
    end = rest.rfind(END) if rest.startswith(LOCAL) else -1
    if end == -1:
        return rest
    return rest[: end + _END_SIZE + int.from_bytes(rest[end + _END_SIZE - 2 : end + _END_SIZE], "little")]


def _zip_places(content: Content) -> Iterator[int]:
    """Yield where a zip begins whose end is too far from the file's end to be found from there."""
    if content.kind in _AROUND_ZIPS and END not in content.data[-ZIP_TAIL:]:
        at = find(content.data, LOCAL, 1)
        for _ in range(_MAX_CARVED):
            if at == -1:
                return
            found = local_header(content.data, at)
            if found and found.raw.isascii() and found.raw.decode().isprintable():
                yield at
                return
            at = find(content.data, LOCAL, at + 1)


def _places(data: bytes) -> Iterator[int]:
    """Yield the first places of each signature behind the start."""
    for signature in _SIGNATURES:
        at = find(data, signature, 1)
        for _ in range(_MAX_CARVED):
            if at == -1:
                break
            yield at
            at = find(data, signature, at + 1)


OPENERS: Final[dict[str, Opener]] = dict.fromkeys(_FORMATS, open_with_library)
