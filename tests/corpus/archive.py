"""Archives and compressed files other than zip, archives within each other, and archives that say they are not."""

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from .mail import attaching
from .variant import BANNED, MALFORMED, NEVER, SUSPICIOUS, Content, Variant
from .writers.oldarchives import arj, cabinet, lha
from .writers.pack import pack
from .writers.rars import rar4, rar5
from .writers.zips import deflate, zip_of


def _packed(form: str, through: str | None = None, options: str = "") -> Content:
    return lambda payload: pack(payload, form, through=through, options=options)


def _gzip(payload: bytes) -> bytes:
    return gzip.compress(payload, mtime=0)


def _gzip_fields(payload: bytes) -> bytes:
    """All optional fields of RFC 1952 2.3: extra, name, comment, header checksum."""
    head = (
        b"\x1f\x8b\x08\x1e"
        + bytes(5)
        + b"\x03"
        + struct.pack("<H", 8)
        + b"xx\4\0none"
        + b"notes.dat\0a comment\0"
    )
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    return head + deflate(payload) + struct.pack("<II", zlib.crc32(payload), len(payload))


def _gzip_halves(payload: bytes) -> bytes:
    return _gzip(payload[:30]) + _gzip(payload[30:])


def _gzip_crc(payload: bytes) -> bytes:
    return _gzip(payload)[:-8] + bytes(8)


def _gzip_thrice(payload: bytes) -> bytes:
    return _gzip(_gzip(_gzip(payload)))


def _tar_no_end(payload: bytes) -> bytes:
    return pack(payload, "ustar")[: 512 + 512]


def _tar_checksum(payload: bytes) -> bytes:
    file = bytearray(pack(payload, "ustar"))
    file[148:156] = b"000000\0 "
    return bytes(file)


def _tar_long_name(form: str) -> Content:
    return lambda payload: pack(payload, form, name="folder/" * 30 + "notes.dat")


def _bzip2_halves(payload: bytes) -> bytes:
    return bz2.compress(payload[:30]) + bz2.compress(payload[30:])


def _xz_halves(payload: bytes) -> bytes:
    # Stream padding of four NULs is allowed between streams (xz file format 2.2).
    return lzma.compress(payload[:30]) + bytes(4) + lzma.compress(payload[30:])


def _zstd_skippable(payload: bytes) -> bytes:
    """A skippable frame first (RFC 8878 3.1.2)."""
    return struct.pack("<II", 0x184D2A50, 8) + b"skip me." + pack(payload, "raw", through="zstd")


def _tar_gz_zip(payload: bytes) -> bytes:
    return zip_of(pack(payload, "ustar", through="gzip"), b"notes.tar.gz")


def _zip_tar_xz(payload: bytes) -> bytes:
    return pack(zip_of(payload), "pax", through="xz", name="notes.zip")


def _seven_zip_zip(payload: bytes) -> bytes:
    return zip_of(pack(payload, "7zip"), b"notes.7z")


def _rar_zip(payload: bytes) -> bytes:
    return zip_of(rar5(payload), b"notes.rar")


def _zip_iso(payload: bytes) -> bytes:
    return pack(zip_of(payload), "iso9660", name="notes.zip")


def _prefixed_rar(payload: bytes) -> bytes:
    return b"some text\r\n" * 20 + rar4(payload)


