"""DER (X.690), as far as a CMS message needs it (RFC 5652)."""

from typing import Final

SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
DATA: Final = bytes.fromhex("06092a864886f70d010701")
COMPRESSED_DATA: Final = bytes.fromhex("060b2a864886f70d0109100109")
_ZLIB: Final = bytes.fromhex("060b2a864886f70d0109100308")


def der(tag: int, *contents: bytes) -> bytes:
    """Return one element with a definite length."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def opaque_signed(content: bytes) -> bytes:
    """Return a SignedData without signers (RFC 5652 5.1) that holds ``content``."""
    inner = der(0x30, DATA, der(0xA0, der(0x04, content)))
    signed = der(0x30, der(0x02, b"\1"), der(0x31), inner, der(0x31))
    return der(0x30, SIGNED_DATA, der(0xA0, signed))


def opaque_signed_in_pieces(content: bytes, size: int = 40) -> bytes:
    """Return the same in BER as mail programs stream it: indefinite lengths, the content in pieces."""
    pieces = b"".join(der(0x04, content[at : at + size]) for at in range(0, len(content), size))
    inner = b"\x30\x80" + DATA + b"\xa0\x80\x24\x80" + pieces + bytes(6)
    signed = b"\x30\x80" + der(0x02, b"\1") + der(0x31) + inner + der(0x31) + bytes(2)
    return b"\x30\x80" + SIGNED_DATA + b"\xa0\x80" + signed + bytes(4)


def compressed(content: bytes) -> bytes:
    """Return a CompressedData (RFC 3274); ``content`` is already under zlib."""
    inner = der(0x30, DATA, der(0xA0, der(0x04, content)))
    body = der(0x30, der(0x02, b"\0"), der(0x30, _ZLIB), inner)
    return der(0x30, COMPRESSED_DATA, der(0xA0, body))
