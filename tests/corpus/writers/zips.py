"""A zip writer in which every field can be a lie (APPNOTE.TXT of PKWARE, sections 4.3 and 4.4)."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from .pack import pack

STORED: Final = 0
DEFLATED: Final = 8
LZMA: Final = 14
_DATE_TIME: Final = struct.pack("<HH", 10 << 11, (2026 - 1980) << 9 | 11 << 5 | 21)
_ZIP64: Final = 0xFFFFFFFF
DESCRIBED: Final = 0x0008
SCRAMBLED: Final = 0x0001
_ENDED: Final = 0x0002  # with LZMA: the data have an end mark


def deflate(content: bytes, level: int = 9) -> bytes:
    """Return raw deflate (RFC 1951)."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def deflate_flushed(content: bytes) -> bytes:
    """Return raw deflate with an empty stored block behind every byte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [packer.compress(bytes((byte,))) + packer.flush(zlib.Z_FULL_FLUSH) for byte in content]
    return b"".join(pieces) + packer.flush()


def _lzma(content: bytes) -> bytes:
    # 5.8.8: version, length of the properties, the properties themselves (lc=3 lp=0 pb=2, 1 MiB).
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20, "lc": 3, "lp": 0, "pb": 2}]
    body = lzma.compress(content, lzma.FORMAT_RAW, filters=filters)
    return struct.pack("<BBHBI", 9, 20, 5, 0x5D, 1 << 20) + body


PACKERS: Final[Mapping[int, Callable[[bytes], bytes]]] = {
    STORED: bytes,
    DEFLATED: deflate,
    12: bz2.compress,
    LZMA: _lzma,
    93: lambda content: pack(content, "raw", through="zstd"),
    95: lzma.compress,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member. Fields named ``local_…`` differ in the local header from the central directory; None is the truth.

    ``packed``: compressed (and enciphered) bytes instead of those that the method makes. ``descriptor``: the
    signature of a data descriptor, b"" for one without; None for no descriptor. ``listed``: in the central directory.
    """

    content: bytes
    name: bytes = b"notes.dat"
    method: int = DEFLATED
    flags: int = 0
    packed: bytes | None = None
    extra: bytes = b""
    crc: int | None = None
    version: int = 20
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_sizes: tuple[int, int] | None = None
    central_sizes: tuple[int, int] | None = None
    descriptor: bytes | None = None
    zip64: bool = False
    listed: bool = True

    @property
    def body(self) -> bytes:
        """The bytes behind the local header."""
        return PACKERS[self.method](self.content) if self.packed is None else self.packed

    @property
    def bits(self) -> int:
        """The general purpose bits of the central directory."""
        described = DESCRIBED if self.descriptor is not None else 0
        return self.flags | described | (_ENDED if self.method == LZMA else 0)

    @property
    def checksum(self) -> int:
        """The CRC-32 that both headers give."""
        return zlib.crc32(self.content) if self.crc is None else self.crc


def _sizes64(member: Member) -> bytes:
    sizes = struct.pack("<QQ", len(member.content), len(member.body))
    return struct.pack("<HH", 1, len(sizes)) + sizes if member.zip64 else b""


def _local(member: Member) -> bytes:
    described = member.descriptor is not None
    sizes = member.local_sizes or ((0, 0) if described else (len(member.body), len(member.content)))
    packed, plain = (_ZIP64, _ZIP64) if member.zip64 else sizes
    name = member.name if member.local_name is None else member.local_name
    method = member.method if member.local_method is None else member.local_method
    flags = member.bits if member.local_flags is None else member.local_flags
    extra = member.extra + _sizes64(member)
    head = struct.pack("<4sHHH", b"PK\3\4", member.version, flags, method) + _DATE_TIME
    head += struct.pack("<III", 0 if described else member.checksum, packed, plain)
    head += struct.pack("<HH", len(name), len(extra)) + name + extra
    return head + member.body + _descriptor(member)


def _descriptor(member: Member) -> bytes:
    if member.descriptor is None:
        return b""
    form = "<IQQ" if member.zip64 else "<III"
    return member.descriptor + struct.pack(form, member.checksum, len(member.body), len(member.content))


def _central(member: Member, offset: int) -> bytes:
    packed, plain = member.central_sizes or (len(member.body), len(member.content))
    if member.zip64:
        packed = plain = _ZIP64
    extra = member.extra + _sizes64(member)
    head = struct.pack("<4sHHHH", b"PK\1\2", 0x031E, member.version, member.bits, member.method) + _DATE_TIME
    head += struct.pack("<III", member.checksum, packed, plain)
    head += struct.pack("<HHHHHII", len(member.name), len(extra), 0, 0, 0, 0o100644 << 16, offset)
    return head + member.name + extra


def zipped(
    *members: Member,
    prefix: bytes = b"",
    prefix_counted: bool = True,
    between: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    shift: int = 0,
) -> bytes:
    """Return a zip file. ``prefix`` stands before it, ``between`` before its central directory.

    ``prefix_counted``: offsets are from the file's start and not from the archive's. ``count``: how many members the
    end record claims. ``shift``: how far it errs about the place of the central directory.
    """
    out, offsets = bytearray(prefix), []
    for member in members:
        offsets.append(len(out) - (0 if prefix_counted else len(prefix)))
        out += _local(member)
    out += between
    start = len(out) - (0 if prefix_counted else len(prefix))
    listed = [(member, offset) for member, offset in zip(members, offsets, strict=True) if member.listed]
    directory = b"".join(_central(member, offset) for member, offset in listed)
    number = len(listed) if count is None else count
    if any(member.zip64 for member in members):
        directory += _end64(number, len(directory), start)
    end = struct.pack("<4sHHHH", b"PK\5\6", 0, 0, number, number)
    size = sum(len(_central(member, offset)) for member, offset in listed)
    end += struct.pack("<IIH", size, start + shift, len(comment))
    return bytes(out) + directory + end + comment


def _end64(count: int, size: int, start: int) -> bytes:
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, start + size, 1)


def zip_of(content: bytes, name: bytes = b"notes.dat", method: int = DEFLATED) -> bytes:
    """Return an honest zip of one member."""
    return zipped(Member(content=content, name=name, method=method))


def zip_crypto(packed: bytes, password: bytes, check: int) -> bytes:
    """Encipher as PKZIP 2 did (6.1): 12 bytes of header, the last of them ``check``, then the content."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def turn(byte: int) -> None:
        keys[0] = _crc_step(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = _crc_step(keys[2], keys[1] >> 24)

    for byte in password:
        turn(byte)
    out = bytearray()
    for byte in bytes(range(11)) + bytes((check,)) + packed:
        low = (keys[2] | 2) & 0xFFFF
        out.append(byte ^ (low * (low ^ 1) >> 8 & 0xFF))
        turn(byte)
    return bytes(out)


def _crc_step(crc: int, byte: int) -> int:
    # zlib complements before and after, PKZIP's keys are not complemented.
    return zlib.crc32(bytes((byte,)), crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def scrambled(content: bytes, password: bytes, name: bytes = b"notes.dat", method: int = DEFLATED) -> Member:
    """Return a member under ZipCrypto."""
    packed = zip_crypto(PACKERS[method](content), password, zlib.crc32(content) >> 24)
    return Member(content=content, name=name, method=method, flags=SCRAMBLED, packed=packed)
