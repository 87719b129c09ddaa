"""Zip tricks: a zip has its truth twice, before the data and at the end of the file, and readers believe one of them."""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from .mail import attaching
from .variant import ENCRYPTED, MALFORMED, NEVER, OVER_LIMIT, SUSPICIOUS, Content, Variant
from .writers.zips import DEFLATED, STORED, Member, deflate, deflate_flushed, zip_of, zipped

_DECOY: Final = b"Nothing to see here.\r\n"
_JPEG: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"


def _method(number: int) -> Content:
    return lambda payload: zip_of(payload, method=number)


def _packed(payload: bytes, packed: bytes) -> bytes:
    return zipped(Member(content=payload, packed=packed))


def _nested(depth: int) -> Content:
    def content(payload: bytes) -> bytes:
        file, name = payload, b"notes.dat"
        for level in range(depth):
            file, name = zip_of(file, name), b"level%d.zip" % level
        return file

    return content


def _named(name: bytes) -> Content:
    return lambda payload: zip_of(payload, name)


def _no_directory(payload: bytes) -> bytes:
    file = zip_of(payload)
    return file[: file.index(b"PK\1\2")]


def _no_end(payload: bytes) -> bytes:
    file = zip_of(payload)
    return file[: file.index(b"PK\5\6")]


def _broken_directory(payload: bytes) -> bytes:
    return zip_of(payload).replace(b"PK\1\2", b"XX\1\2")


def _false_end_in_comment(payload: bytes) -> bytes:
    """The comment is the end record of an empty zip; who searches from the file's end finds that one."""
    return zipped(Member(content=payload), comment=b"PK\5\6" + bytes(18))


def _two(first: bytes, second: bytes) -> bytes:
    return zip_of(first, b"first.dat") + zip_of(second, b"second.dat")


def _hidden_before(payload: bytes) -> bytes:
    hidden = zipped(Member(content=payload))
    return zipped(Member(content=_DECOY, name=b"a.txt"), prefix=hidden[: hidden.index(b"PK\1\2")])


def _same_name(first: bytes, second: bytes) -> bytes:
    return zipped(Member(content=first), Member(content=second))


def _overlapping(payload: bytes) -> bytes:
    """The second member lies in the extra field of the first: two readers, two members."""
    inner = zipped(Member(content=payload, method=STORED, listed=False), count=0)
    local = inner[: inner.index(b"PK\5\6")]
    extra = struct.pack("<HH", 0x7777, len(local)) + local
    return zipped(Member(content=_DECOY, name=b"a.txt", extra=extra))


def _spanned(payload: bytes) -> bytes:
    return zipped(Member(content=payload), prefix=b"PK00")


def _unicode_name(payload: bytes) -> bytes:
    """Info-ZIP's Unicode path extra field gives another name (APPNOTE 4.6.9)."""
    plain, other = b"notes.dat", "nötes.dat".encode()
    body = b"\x01" + struct.pack("<I", zlib.crc32(plain)) + other
    return zipped(Member(content=payload, extra=struct.pack("<HH", 0x7075, len(body)) + body))