# Slug, title, file, extension, type, what the twin may be.
_FILES: Final = (
    ("tar-ustar", "tar, ustar", _packed("ustar"), b"tar", b"application/x-tar", NEVER),
    ("tar-pax", "tar, pax with a long name", _tar_long_name("pax"), b"tar", b"application/x-tar", NEVER),
    ("tar-gnu", "tar, GNU with a long name", _tar_long_name("gnutar"), b"tar", b"application/x-tar", NEVER),
    ("tar-v7", "tar, V7", _packed("v7tar"), b"tar", b"application/x-tar", NEVER),
    ("tar-no-end", "tar without its end", _tar_no_end, b"tar", b"application/x-tar", MALFORMED),
    ("tar-checksum", "tar with a wrong checksum", _tar_checksum, b"tar", b"application/x-tar", MALFORMED),
    ("tar-gz", "tar in gzip", _packed("ustar", "gzip"), b"tgz", b"application/gzip", NEVER),
    ("tar-bz2", "tar in bzip2", _packed("ustar", "bzip2"), b"tar.bz2", b"application/x-bzip2", NEVER),
    ("tar-xz", "tar in xz", _packed("ustar", "xz"), b"tar.xz", b"application/x-xz", NEVER),
    ("tar-zst", "tar in Zstandard", _packed("ustar", "zstd"), b"tar.zst", b"application/zstd", NEVER),
    ("tar-z", "tar in compress", _packed("ustar", "compress"), b"tar.Z", b"application/x-compress", NEVER),
    ("tar-lz", "tar in lzip", _packed("ustar", "lzip"), b"tar.lz", b"application/x-lzip", NEVER),
    ("tar-lz4", "tar in LZ4", _packed("ustar", "lz4"), b"tar.lz4", b"application/x-lz4", NEVER),
    ("tar-lzma", "tar in LZMA", _packed("ustar", "lzma"), b"tar.lzma", b"application/x-lzma", NEVER),
    ("gz", "gzip", _gzip, b"gz", b"application/gzip", NEVER),
    ("gz-fields", "gzip with all optional fields", _gzip_fields, b"gz", b"application/gzip", NEVER),
    ("gz-halves", "gzip in two members", _gzip_halves, b"gz", b"application/gzip", NEVER),
    ("gz-thrice", "gzip three times", _gzip_thrice, b"gz", b"application/gzip", NEVER),
    ("gz-trailing", "junk behind gzip", lambda p: _gzip(p) + b"junk", b"gz", b"application/gzip", MALFORMED),
    ("gz-crc", "gzip with a wrong checksum", _gzip_crc, b"gz", b"application/gzip", MALFORMED),
    ("gz-cut", "gzip without its trailer", lambda p: _gzip(p)[:-8], b"gz", b"application/gzip", MALFORMED),
    ("bz2", "bzip2", bz2.compress, b"bz2", b"application/x-bzip2", NEVER),
    ("bz2-halves", "bzip2 in two streams", _bzip2_halves, b"bz2", b"application/x-bzip2", NEVER),
    ("xz", "xz", lzma.compress, b"xz", b"application/x-xz", NEVER),
    ("xz-halves", "xz in two streams with padding", _xz_halves, b"xz", b"application/x-xz", NEVER),
    ("lzma", "LZMA alone", lambda p: lzma.compress(p, lzma.FORMAT_ALONE), b"lzma", b"application/x-lzma", NEVER),
    ("zst", "Zstandard", _packed("raw", "zstd"), b"zst", b"application/zstd", NEVER),
    ("zst-skippable", "Zstandard behind a skippable frame", _zstd_skippable, b"zst", b"application/zstd", NEVER),
    ("lz4", "LZ4", _packed("raw", "lz4"), b"lz4", b"application/x-lz4", NEVER),
    ("z", "compress", _packed("raw", "compress"), b"Z", b"application/x-compress", NEVER),
    ("zlib", "zlib", zlib.compress, b"zz", b"application/zlib", NEVER),
    ("7z", "7z, LZMA", _packed("7zip"), b"7z", b"application/x-7z-compressed", NEVER),
    ("7z-copy", "7z, copied", _packed("7zip", options="compression=store"), b"7z", b"application/x-7z-compressed", NEVER),
    ("7z-bzip2", "7z, bzip2", _packed("7zip", options="compression=bzip2"), b"7z", b"application/x-7z-compressed", NEVER),
    ("7z-ppmd", "7z, PPMd", _packed("7zip", options="compression=ppmd"), b"7z", b"application/x-7z-compressed", NEVER),
    ("7z-prefixed", "text before 7z",
        lambda p: b"some text\r\n" * 20 + pack(p, "7zip"), b"7z", b"application/x-7z-compressed", MALFORMED | SUSPICIOUS),
    ("rar4", "RAR 4, stored", rar4, b"rar", b"application/vnd.rar", NEVER),
    ("rar5", "RAR 5, stored", rar5, b"rar", b"application/vnd.rar", NEVER),
    ("rar4-prefixed", "text before RAR 4", _prefixed_rar, b"rar", b"application/vnd.rar", MALFORMED | SUSPICIOUS),
    ("rar5-trailing", "junk behind RAR 5", lambda p: rar5(p) + b"junk" * 9, b"rar", b"application/vnd.rar", MALFORMED),
    ("cab", "cabinet, stored", cabinet, b"cab", b"application/vnd.ms-cab-compressed", BANNED),
    ("cab-mszip", "cabinet, MSZIP", lambda p: cabinet(p, mszip=True), b"cab", b"application/vnd.ms-cab-compressed", BANNED),
    ("lha-0", "LHA, header of level 0", lambda p: lha(p, 0), b"lzh", b"application/x-lzh-compressed", NEVER),
    ("lha-1", "LHA, header of level 1", lambda p: lha(p, 1), b"lzh", b"application/x-lzh-compressed", NEVER),
    ("lha-2", "LHA, header of level 2", lambda p: lha(p, 2), b"lzh", b"application/x-lzh-compressed", NEVER),
    ("arj", "ARJ, stored", arj, b"arj", b"application/arj", BANNED),
    ("cpio", "cpio", _packed("cpio"), b"cpio", b"application/x-cpio", NEVER),
    ("cpio-newc", "cpio, new form", _packed("cpio_newc"), b"cpio", b"application/x-cpio", NEVER),
    ("ar", "ar", _packed("ar_svr4"), b"ar", b"application/octet-stream", NEVER),
    ("iso", "ISO 9660 with Joliet and Rock Ridge", _packed("iso9660"), b"iso", b"application/x-iso9660-image", BANNED),
    ("iso-plain", "ISO 9660 alone", _packed("iso9660", options="!joliet,!rockridge"), b"iso", b"application/x-iso9660-image", BANNED),
    ("iso-img", "ISO 9660 named .img", _packed("iso9660"), b"img", b"application/octet-stream", BANNED),
    ("xar", "xar", _packed("xar"), b"xar", b"application/x-xar", NEVER),
    ("warc", "WARC", _packed("warc"), b"warc", b"application/warc", NEVER),
    ("tar-gz-zip", "tar in gzip in zip", _tar_gz_zip, b"zip", b"application/zip", NEVER),
    ("zip-tar-xz", "zip in tar in xz", _zip_tar_xz, b"tar.xz", b"application/x-xz", NEVER),
    ("7z-zip", "7z in zip", _seven_zip_zip, b"zip", b"application/zip", NEVER),
    ("rar-zip", "RAR in zip", _rar_zip, b"zip", b"application/zip", NEVER),
    ("zip-iso", "zip in ISO 9660", _zip_iso, b"iso", b"application/x-iso9660-image", BANNED),
    ("zip-as-jpeg", "a zip that says it is a picture", zip_of, b"jpg", b"image/jpeg", SUSPICIOUS | BANNED | MALFORMED),
    ("zip-as-text", "a zip that says it is text", zip_of, b"txt", b"text/plain", SUSPICIOUS | BANNED | MALFORMED),
    ("zip-as-pdf", "a zip that says it is PDF", zip_of, b"pdf", b"application/pdf", SUSPICIOUS | BANNED | MALFORMED),
    ("zip-as-gz", "a zip that says it is gzip", zip_of, b"gz", b"application/gzip", SUSPICIOUS | BANNED | MALFORMED),
    ("gz-as-zip", "gzip that says it is a zip", _gzip, b"zip", b"application/zip", SUSPICIOUS | BANNED | MALFORMED),
    ("rar-as-zip", "RAR that says it is a zip", rar5, b"zip", b"application/zip", SUSPICIOUS | BANNED | MALFORMED),
    ("7z-as-text", "7z that says it is text", _packed("7zip"), b"txt", b"text/plain", SUSPICIOUS | BANNED | MALFORMED),
    ("tar-as-unknown", "tar of unknown type", _packed("ustar"), b"xyz", b"application/octet-stream", NEVER),
)  # fmt: skip


def _table() -> Iterator[Variant]:
    for slug, title, content, extension, kind, may in _FILES:
        yield attaching(f"archive.{slug}", title, content, b"notes." + extension, kind, may=may)


VARIANTS: Final = tuple(_table())
