"""Archives of older systems, each with one stored member: cabinet, LHA, ARJ."""

import binascii
import struct
import zlib
from functools import reduce
from typing import Final

from .zips import deflate

_NAME: Final = b"notes.dat"
_DOS_TIME: Final = 0x5B755000


def _cab_sum(data: bytes, seed: int = 0) -> int:
    """Checksum of [MS-CAB] 3.1: little-endian words, the rest of the last word in reverse."""
    whole = len(data) & ~3
    words = struct.unpack(f"<{whole // 4}I", data[:whole])
    return reduce(lambda left, right: left ^ right, (*words, int.from_bytes(data[whole:], "big")), seed)


def cabinet(content: bytes, *, mszip: bool = False, name: bytes = _NAME) -> bytes:
    """Return a cabinet file ([MS-CAB]) with one block, stored or MSZIP."""
    data = b"CK" + deflate(content) if mszip else content
    sizes = struct.pack("<HH", len(data), len(content))
    block = struct.pack("<I", _cab_sum(sizes, _cab_sum(data))) + sizes + data
    file = struct.pack("<IIHIH", len(content), 0, 0, _DOS_TIME, 0x20) + name + b"\0"
    files_at = 36 + 8
    data_at = files_at + len(file)
    folder = struct.pack("<IHH", data_at, 1, 1 if mszip else 0)
    head = struct.pack(
        "<4sIIIIIBBHHHHH", b"MSCF", 0, data_at + len(block), 0, files_at, 0, 3, 1, 1, 1, 0, 1, 0
    )
    return head + folder + file + block


def crc16(data: bytes) -> int:
    """Return LHA's checksum: polynomial 0xA001, reflected."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _lha_2(name: bytes, size: int, crc: int) -> bytes:
    named = struct.pack("<HB", 3 + len(name), 1) + name
    total = 24 + 5 + len(named) + 2
    head = struct.pack("<H5sIIIBBHc", total, b"-lh0-", size, size, 1_795_255_200, 0x20, 2, crc, b"U")
    # The header's own checksum is computed with zeros in its place.
    check = crc16(head + struct.pack("<HBH", 5, 0, 0) + named + bytes(2))
    return head + struct.pack("<HBH", 5, 0, check) + named + bytes(2)


def lha(content: bytes, level: int, name: bytes = _NAME) -> bytes:
    """Return an LHA archive, method lh0, with a header of level 0, 1 or 2."""
    size, crc = len(content), crc16(content)
    if level == 2:
        return _lha_2(name, size, crc) + content + b"\0"
    body = struct.pack("<5sIIIBBB", b"-lh0-", size, size, _DOS_TIME, 0x20, level, len(name)) + name
    body += struct.pack("<H", crc) + (b"U\0\0" if level else b"")
    return bytes((len(body), sum(body) & 0xFF)) + body + content + b"\0"


def _arj_header(body: bytes) -> bytes:
    return struct.pack("<HH", 0xEA60, len(body)) + body + struct.pack("<IH", zlib.crc32(body), 0)


def arj(content: bytes, name: bytes = _NAME) -> bytes:
    """Return an ARJ archive with a stored member (technote of ARJ: two headers, then the data)."""
    first = struct.pack("<BBBBBBBB", 30, 11, 1, 2, 0x10, 0, 2, 0)
    main = first + struct.pack("<IIIIHHH", _DOS_TIME, _DOS_TIME, 0, 0, 0, 0, 0) + b"a.arj\0\0"
    local = struct.pack("<BBBBBBBB", 30, 11, 1, 2, 0x10, 0, 0, 0)
    local += struct.pack("<IIII", _DOS_TIME, len(content), len(content), zlib.crc32(content))
    local += struct.pack("<HHH", 0, 0o644, 0) + name + b"\0\0"
    return _arj_header(main) + _arj_header(local) + content + struct.pack("<HH", 0xEA60, 0)


def mac_binary(content: bytes, name: bytes = _NAME) -> bytes:
    """Return a MacBinary II file with an empty resource fork: a header of 128 bytes, the data fork."""
    head = bytearray(128)
    head[1 : 2 + len(name)] = bytes((len(name),)) + name
    head[65:73] = b"TEXTttxt"
    head[83:87] = struct.pack(">I", len(content))
    head[122:124] = b"\x81\x81"
    head[124:126] = struct.pack(">H", binascii.crc_hqx(bytes(head[:124]), 0))
    return bytes(head) + content + bytes(-len(content) % 128)


def apple_single(content: bytes, *, double: bool = False) -> bytes:
    """Return an AppleSingle file (RFC 1740 appendix A): data fork and real name; ``double`` leaves the data out."""
    name = b"notes.dat"
    entries = [(3, name), *(() if double else ((1, content),))]
    at = 26 + 12 * len(entries)
    table, data = b"", b""
    for kind, value in entries:
        table += struct.pack(">III", kind, at + len(data), len(value))
        data += value
    magic = 0x00051607 if double else 0x00051600
    return struct.pack(">II16sH", magic, 0x00020000, bytes(16), len(entries)) + table + data
