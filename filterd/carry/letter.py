"""A plain text message, written byte by byte: header fields, and a body in quoted-printable.

The standard library's generator is not used: it decodes encoded words in the values that it is given, and writes the
line ends that it finds in them (CVE-2024-6923, in Python before 3.11.10).
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Final

# RFC 2047 2: an encoded word has at most 75 characters, of which "=?utf-8?B?" and "?=" take 12: 45 bytes in base64.
_WORD: Final = 45
_SOFT: Final = 66


def letter(fields: Iterable[tuple[str, str]], body: str) -> bytes:
    """Return a message with CRLF line ends. A value is one line; what is not printable in it is a question mark."""
    head = b"".join(name.encode("ascii") + b": " + unstructured(value) + b"\r\n" for name, value in fields)
    return (
        head
        + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        + quoted(body)
    )


def unstructured(value: str) -> bytes:
    """Return a value as it stands behind the colon: as it is, or in encoded words (RFC 2047) where it must be.

    What looks like an encoded word is encoded once more, so that a reader shows it and decodes nothing else.
    """
    seen = "".join(one if one.isprintable() else "?" for one in value)
    if seen.isascii() and "=?" not in seen:
        return _folded(seen)
    words, piece = [], b""
    for one in seen:
        encoded = one.encode("utf-8", "replace")
        if len(piece) + len(encoded) > _WORD:
            words.append(piece)
            piece = b""
        piece += encoded
    words.append(piece)
    return b"\r\n ".join(b"=?utf-8?B?" + base64.b64encode(word) + b"?=" for word in words)


def _folded(text: str) -> bytes:
    """Fold at single blanks (RFC 5322 2.2.3); a value without any stays one line, it is bounded."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1].strip() and word and len(lines[-1]) + len(word) > _SOFT:
            lines.append(word)
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return "\r\n ".join(lines).encode("ascii")


def quoted(body: str) -> bytes:
    """Return text in quoted-printable (RFC 2045 6.7), UTF-8, with CRLF line ends."""
    text = "\n".join(body.splitlines()) + "\n"
    content = binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True, header=False)
    return content.replace(b"\n", b"\r\n")