# Slug, title, file, what the twin may be.
_ZIP: Final = (
    ("stored", "a zip, stored", _method(STORED), NEVER),
    ("deflated", "a zip, deflated", _method(DEFLATED), NEVER),
    ("bzip2", "a zip, bzip2", _method(12), NEVER),
    ("lzma", "a zip, LZMA", _method(14), NEVER),
    ("zstd", "a zip, Zstandard", _method(93), NEVER),
    ("xz", "a zip, xz", _method(95), NEVER),
    ("deflate-stored", "deflate in stored blocks", lambda p: _packed(p, deflate(p, 0)), NEVER),
    ("deflate-flushed", "deflate in a block a byte", lambda p: _packed(p, deflate_flushed(p)), NEVER),
    ("zip64", "a small zip in zip64 form", lambda p: zipped(Member(content=p, zip64=True, version=45)), NEVER),
    ("descriptor", "a data descriptor", lambda p: zipped(Member(content=p, descriptor=b"PK\7\x08")), NEVER),
    ("descriptor-bare", "a data descriptor without signature", lambda p: zipped(Member(content=p, descriptor=b"")), NEVER),
    ("descriptor-stored", "a stored member with data descriptor",
        lambda p: zipped(Member(content=p, method=STORED, descriptor=b"PK\7\x08")), MALFORMED),
    ("prefixed", "text before the zip", lambda p: zipped(Member(content=p), prefix=b"some text\r\n" * 20), MALFORMED | SUSPICIOUS),
    ("prefixed-uncounted", "text before, offsets uncorrected",
        lambda p: zipped(Member(content=p), prefix=b"some text\r\n" * 20, prefix_counted=False), MALFORMED | SUSPICIOUS),
    ("prefixed-jpeg", "a picture before the zip", lambda p: zipped(Member(content=p), prefix=_JPEG), MALFORMED | SUSPICIOUS),
    ("trailing", "junk behind the zip", lambda p: zip_of(p) + b"junk" * 50, MALFORMED),
    ("trailing-much", "70 kB of junk behind the zip", lambda p: zip_of(p) + bytes(70_000), MALFORMED),
    ("between", "junk before the central directory", lambda p: zipped(Member(content=p), between=b"junk" * 50), MALFORMED),
    ("local-name", "another name in the local header", lambda p: zipped(Member(content=p, local_name=b"a.txt")), MALFORMED),
    ("local-method", "the local header says stored", lambda p: zipped(Member(content=p, local_method=STORED)), MALFORMED),
    ("central-method", "the central directory says stored",
        lambda p: zipped(Member(content=p, method=STORED, packed=deflate(p), local_method=DEFLATED)), MALFORMED),
    ("local-size-zero", "the local header says zero bytes", lambda p: zipped(Member(content=p, local_sizes=(0, 0))), MALFORMED),
    ("local-size-great", "the local header says four gigabytes",
        lambda p: zipped(Member(content=p, local_sizes=(0xFFFFFFF0, 0xFFFFFFF0))), MALFORMED),
    ("central-size-zero", "the central directory says zero bytes", lambda p: zipped(Member(content=p, central_sizes=(0, 0))), MALFORMED),
    ("central-size-small", "the central directory says ten bytes",
        lambda p: zipped(Member(content=p, central_sizes=(len(deflate(p)), 10))), MALFORMED),
    ("crc", "a wrong checksum", lambda p: zipped(Member(content=p, crc=1)), MALFORMED),
    ("no-directory", "no central directory", _no_directory, MALFORMED),
    ("no-end", "no end record", _no_end, MALFORMED),
    ("broken-directory", "a broken central directory", _broken_directory, MALFORMED),
    ("unlisted", "a member that is not listed",
        lambda p: zipped(Member(content=_DECOY, name=b"a.txt"), Member(content=p, listed=False)), MALFORMED),
    ("unlisted-first", "a member before those listed", _hidden_before, MALFORMED),
    ("count-zero", "the end record says no members", lambda p: zipped(Member(content=p), count=0), MALFORMED),
    ("count-one", "the end record says one of two",
        lambda p: zipped(Member(content=_DECOY, name=b"a.txt"), Member(content=p), count=1), MALFORMED),
    ("shifted", "the end record errs by some bytes", lambda p: zipped(Member(content=p), shift=7), MALFORMED),
    ("comment", "a comment of 10 kB", lambda p: zipped(Member(content=p), comment=b"words " * 1700), NEVER),
    ("comment-pk", "a comment of signatures", lambda p: zipped(Member(content=p), comment=b"PK\3\4PK\1\2PK\5\6" * 9), MALFORMED),
    ("comment-end", "a comment that is an end record", _false_end_in_comment, MALFORMED),
    ("two-first", "the first of two zips in a file", lambda p: _two(p, _DECOY), MALFORMED),
    ("two-second", "the second of two zips in a file", lambda p: _two(_DECOY, p), MALFORMED),
    ("same-name-first", "the first of two of one name", lambda p: _same_name(p, _DECOY), MALFORMED),
    ("same-name-second", "the second of two of one name", lambda p: _same_name(_DECOY, p), MALFORMED),
    ("overlapping", "a member in another's extra field", _overlapping, MALFORMED),
    ("spanned", "the mark of a spanned zip", _spanned, MALFORMED),
    ("unicode-name", "a second name in the extra field", _unicode_name, NEVER),
    ("version", "an unknown version", lambda p: zipped(Member(content=p, version=990)), MALFORMED),
    ("flag-enciphered", "said to be enciphered, is not", lambda p: zipped(Member(content=p, flags=1)), ENCRYPTED | MALFORMED),
    ("flag-local", "only the local header says enciphered", lambda p: zipped(Member(content=p, local_flags=1)), ENCRYPTED | MALFORMED),
    ("name-up", "a name that climbs", _named(b"../../notes.dat"), MALFORMED | SUSPICIOUS),
    ("name-root", "a name from the root", _named(b"/tmp/notes.dat"), MALFORMED | SUSPICIOUS),
    ("name-backslash", "a name with backslashes", _named(b"folder\\notes.dat"), NEVER),
    ("name-folder", "a name that ends in a slash", _named(b"notes/"), MALFORMED),
    ("name-empty", "an empty name", _named(b""), MALFORMED),
    ("name-nul", "NUL in the name", _named(b"notes.txt\0.dat"), MALFORMED),
    ("name-eight-bit", "a name in an unknown charset", _named(b"n\xf6tes.dat"), NEVER),
    ("name-long", "a name of 3000 characters", _named(b"n" * 3000), MALFORMED | OVER_LIMIT),
    ("nested-2", "two zips within each other", _nested(2), NEVER),
    ("nested-3", "three zips within each other", _nested(3), NEVER),
    ("nested-4", "four zips within each other", _nested(4), NEVER),
    ("nested-5", "five zips within each other", _nested(5), NEVER),
    ("nested-12", "twelve zips within each other", _nested(12), OVER_LIMIT),
    ("nested-40", "forty zips within each other", _nested(40), OVER_LIMIT),
)  # fmt: skip


def _table() -> Iterator[Variant]:
    for slug, title, content, may in _ZIP:
        yield attaching(f"archive.zip-{slug}", title, content, b"notes.zip", b"application/zip", may=may)


VARIANTS: Final = tuple(_table())
