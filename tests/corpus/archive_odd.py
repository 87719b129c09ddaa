"""Archives with something behind their end, in rare forms, or with several trees; zips that lie deep in other bytes."""

import gzip
import lzma
import struct
from collections.abc import Iterator
from typing import Final

from .mail import attaching
from .variant import BANNED, MALFORMED, NEVER, OVER_LIMIT, SUSPICIOUS, Content, Variant
from .writers.pack import pack
from .writers.zips import Member, zip_of, zipped

_OCTETS: Final = b"application/octet-stream"
_LAST: Final = bytes(1024)  # what ends a tar
_JPEG: Final = b"\xff\xd8\xff\xe0"
_MUCH: Final = bytes(range(256)) * 300  # more than a zip's comment may have


def _tar(content: bytes, name: bytes = b"notes.zip") -> bytes:
    """Return a member of a tar (POSIX.1-1988 10.1.1) without what ends the archive."""
    sizes = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % len(content) + b"0" * 11 + b"\0"
    start, end = name.ljust(100, b"\0") + sizes, b"0".ljust(101, b"\0") + b"ustar\x0000"
    header = (start + b" " * 8 + end).ljust(512, b"\0")
    check = b"%06o\0 " % sum(header)
    return header[:148] + check + header[156:] + content + bytes(-len(content) % 512)


def _behind_tar(content: Content) -> Content:
    return lambda payload: _tar(b"Nothing.\n", b"a.txt") + _LAST + content(payload)


def _gzip(payload: bytes) -> bytes:
    return gzip.compress(payload, mtime=0)  # the same again in another second


def _lzma(**properties: int) -> Content:
    filters = [{"id": lzma.FILTER_LZMA1, **properties}]
    return lambda payload: lzma.compress(payload, lzma.FORMAT_ALONE, filters=filters)


def _sized_lzma(payload: bytes) -> bytes:
    file = _lzma(dict_size=4096)(payload)
    return file[:5] + struct.pack("<Q", len(payload)) + file[13:]


def _only_joliet(payload: bytes) -> bytes:
    """An image whose primary tree is empty: a system that reads Joliet shows the file all the same."""
    image = bytearray(pack(zip_of(payload), "iso9660", name="notes.zip"))
    root = struct.unpack_from("<I", image, 16 * 2048 + 158)[0] * 2048
    own = image[root]
    start = root + own + image[root + own]
    image[start : root + 2048] = bytes(root + 2048 - start)
    return bytes(image)


def _local_only(payload: bytes) -> bytes:
    file = zip_of(payload)
    return _JPEG + bytes(40) + file[: file.index(b"PK\1\2")]


# Slug, title, file, extension, what the twin may be.
_FILES: Final = (
    ("tar-two", "a tar behind a tar", _behind_tar(lambda p: _tar(zip_of(p)) + _LAST), b"tar", MALFORMED),
    ("tar-zip", "a zip behind a tar", _behind_tar(zip_of), b"tar", MALFORMED),
    ("tar-gzip", "gzip behind a tar", _behind_tar(_gzip), b"tar", MALFORMED),
    ("cpio-gzip", "gzip behind cpio", lambda p: pack(b"Nothing.", "cpio_newc") + _gzip(p), b"cpio", MALFORMED),
    ("lzma-small", "LZMA with a small dictionary", _lzma(dict_size=4096), b"lzma", NEVER),
    ("lzma-properties", "LZMA with rare properties", _lzma(lc=0, lp=2, pb=0, dict_size=1 << 16), b"lzma", NEVER),
    ("lzma-unnamed", "LZMA with rare properties and no name", _lzma(lc=0, lp=2, pb=0, dict_size=1 << 16), b"dat", NEVER),
    ("lzma-sized", "LZMA with its size", _sized_lzma, b"lzma", NEVER),
    ("zip-deep", "a zip amid other bytes",
        lambda p: zipped(Member(content=p), prefix=b"\1\2binary\0" * 20) + _MUCH, b"dat", MALFORMED),
    ("zip-deep-text", "a zip amid text",
        lambda p: zipped(Member(content=p), prefix=b"text\r\n" * 20) + _MUCH, b"txt", MALFORMED | SUSPICIOUS),
    ("zip-in-jpeg", "a zip without directory in a picture", _local_only, b"jpg", MALFORMED | SUSPICIOUS),
    ("iso-joliet", "ISO 9660 that has files in Joliet only", _only_joliet, b"iso", BANNED | MALFORMED),
    ("iso-zip", "a zip behind ISO 9660", lambda p: pack(b"Nothing.", "iso9660") + zip_of(p), b"iso", BANNED | MALFORMED),
)  # fmt: skip

# Slug, how a file of this form begins; nothing here reads it, so it may not pass as if it had been read.
_FORMS: Final = (
    ("lzop", b"\x89LZO\0\r\n\x1a\n"), ("lrzip", b"LRZI\0\6"), ("zpaq", b"7kSt\xa0\x31\x83\xd3"), ("snappy", b"\xff\6\0\0sNaPpY"),
    ("squashfs", b"hsqs" + bytes(28)), ("cramfs", b"\x45\x3d\xcd\x28" + bytes(12) + b"Compressed ROMFS"),
    ("stuffit", b"SIT!\0\1" + bytes(4) + b"rLau"), ("stuffit-5", b"StuffIt (c)1997-2002 Aladdin Systems, Inc."),
    ("alz", b"ALZ\x01\x0a\0\0\0BLZ\x01"), ("egg", b"EGGA\0\1"), ("kwaj", b"KWAJ\x88\xf0\x27\xd1"), ("rar-14", b"RE~^"),
    ("ppmd", b"\x8f\xaf\xac\x84"), ("installshield", b"ISc("), ("installshield-3", b"\x13\x5d\x65\x8c\x3a\x01\x02\0"),
    ("pack", b"\x1f\x1e"), ("compress-lzh", b"\x1f\xa0"), ("ext4", bytes(1080) + b"\x53\xef"), ("hfs", bytes(1024) + b"H+\0\4"),
)  # fmt: skip


def _concealed(start: bytes) -> Content:
    return lambda payload: start + bytes(byte ^ 0x55 for byte in payload) * 30


def _table() -> Iterator[Variant]:
    for slug, title, content, extension, may in _FILES:
        yield attaching(f"archive.odd-{slug}", title, content, b"notes." + extension, _OCTETS, may=may)
    for slug, start in _FORMS:
        title = f"a file of the form {slug}"
        may = MALFORMED | OVER_LIMIT | BANNED
        yield attaching(
            f"archive.form-{slug}",
            title,
            _concealed(start),
            b"notes.bin",
            _OCTETS,
            may=may,
            recoverable=False,
        )


VARIANTS: Final = tuple(_table())
