"""What bytes are, by the bytes: our own table of the kinds that policy or an opener cares about.

The attack it stops: a program, archive or document that passes under an innocent name or type. Only the first
kilobytes and a few fixed places are looked at, so the cost does not grow with the content.
"""

import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Final

from . import native
from .documents_cards import is_card
from .kinds_table import KINDS, Kind

__all__ = ["KINDS", "Kind", "as_bytes_text", "extension_of", "kind_of"]

_HEAD: Final = 4096
_LZMA_MEMORY: Final = 128 << 20
# A zip is found from its end: its last record and the longest comment (APPNOTE 4.3.16).
ZIP_TAIL: Final = 22 + 65535
# The object identifiers of signed data (RFC 5652) and compressed data (RFC 3274), in DER.
_CMS_SIGNED: Final = bytes.fromhex("06092a864886f70d010702")
_CMS_COMPRESSED: Final = bytes.fromhex("060b2a864886f70d0109100109")
_OLE_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# (offset, bytes, kind): the first that matches wins, so the longer ones of a family stand first.
_MAGICS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x7fELF", "elf"), (0, b"\xfe\xed\xfa\xce", "macho"), (0, b"\xfe\xed\xfa\xcf", "macho"),
    (0, b"\xce\xfa\xed\xfe", "macho"), (0, b"\xcf\xfa\xed\xfe", "macho"), (0, b"\xca\xfe\xba\xbf", "macho"),
    (0, b"dex\n0", "dex"), (0, b"L\0\0\0\x01\x14\x02\0", "lnk"), (0, b"ITSF", "chm"),
    (0, b"ActiveMime", "activemime"), (0, b"\0\x05\x16\0", "apple"), (0, b"\0\x05\x16\x07", "apple"), (0, b"?_\x03\0", "hlp"),
    (0, b"\0asm", "wasm"), (0, b"Rar!\x1a\x07", "rar"), (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"\x1f\x8b", "gz"), (0, b"BZh", "bz2"), (0, b"\xfd7zXZ\0", "xz"), (0, b"\x28\xb5\x2f\xfd", "zst"),
    *((0, bytes((first, 0x2A, 0x4D, 0x18)), "zst") for first in range(0x50, 0x60)),
    *((0, magic, "rare") for magic in (
        b"\x89LZO\0\r\n\x1a\n", b"LRZI\0", b"7kSt\xa0\x31", b"\xff\x06\0\0sNaPpY", b"hsqs", b"\x45\x3d\xcd\x28", b"SIT!\0",
        b"StuffIt (c)1997", b"ALZ\x01", b"EGGA\0", b"KWAJ\x88\xf0", b"RE~^", b"\x8f\xaf\xac\x84", b"\x13\x5d\x65\x8c", b"ISc(",
        b"\x1f\x1e", b"\x1f\xa0",
    )),
    (0, b"\x04\x22\x4d\x18", "lz4"), (0, b"\x02\x21\x4c\x18", "lz4"), (0, b"\x1f\x9d", "compress"),
    (0, b"LZIP", "lzip"), (0, b"SZDD\x88\xf0", "szdd"), (0, b"MSCF\0\0\0\0", "cab"), (0, b"\x60\xea", "arj"),
    (7, b"**ACE**", "ace"), (20, b"\xdc\xa7\xc4\xfd", "zoo"), (0, b"xar!\0", "xar"),
    (0, b"\xed\xab\xee\xdb", "rpm"), (0, b"!<arch>\n", "ar"), (0, b"WARC/", "warc"),
    (0, b"070701", "cpio"), (0, b"070702", "cpio"), (0, b"070707", "cpio"), (0, b"\xc7\x71", "cpio"),
    (0, b"\x71\xc7", "cpio"), (0, b"MSWIM\0\0\0", "wim"), (0, b"conectix", "vhd"), (0, b"vhdxfile", "vhd"),
    (0, b"KDMV", "vhd"), (0, b"QFI\xfb", "vhd"), (64, b"\x7f\x10\xda\xbe", "vhd"),
    (257, b"ustar", "tar"), (0, b"\x78\x9f\x3e\x22", "tnef"),
    (0, bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3"), "one"),
    (0, bytes.fromhex("a12ff143d9ef764c9ee210ea5722765f"), "one"),
    (0, b"CWS", "swf"), (0, b"FWS", "swf"), (0, b"ZWS", "swf"), (0, b"%!PS", "ps"), (0, b"\xc5\xd0\xd3\xc6", "ps"),
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpeg"), (0, b"GIF87a", "gif"), (0, b"GIF89a", "gif"),
    (8, b"WEBP", "webp"), (0, b"II*\0", "tiff"), (0, b"MM\0*", "tiff"), (0, b"8BPS", "psd"),
    (0, b"\xd7\xcd\xc6\x9a", "emf"), (40, b" EMF", "emf"), (0, b"ID3", "mp3"), (0, b"\xff\xfb", "mp3"),
    (0, b"OggS", "ogg"), (0, b"fLaC", "flac"), (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"), (0, b"RIFF", "riff"), (0, b"\0\x01\0\0\0", "font"),
    (0, b"OTTO\0", "font"), (0, b"wOFF", "font"), (0, b"wOF2", "font"), (0, b"ttcf", "font"),
    (0, b"SQLite format 3\0", "sqlite"), (4, b"Standard Jet DB", "access"), (4, b"Standard ACE DB", "access"),
)  # fmt: skip
# The first byte settles most cases: only the magics that begin with it, and those behind an offset, are tried.
_BY_FIRST: Final[dict[int, tuple[tuple[int, bytes, str], ...]]] = {
    first: tuple(row for row in _MAGICS if row[0] or row[1][0] == first) for first in range(256)
}

_HTML: Final = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|script|iframe|meta|title|table|div|a\s|p>|img|form|style|base|object|embed"
    rb"|center|font|h[1-6]>|br|span|svg|!--)",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(rb"[!-9;-~]{1,76}[ \t]*:[^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*(?:\r?\n|\r)")
_MAIL_FIELDS: Final = re.compile(
    rb"(?:^|[\r\n])(?:from|to|subject|date|received|return-path|mime-version|content-type|message-id|delivered-to"
    rb"|content-transfer-encoding|x-mailer|reply-to|cc|sender|content-location|content-disposition)[ \t]*:",
    re.IGNORECASE,
)
_MBOX: Final = re.compile(rb"From [^\r\n]{3,200}\r?\n[!-9;-~]{1,76}[ \t]*:")
_SCRIPT_EXTENSIONS: Final = frozenset(
    [*KINDS["script"].extensions, "vb", "wsc", "ps1xml", "ps2", "psm1", "psd1", "msh", "scf", "inf", "command", "bash",
     "csh", "jnlp", "application", "settingcontent-ms", "library-ms", "search-ms"]
)  # fmt: skip
_TEXT_BYTES: Final = bytes(range(32, 256)) + b"\t\n\r\f\b\x1b\x1a"


def extension_of(name: str) -> str:
    """Return the last extension of a file name, lower case, no dot, as Windows takes it ("a.exe. " is "exe")."""
    if "." not in name:
        return ""
    base = re.split(r"[\\/]", name)[-1].partition("\0")[0]
    # Windows drops trailing dots and blanks; "name.exe:stream" and "name.exe::$DATA" open the file.
    base = re.sub(r":[^:]*(?::\$data)?$", "", base, flags=re.IGNORECASE).rstrip(". \t\u00a0\u3000\u200b")
    stem, dot, last = base.rpartition(".")
    return last.strip().lower() if dot and (stem or last) else ""


def kind_of(data: bytes, name: str = "") -> str:
    """Return the id of the kind of ``data``; the name decides only between text and script."""
    if not data:
        return "empty"
    head = data[:_HEAD]
    for test in _TESTS:
        if found := test(data, head):
            return found
    for offset, magic, kind in _BY_FIRST[head[0]]:
        if head.startswith(magic, offset) and _confirmed(kind, data, head):
            return kind
    if head[:1] == b"\x30" and (_CMS_SIGNED in head[:40] or _CMS_COMPRESSED in head[:40]):
        return "cms"
    return _disk(data) or _tar(head) or _text(head, name) or _late(data) or "unknown"


def _program(data: bytes, head: bytes) -> str:
    if head[:2] in {b"MZ", b"ZM"}:
        # A PE that is cut short is still MZ; letters that begin a text are not.
        at = struct.unpack_from("<I", head, 60)[0] if len(head) >= 64 else 0
        if at and data[at : at + 2] in {b"PE", b"NE", b"LE", b"LX"}:
            return "pe"
        return "pe" if not _is_text(head[:512]) and _is_dos(head) else ""
    if head[:4] == b"\xca\xfe\xba\xbe" and len(head) >= 8:
        # Fat Mach-O has a small count of architectures where Java has its version, 45 and up (JVMS 4.1).
        return "macho" if struct.unpack_from(">I", head, 4)[0] < 40 else "java-class"
    if head[:2] == b"#!":
        return "script"
    return ""


def _is_dos(head: bytes) -> bool:
    """Return whether the header of a program is plausible: bytes of the last page, relocations, size of the header."""
    if len(head) < 28:
        return True
    last, _, relocations, paragraphs = struct.unpack_from("<4H", head, 2)
    return bool(last <= 512 and relocations <= 4096 and paragraphs <= 4096)


def _is_binary_cpio(head: bytes) -> bool:
    """Return whether the header of an old cpio (2-byte words) is plausible: the mode's type, the length of the name."""
    if len(head) <= 26:
        return False
    order = "<" if head[:1] == b"\xc7" else ">"
    mode, size = struct.unpack_from(f"{order}H", head, 6)[0], struct.unpack_from(f"{order}H", head, 20)[0]
    return mode >> 12 in {1, 2, 4, 6, 8, 10, 12} and 0 < size <= 4096


def _ole(data: bytes, head: bytes) -> str:
    """Tell installers and messages among OLE files by the root entry and the names in the first directory sector."""
    if head[:8] != _OLE_MAGIC or len(head) < 76:
        return ""
    shift, first = struct.unpack_from("<H", head, 30)[0], struct.unpack_from("<I", head, 48)[0]
    size = 1 << shift if shift in {9, 12} else 512
    directory = data[(first + 1) * size : (first + 1) * size + 4096] if first < 1 << 24 else b""
    if directory[80:96] in _INSTALLERS:
        return "msi"
    return "msg" if "__properties_version1.0".encode("utf-16-le") in directory else "ole"


_INSTALLERS: Final = frozenset(
    bytes.fromhex(f"{number}00000000c000000000000046") for number in ("84100c00", "86100c00", "82100c00")
)


def _zip(data: bytes, head: bytes) -> str:
    if head[:4] not in {b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00"}:
        return ""
    tail = data[-ZIP_TAIL:]
    for kind, marks in _ZIP_MEMBERS:
        if any(mark in head or mark in tail for mark in marks):
            return kind
    return "zip"


# Names as they stand in local headers and the central directory, and the first member's content.
_ZIP_MEMBERS: Final[tuple[tuple[str, tuple[bytes, ...]], ...]] = (
    ("apk", (b"AndroidManifest.xml", b"classes.dex")),
    ("ooxml", (b"[Content_Types].xml", b"_rels/.rels", b"word/document.xml", b"xl/workbook.")),
    (
        "odf",
        (
            b"mimetypeapplication/vnd.oasis.",
            b"mimetypeapplication/epub+zip",
            b"mimetypeapplication/vnd.sun.xml",
        ),
    ),
    ("jar", (b"META-INF/MANIFEST.MF",)),
)


def _pdf(data: bytes, head: bytes) -> str:
    # Readers take a PDF whose header stands anywhere in the first 1024 bytes (ISO 32000-1 Annex H.3, note 13).
    del data
    at = head.find(b"%PDF-", 0, 1029)
    # A text that speaks of PDF is no PDF; openers.py has both read where this cannot tell.
    return "pdf" if at != -1 and (not head[:at].strip() or not _is_text(head[:at]) or b" obj" in head) else ""


def _rtf(data: bytes, head: bytes) -> str:
    del data
    # Word reads on after "{\rt", whatever follows.
    return "rtf" if head.lstrip(b"\r\n\t \xef\xbb\xbf")[:4].lower() == b"{\\rt" else ""


_TESTS: Final[tuple[Callable[[bytes, bytes], str], ...]] = (_program, _ole, _zip, _rtf, _pdf)


def _confirmed(kind: str, data: bytes, head: bytes) -> bool:
    """Return whether a short magic is borne out by what follows it; the long ones need no more."""
    checks: dict[str, Callable[[], bool]] = {
        "bz2": lambda: head[3:4].isdigit() and head[4:10] in {b"1AY&SY", b"\x17rE8P\x90"},
        "gz": lambda: head[2:3] == b"\x08",
        "arj": lambda: len(head) > 10 and 0 < struct.unpack_from("<H", head, 2)[0] <= 2600 and head[4] >= 30,
        "cpio": lambda: head[:1] == b"0" or _is_binary_cpio(head),
        "swf": lambda: len(head) > 8 and head[3] < 60,
        "riff": lambda: head[8:12] in {b"WAVE", b"AVI ", b"ACON", b"CDXA", b"RMID"},
        "webp": lambda: head[:4] == b"RIFF",
        "emf": lambda: head[:4] in {b"\xd7\xcd\xc6\x9a", b"\x01\0\0\0"},
        "mp3": lambda: not _is_text(head[:256]),
        # Flags (compress(1)): two of them unused, and the most bits of a code, 9 to 16.
        "compress": lambda: len(head) > 3 and not head[2] & 0x60 and 9 <= head[2] & 0x1F <= 16,
        "rare": lambda: len(data) > 16 and not _is_text(head[:256]),
        "warc": head[5:6].isdigit,
    }
    return kind not in checks or checks[kind]()


def _disk(data: bytes) -> str:
    for offset in (32769, 34817, 36865) if len(data) > 32769 else ():
        mark = data[offset : offset + 5]
        if mark == b"CD001":
            return "iso"
        if mark in {b"NSR02", b"NSR03", b"BEA01"}:
            return "udf"
    if data[-512:-504] == b"conectix":
        return "vhd"
    # The file systems in such an image may also come without it.
    if data[-512:-508] == b"koly" or data[1024:1028] in {b"H+\0\4", b"HX\0\5"} or data[32:36] == b"NXSB":
        return "dmg"
    extended = data[1080:1082] == b"\x53\xef" and not any(data[:512])  # ext2 to ext4
    boots = len(data) > 1024 and data[510:512] == b"\x55\xaa" and not _is_text(data[:512])
    return "img" if extended or boots else ""


def _tar(head: bytes) -> str:
    """Know a tar without magic (V7) by its header's checksum."""
    if len(head) < 512 or not head[0]:
        return ""
    digits = head[148:156].strip(b" \0")
    if digits[:1] not in _NUMBER_STARTS:
        return ""
    try:
        said = int(digits or b"x", 8)
    except ValueError:
        return ""
    return "tar" if said == sum(head[:148]) + 256 + sum(head[156:512]) else ""


def _late(data: bytes) -> str:
    """Know what has no magic at its start."""
    head = data[:_HEAD]
    if _LHA.match(head):
        return "lha"
    if head[4:8] == b"ftyp":
        return "heif" if head[8:12] in {b"heic", b"heix", b"mif1", b"msf1", b"avif"} else "mp4"
    # lzma has no magic: properties, a dictionary of a plausible size and a length (or none).
    if (head[:3] == b"\x5d\0\0" and head[5:13] == b"\xff" * 8) or _is_lzma(head):
        return "lzma"
    if head[:2] == b"BM" and len(data) > 26 and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return "ico" if head[:4] in {b"\0\0\x01\0", b"\0\0\x02\0"} else _weakest(data, head)


def _weakest(data: bytes, head: bytes) -> str:
    if b"PK\x05\x06" in data[-ZIP_TAIL:]:
        return "zip"
    return "zlib" if _is_zlib(head) else ""


def _is_lzma(head: bytes) -> bool:
    """Return whether bytes may be a .lzma file: what xz demands of one (its src/common/alone_decoder), some unpacked."""
    if len(head) < 18 or head[0] >= 9 * 5 * 5 or head[13]:
        return False
    dictionary, size = struct.unpack_from("<IQ", head, 1)
    # A power of two, or that and its half.
    odd = dictionary >> (max(dictionary.bit_length() - 2, 0))
    if dictionary & (dictionary - 1) and (odd != 3 or dictionary & ((1 << dictionary.bit_length() - 2) - 1)):
        return False
    if dictionary < 4096 or not (size == (1 << 64) - 1 or size < 1 << 38):
        return False
    try:
        native.note()
        lzma.LZMADecompressor(lzma.FORMAT_ALONE, _LZMA_MEMORY).decompress(head, 64)
    except lzma.LZMAError as error:
        return "limit" in str(error)
    return True


def _is_zlib(head: bytes) -> bool:
    """Return whether bytes are the start of a zlib stream (RFC 1950 2.2): its check is weak, so some is unpacked."""
    if head[0] & 0x8F != 0x08 or int.from_bytes(head[:2], "big") % 31:
        return False
    try:
        return bool(zlib.decompressobj().decompress(head, 64))
    except zlib.error:
        return False


_NUMBER_STARTS: Final = frozenset(bytes((sign,)) for sign in b"01234567+-\t\n\r\v\f ")
_LHA: Final = re.compile(rb"..-(?:lh[0-9dx]|lz[s45]|pm[0-2])-", re.DOTALL)


def _is_text(head: bytes) -> bool:
    return not head.translate(None, _TEXT_BYTES)


def as_bytes_text(head: bytes) -> bytes:
    """Return the start of a text as single bytes: what UTF-16 and UTF-32 hold of ASCII, byte order marks dropped."""
    for mark, codec in ((b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"), (b"\xff\xfe", "utf-16-le"),
                        (b"\xfe\xff", "utf-16-be")):  # fmt: skip
        if head.startswith(mark):
            return head[len(mark) :].decode(codec, "ignore").encode("latin-1", "replace")
    if head[1:64:2].count(0) > 20:
        return head[::2]
    if head[:64:2].count(0) > 20:
        return head[1::2]
    return head.removeprefix(b"\xef\xbb\xbf")


def _text(head: bytes, name: str) -> str:
    plain = as_bytes_text(head)
    start = plain.lstrip(b" \t\r\n\0")
    # A browser shows HTML among bytes that are no text; a NUL or two do not make a page unknown.
    if start[:1] == b"<" and (found := _markup(start)):
        return found
    if not _is_text(plain):
        return ""
    if _MBOX.match(start):
        return "mbox"
    if is_card(start):
        return "card"
    if _is_mail(start):
        return "mail"
    return _text_by(start, extension_of(name))


def _markup(start: bytes) -> str:
    lower = start.lower()
    svg = lower.find(b"<svg")
    if svg != -1 and not _HTML.search(lower, 0, svg):
        return "svg"
    if lower.startswith(b"<?xml"):
        return "html" if b"<html" in lower else "xml"
    return "html" if _HTML.search(lower[:1024]) else ""


def _is_mail(start: bytes) -> bool:
    """Return whether a text begins like a message: fields, two of them known ones (or one that makes it MIME)."""
    first = _FIELD.match(start)
    if not first:
        return False
    at = 0
    fields: list[bytes] = []
    while len(fields) < 40 and (field := _FIELD.match(start, at)):
        fields.append(field.group())
        at = field.end()
    known = sum(1 for field in fields if _MAIL_FIELDS.match(field))
    return known >= 2 or (known == 1 and b"content-type" in b"".join(fields).lower())


def _text_by(start: bytes, extension: str) -> str:
    marks: Iterable[tuple[bytes, str]] = (
        (b"[internetshortcut]", "url"), (b"id;p", "sylk"), (b"<job", "script"), (b"#@~^", "script"),
        (b"windows registry editor", "script"), (b"regedit4", "script"), (b"@echo off", "script"),
        (b"-----begin pgp", "pgp"),
    )  # fmt: skip
    lower = start[:512].lower()
    for mark, kind in marks:
        if lower.startswith(mark):
            return kind
    if extension in _SCRIPT_EXTENSIONS:
        return "script"
    if _HTML.search(start[:1024]) and (
        extension in KINDS["html"].extensions or b"<html" in lower or b"<script" in lower
    ):
        return "html"
    return "text"
