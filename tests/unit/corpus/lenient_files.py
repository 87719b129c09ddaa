"""Readers of files: the standard library, libarchive, olefile and oletools, and a few lines where there is none."""

import base64
import bz2
import io
import lzma
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator

import libarchive
import olefile

from tests.corpus.encryption import PASSWORD

with warnings.catch_warnings():
    # oletools still uses names that pyparsing gave up.
    warnings.simplefilter("ignore")
    from oletools.olevba import VBA_Parser
    from oletools.rtfobj import RtfObjParser

_MAGICS = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ")
_ERRORS = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    struct.error,
    lzma.LZMAError,
)


def zips(blob: bytes) -> Iterator[bytes]:
    """By the central directory, and by each local header, with and without the password."""
    if b"PK\3\4" not in blob:
        return
    for password in (None, PASSWORD.encode()):
        try:
            with zipfile.ZipFile(io.BytesIO(blob)) as archive:
                for member in archive.infolist():
                    yield from _member(archive, member, password)
        except (zipfile.BadZipFile, *_ERRORS):
            continue
    for found in re.finditer(re.escape(b"PK\3\4"), blob):
        yield from _local(blob[found.start() :])


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, password: bytes | None) -> Iterator[bytes]:
    try:
        yield archive.read(member, password)
    except (zipfile.BadZipFile, *_ERRORS):
        return


def _local(blob: bytes) -> Iterator[bytes]:
    if len(blob) < 30:
        return
    name, extra = struct.unpack_from("<HH", blob, 26)
    data = blob[30 + name + extra :]
    try:
        yield zlib.decompressobj(-15).decompress(data)
    except zlib.error:
        yield data[: data.find(b"PK")]


def archives(blob: bytes) -> Iterator[bytes]:
    """Whatever libarchive opens, from the start or from a signature on."""
    if len(blob) < 20:
        return
    starts = {0, *(found.start() for magic in _MAGICS for found in re.finditer(re.escape(magic), blob))}
    for start in sorted(starts)[:20]:
        for form in ("all", "raw"):
            yield from _members(blob[start:], form)


def _members(blob: bytes, form: str) -> Iterator[bytes]:
    try:
        with libarchive.memory_reader(blob, format_name=form, passphrase=PASSWORD) as archive:
            for entry in archive:
                yield b"".join(entry.get_blocks())
    except (libarchive.ArchiveError, *_ERRORS):
        return


def streams(blob: bytes) -> Iterator[bytes]:
    """Compressed streams, complete or not."""
    for magic, bits in ((b"\x1f\x8b\x08", 31), (b"\x78", 15)):
        at = blob.find(magic)
        if 0 <= at <= 5000:
            try:
                yield zlib.decompressobj(bits).decompress(blob[at:])
            except zlib.error:
                continue
    for decompress in (bz2.decompress, lzma.decompress):
        try:
            yield decompress(blob)
        except _ERRORS:
            continue


def tar(blob: bytes) -> Iterator[bytes]:
    """The first member of a tar whose checksum is wrong."""
    if blob[257:262] == b"ustar":
        yield blob[512 : 512 + int(blob[124:135].rstrip(b"\0 ") or b"0", 8)]


def arj(blob: bytes) -> Iterator[bytes]:
    """Stored members of an ARJ archive."""
    at = blob.find(b"\x60\xea")
    while 0 <= at < len(blob) - 4:
        size = struct.unpack_from("<H", blob, at + 2)[0]
        if not size:
            return
        packed = struct.unpack_from("<I", blob, at + 16)[0] if blob[at + 10] != 2 else 0
        data = at + 4 + size + 6
        yield blob[data : data + packed]
        at = data + packed


def macintosh(blob: bytes) -> Iterator[bytes]:
    """The data fork of MacBinary and of AppleSingle."""
    if len(blob) > 128 and blob[122:124] == b"\x81\x81":
        yield blob[128 : 128 + int.from_bytes(blob[83:87], "big")]
    if blob.startswith(b"\0\5\x16\0"):
        for at in range(26, 26 + 12 * int.from_bytes(blob[24:26], "big"), 12):
            kind, offset, size = struct.unpack_from(">III", blob, at)
            yield blob[offset : offset + size] if kind == 1 else b""


def compound(blob: bytes) -> Iterator[bytes]:
    """Streams of a compound file, the file in a package, the text of macros."""
    if not blob.startswith(b"\xd0\xcf\x11\xe0"):
        return
    with olefile.OleFileIO(io.BytesIO(blob)) as file:
        for path in file.listdir():
            data = file.openstream(path).read()
            yield data
            if path[-1] == "\1Ole10Native":
                yield from package(data[4:])
    parser = VBA_Parser("a.doc", blob)
    for *_, source in parser.extract_macros() if parser.detect_vba_macros() else ():
        yield source.encode() if isinstance(source, str) else source
    parser.close()


