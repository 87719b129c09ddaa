"""RAR archives whose one member is stored, plain or enciphered.

Formats: RAR 1.5 to 4 after the technical note that came with it (technote.txt), RAR 5 after rarlab.com/technote.htm.
"""

import hashlib
import struct
import zlib
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_NAME: Final = b"notes.dat"
_SALT: Final = bytes(range(16))
_VECTOR: Final = bytes(range(16, 32))
_ROUNDS: Final = 4  # as a power of two; RAR's own choice is 15


def _block4(kind: int, flags: int, body: bytes, data: bytes = b"") -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + data


def rar4(content: bytes, name: bytes = _NAME, *, file_flags: int = 0) -> bytes:
    """Return a RAR 4 archive with a stored member; ``file_flags`` 0x04 claims that it is enciphered."""
    body = struct.pack("<IIBII", len(content), len(content), 3, zlib.crc32(content), 0x5B755000)
    body += struct.pack("<BBHI", 29, 0x30, len(name), 0o100644) + name
    return (
        b"Rar!\x1a\x07\x00"
        + _block4(0x73, 0, bytes(6))
        + _block4(0x74, 0x8000 | file_flags, body, content)
        + _block4(0x7B, 0x4000, b"")
    )


def number5(value: int) -> bytes:
    """Return RAR 5's number of variable length."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


_SIGNATURE5: Final = b"Rar!\x1a\x07\x01\x00"


def _head5(kind: int, fields: bytes, data_size: int = 0, extra: bytes = b"") -> bytes:
    flags = (1 if extra else 0) | (2 if data_size else 0)
    head = number5(kind) + number5(flags) + (number5(len(extra)) if extra else b"")
    head += (number5(data_size) if data_size else b"") + fields + extra
    sized = number5(len(head)) + head
    return struct.pack("<I", zlib.crc32(sized)) + sized


def _file5(content: bytes, name: bytes, packed_size: int, extra: bytes = b"") -> bytes:
    fields = number5(4) + number5(len(content)) + number5(0o100644) + struct.pack("<I", zlib.crc32(content))
    fields += number5(0) + number5(1) + number5(len(name)) + name
    return _head5(2, fields, packed_size, extra)


def rar5(content: bytes, name: bytes = _NAME) -> bytes:
    """Return a RAR 5 archive with a stored member."""
    return (
        _SIGNATURE5
        + _head5(1, number5(0))
        + _file5(content, name, len(content))
        + content
        + _head5(5, number5(0))
    )


def key5(password: bytes, rounds: int = _ROUNDS) -> bytes:
    """Return the AES-256 key of RAR 5."""
    return hashlib.pbkdf2_hmac("sha256", password, _SALT, 1 << rounds)


def _encipher(content: bytes, password: bytes) -> bytes:
    cipher = Cipher(algorithms.AES256(key5(password)), modes.CBC(_VECTOR)).encryptor()
    return cipher.update(content + bytes(-len(content) % 16)) + cipher.finalize()


def rar5_enciphered(content: bytes, password: bytes, name: bytes = _NAME) -> bytes:
    """Return a RAR 5 archive whose member needs a password; its name is readable."""
    record = number5(1) + number5(0) + number5(0) + bytes((_ROUNDS,)) + _SALT + _VECTOR
    extra = number5(len(record)) + record
    data = _encipher(content, password)
    return (
        _SIGNATURE5
        + _head5(1, number5(0))
        + _file5(content, name, len(data), extra)
        + data
        + _head5(5, number5(0))
    )


def rar5_headers_enciphered(content: bytes, password: bytes, name: bytes = _NAME) -> bytes:
    """Return a RAR 5 archive that shows not even its names without the password."""
    opening = _head5(4, number5(0) + number5(0) + bytes((_ROUNDS,)) + _SALT)
    data = _encipher(content, password)
    record = number5(1) + number5(0) + number5(0) + bytes((_ROUNDS,)) + _SALT + _VECTOR
    extra = number5(len(record)) + record
    blocks = (_head5(1, number5(0)), _file5(content, name, len(data), extra), _head5(5, number5(0)))
    main, file, end = (_VECTOR + _encipher(block, password) for block in blocks)
    return _SIGNATURE5 + opening + main + file + data + end
