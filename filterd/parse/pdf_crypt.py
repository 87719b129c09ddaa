"""The standard security handler of PDF (ISO 32000-1 7.6, ISO 32000-2 7.6.4): the key for a user password."""

import hashlib
import re
import struct
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from msgspec import Struct

from . import native
from .pdf_objects import strings

_PADDING: Final = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_BLOCK: Final = 16
_NO_IV: Final = bytes(_BLOCK)


class Key(Struct, frozen=True):
    """What decrypts the strings and streams of one file. ``method``: "V2" (RC4), "AESV2", "AESV3" or "None"."""

    secret: bytes
    method: str

    def decrypt(self, data: bytes, number: int, generation: int) -> bytes:
        """Return a string or stream of the object ``number`` decrypted (7.6.2, algorithm 1)."""
        if self.method == "None":
            return data
        if self.method == "AESV3":
            return _cbc(self.secret, data)
        salt = struct.pack("<I", number)[:3] + struct.pack("<H", generation)
        ending = b"sAlT" if self.method == "AESV2" else b""
        key = _md5(self.secret + salt + ending)[: min(len(self.secret) + 5, 16)]
        return _cbc(key, data) if self.method == "AESV2" else _rc4(key, data)


def find_key(head: bytes, trailers: bytes, password: str) -> Key | None:
    """Return the key if ``password`` is the user's. ``head``: the encryption dictionary; ``trailers``: with the ID."""
    if not re.search(rb"/Filter\s*/Standard\b", head):
        return None
    native.note()  # OpenSSL gets bytes of the file, and decrypts by no key but one found here
    version, revision = _integer(head, rb"/V", 0), _integer(head, rb"/R", 2)
    owner, user = next(strings(head, b"/O"), b""), next(strings(head, b"/U"), b"")
    if revision >= 5:
        return _key_256(head, password.encode()[:127], user, revision)
    length = _integer(head, rb"/Length", 40) // 8 if version > 1 else 5
    length = 16 if version == 4 else min(max(length, 5), 16)
    identity = re.search(rb"/ID\s*\[\s*(?=[(<])", trailers)
    first = (
        next(strings(trailers[identity.start() :].replace(b"[", b" ", 1), b"/ID"), b"") if identity else b""
    )
    permissions = struct.pack("<i", _signed(_integer(head, rb"/P", -1)))
    padded = (password.encode("latin-1", "replace") + _PADDING)[:32]
    seed = padded + owner[:32] + permissions + first
    if revision >= 4 and re.search(rb"/EncryptMetadata\s+false", head):
        seed += b"\xff\xff\xff\xff"
    secret = _md5(seed)[:length]
    for _ in range(50 if revision >= 3 else 0):
        secret = _md5(secret)[:length]
    return Key(secret, _method(head, version)) if _is_user(secret, user, first, revision) else None


def _is_user(secret: bytes, user: bytes, first: bytes, revision: int) -> bool:
    """Return whether the key gives the entry U (algorithms 4 and 5)."""
    if revision == 2:
        return _rc4(secret, _PADDING) == user[:32]
    told = _rc4(secret, _md5(_PADDING + first))
    for turn in range(1, 20):
        told = _rc4(bytes(byte ^ turn for byte in secret), told)
    return told == user[:16]


def _key_256(head: bytes, password: bytes, user: bytes, revision: int) -> Key | None:
    """Algorithm 2.A of ISO 32000-2: validation salt and key salt stand behind the hash in U."""
    wrapped = next(strings(head, b"/UE"), b"")
    if len(user) < 48 or len(wrapped) < 32 or _hash(password, user[32:40], revision) != user[:32]:
        return None
    wrapping = _hash(password, user[40:48], revision)
    decryptor = Cipher(AES(wrapping), CBC(_NO_IV)).decryptor()
    return Key(decryptor.update(wrapped[:32]), "AESV3")


def _hash(password: bytes, salt: bytes, revision: int) -> bytes:
    """Algorithm 2.B: revision 6 hardens the hash by at least 64 rounds."""
    told = hashlib.sha256(password + salt).digest()
    turn, last = 0, 0
    while revision >= 6 and (turn < 64 or last > turn - 32):
        encryptor = Cipher(AES(told[:16]), CBC(told[16:32])).encryptor()
        mixed = encryptor.update((password + told) * 64)
        told = hashlib.new(("sha256", "sha384", "sha512")[sum(mixed[:16]) % 3], mixed).digest()
        last = mixed[-1]
        turn += 1
    return told[:32]


def _method(head: bytes, version: int) -> str:
    if version < 4:
        return "V2"
    name = re.search(rb"/StmF\s*/([^\0\t\n\f\r ()<>\[\]{}/%]+)", head)
    if not name or name[1] == b"Identity":
        return "None"
    found = re.search(rb"/CFM\s*/(V2|AESV2|AESV3|None)\b", head)
    return found[1].decode() if found else "V2"


def _integer(head: bytes, key: bytes, default: int) -> int:
    found = re.search(key + rb"[\0\t\n\f\r ]+(-?\d{1,12})(?!\d)", head)
    return int(found[1]) if found else default


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _rc4(key: bytes, data: bytes) -> bytes:
    return Cipher(ARC4(key), mode=None).encryptor().update(data)


def _cbc(key: bytes, data: bytes) -> bytes:
    """Return AES-CBC data decrypted: the vector stands in front, the padding is told by the last byte."""
    body = data[_BLOCK : len(data) // _BLOCK * _BLOCK]
    if not body:
        return b""
    plain = Cipher(AES(key), CBC(data[:_BLOCK])).decryptor().update(body)
    return plain[: -plain[-1]] if 1 <= plain[-1] <= _BLOCK else plain