def package(data: bytes) -> Iterator[bytes]:
    """The file in an OLE package: two names, a path with its length, the content with its length."""
    _, _, rest = data[2:].split(b"\0", 2)
    size = struct.unpack_from("<I", rest, 4)[0]
    place = 8 + size
    length = struct.unpack_from("<I", rest, place)[0]
    yield rest[place + 4 : place + 4 + length]


def rich_text(blob: bytes) -> Iterator[bytes]:
    """Objects in RTF."""
    if blob.startswith(b"{\\rt"):
        parser = RtfObjParser(blob)
        parser.parse()
        for one in parser.objects:
            yield one.olepkgdata if one.is_package else one.rawdata


def _run_length(data: bytes) -> bytes:
    out, at = b"", 0
    while data[at] != 128:
        out += data[at + 1 : at + 2 + data[at]]
        at += 2 + data[at]
    return out


def _lzw(data: bytes) -> bytes:
    bits = "".join(f"{byte:08b}" for byte in data)
    codes = (int(bits[at : at + 9], 2) for at in range(0, len(bits) - 8, 9))
    return bytes(code for code in codes if code < 256)


_FILTERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"FlateDecode": zlib.decompress,
    b"Fl": zlib.decompress,
    b"ASCIIHexDecode": lambda data: bytes.fromhex(data.rstrip(b">").decode()),
    b"AHx": lambda data: bytes.fromhex(data.rstrip(b">").decode()),
    b"ASCII85Decode": lambda data: base64.a85decode(data.removesuffix(b"~>")),
    b"RunLengthDecode": _run_length,
    b"LZWDecode": _lzw,
}


def _filtered(data: bytes, names: list[bytes]) -> bytes:
    for name in names:
        data = _FILTERS[name](data) if name in _FILTERS else data
    return data


def pdf(blob: bytes) -> Iterator[bytes]:
    """Streams of a PDF under their filters, and its strings."""
    if b"%PDF-" not in blob[:1024]:
        return
    for entries, data in re.findall(rb"(?s)<<((?:(?!<<).)*?)>>\s*stream\n(.*?)\nendstream", blob):
        plain = re.sub(rb"#([0-9A-Fa-f]{2})", lambda found: bytes((int(found.group(1), 16),)), entries)
        yield _filtered(data, re.findall(rb"/(\w+)", plain.partition(b"/Filter")[2]))
    for text in re.findall(rb"\((var .*?[^\\])\)", blob):
        yield re.sub(rb"\\(.)", rb"\1", text)
    for digits in re.findall(rb"<([0-9a-f]{80,})>", blob):
        yield bytes.fromhex(digits.decode())


def tnef(blob: bytes) -> Iterator[bytes]:
    """Attributes of TNEF, and the properties in them."""
    at = blob.find(b"\x78\x9f\x3e\x22")
    if at < 0:
        return
    at += 6
    while at + 9 < len(blob):
        kind, size = struct.unpack_from("<II", blob, at + 1)
        data = blob[at + 9 : at + 9 + size]
        yield data
        if kind == 0x00069005:
            yield from _properties(data)
        at += 11 + size


def _properties(data: bytes) -> Iterator[bytes]:
    at = 4
    for _ in range(struct.unpack_from("<I", data)[0]):
        _, _, size = struct.unpack_from("<III", data, at)
        value = data[at + 12 : at + 12 + size]
        yield value
        yield value[16:]
        at += 12 + size + -size % 4


def cms(blob: bytes) -> Iterator[bytes]:
    """Octet strings of DER and BER, each by itself and all joined."""
    if blob[:1] != b"\x30":
        return
    found = list(_octets(blob))
    yield from found
    yield b"".join(found)


def _octets(blob: bytes) -> Iterator[bytes]:
    at = 0
    while at + 2 <= len(blob):
        tag, size, at = blob[at], blob[at + 1], at + 2
        if size > 0x80:
            width = size & 0x7F
            size, at = int.from_bytes(blob[at : at + width], "big"), at + width
        elif size == 0x80:
            size = 0
        if tag == 4:
            yield blob[at : at + size]
        # Of what is made of parts only the head is passed over, so that its parts come next.
        at += 0 if tag & 0x20 else size


def pgp(blob: bytes) -> Iterator[bytes]:
    """The content of a literal packet of new format and short length."""
    if blob[:1] == b"\xcb" and len(blob) > 8:
        yield blob[4 + blob[3] + 4 : 2 + blob[1]]
