"""Openers of what is enciphered with the corpus' password and has no other reader in this environment."""

import io
import re
import struct
from collections.abc import Iterator

import msoffcrypto
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.corpus.encryption import PASSWORD
from tests.corpus.writers import pdf as pdf_writer
from tests.corpus.writers import rars, sevenzip


def _opened(data: bytes, key: bytes, vector: bytes) -> bytes:
    cipher = Cipher(algorithms.AES256(key), modes.CBC(vector)).decryptor()
    return cipher.update(data[: len(data) // 16 * 16]) + cipher.finalize()


def seven_zip(blob: bytes) -> Iterator[bytes]:
    """The packed stream of 7z under AES; with an enciphered header also that, which names the stream's place."""
    if not blob.startswith(b"7z\xbc\xaf\x27\x1c"):
        return
    offset, size = struct.unpack_from("<QQ", blob, 12)
    header = blob[32 + offset : 32 + offset + size]
    for _ in range(2):
        found = re.search(rb"\x24\x06\xf1\x07\x01\x12(.)\x0f(.{16})", header, re.DOTALL)
        place = re.search(rb"\x06(.)\x01\x09(.)\0", header, re.DOTALL)
        if not found or not place:
            return
        start, length = 32 + place.group(1)[0], place.group(2)[0]
        key = sevenzip.key(PASSWORD, found.group(1)[0] & 0x3F)
        header = _opened(blob[start : start + length], key, found.group(2))
        yield header


def rar_5(blob: bytes) -> Iterator[bytes]:
    """Data of RAR 5 under AES: every place that may be its start, as the sizes stand in enciphered headers."""
    if not blob.startswith(b"Rar!\x1a\x07\x01\0"):
        return
    key = rars.key5(PASSWORD.encode())
    vector = bytes(range(16, 32))
    if vector in blob:
        for start in range(len(blob) - 80):
            yield _opened(blob[start : start + 80], key, vector)


def pdf(blob: bytes) -> Iterator[bytes]:
    """Streams of a PDF under RC4 of 40 bits, by the corpus' password or none."""
    owner, ident = re.search(rb"/O <(\w+)>", blob), re.search(rb"/ID \[<(\w+)>", blob)
    if not owner or not ident:
        return
    for password in (b"", PASSWORD.encode()):
        key = pdf_writer.file_key(password, bytes.fromhex(owner.group(1).decode()))
        for number, data in re.findall(rb"(?s)(\d+) 0 obj\n<<[^>]*>>\nstream\n(.*?)\nendstream", blob):
            yield pdf_writer.rc4(pdf_writer.object_key(key, int(number)), data)


def office(blob: bytes) -> Iterator[bytes]:
    """An Office file under a password."""
    if blob.startswith(b"\xd0\xcf\x11\xe0") and "EncryptedPackage".encode("utf-16-le") in blob:
        file = msoffcrypto.OfficeFile(io.BytesIO(blob))
        file.load_key(password=PASSWORD)
        out = io.BytesIO()
        file.decrypt(out)
        yield out.getvalue()
