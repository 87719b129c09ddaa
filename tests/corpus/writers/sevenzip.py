"""7z archives under AES, the content alone or the names too (7zFormat.txt and Methods.txt of the LZMA SDK)."""

import hashlib
import struct
import zlib
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_METHOD: Final = bytes.fromhex("06f10701")
_ROUNDS: Final = 6  # as a power of two; 7-Zip's own choice is 19
_VECTOR: Final = bytes(range(16))


def key(password: str, rounds: int = _ROUNDS) -> bytes:
    """Return the AES-256 key: SHA-256 over password and counter, again and again."""
    digest = hashlib.sha256()
    for count in range(1 << rounds):
        digest.update(password.encode("utf-16-le") + struct.pack("<Q", count))
    return digest.digest()


def _encipher(content: bytes, password: str) -> bytes:
    cipher = Cipher(algorithms.AES256(key(password)), modes.CBC(_VECTOR)).encryptor()
    return cipher.update(content + bytes(-len(content) % 16)) + cipher.finalize()


def _number(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes((0x80 | value >> 8, value & 0xFF))


def _streams(at: int, packed: int, plain: bytes) -> bytes:
    """Return a StreamsInfo: one packed stream, one folder with the AES coder alone."""
    properties = bytes((_ROUNDS | 0x40, 0x0F)) + _VECTOR
    coder = bytes((0x24,)) + _METHOD + _number(len(properties)) + properties
    return (
        b"\x06" + _number(at) + b"\x01\x09" + _number(packed) + b"\0"
        + b"\x07\x0b\x01\0\x01" + coder + b"\x0c" + _number(len(plain))
        + b"\x0a\x01" + struct.pack("<I", zlib.crc32(plain)) + b"\0"
    )  # fmt: skip


def sevenzip_enciphered(
    content: bytes, password: str, name: str = "notes.dat", *, names: bool = False
) -> bytes:
    """Return a 7z archive with one member, copied under AES; ``names``: the header is under AES too."""
    data = _encipher(content, password)
    label = name.encode("utf-16-le") + bytes(2)
    files = b"\x05\x01\x11" + _number(len(label) + 1) + b"\0" + label + b"\0"
    # An empty SubStreamsInfo (8): libarchive calls an archive damaged that leaves it out.
    header = b"\x01\x04" + _streams(0, len(data), content) + b"\x08\0\0" + files + b"\0"
    if names:
        sealed = _encipher(header, password)
        header = b"\x17" + _streams(len(data), len(sealed), header) + b"\0"
        data += sealed
    start = struct.pack("<QQI", len(data), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<I", zlib.crc32(start)) + start + data + header
