"""Content-Transfer-Encodings (RFC 2045 6): how a part's bytes are read, and how new ones are written."""

import base64
import binascii
from typing import Final

from filterd.parse.transfer import decode, encodings

# RFC 5322 2.1.1: octets of a line, its CRLF not counted.
LONGEST_LINE: Final = 998


def decoded(content: bytes, encoding: str) -> bytes:
    """Return the content of a part as most readers decode it, and as Leaf.size counts it."""
    return decode(content, encodings([encoding] if encoding else [])).first


def as_base64(content: bytes) -> bytes:
    """Return base64 in lines of 76, each with CRLF. Decoding it gives exactly ``content``."""
    if not content:
        return b""
    text = base64.b64encode(content)
    return b"\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + b"\r\n"


def as_quoted(content: bytes) -> bytes:
    """Return quoted-printable text (RFC 2045 6.7) of text with CRLF line ends."""
    lines = content.replace(b"\r\n", b"\n")
    quoted = binascii.b2a_qp(lines, istext=True, header=False)
    return quoted.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def is_plain(content: bytes) -> bool:
    """Return whether text may go as it is, 7bit: ASCII, lines of bounded length, no control characters."""
    return (
        content.isascii()
        and b"\0" not in content
        and b"\r" not in content.replace(b"\r\n", b"")
        and b"\n" not in content.replace(b"\r\n", b"")
        and all(len(line) <= LONGEST_LINE for line in content.split(b"\r\n"))
    )


def encoded(content: bytes, encoding: str) -> tuple[bytes, str]:
    """Return new content of a part in its old encoding, and the name of that encoding.

    What cannot go in 7bit becomes quoted-printable; 8bit stays 8bit while its lines are short enough.
    """
    kind = encoding.partition(";")[0].strip().lower()
    if kind == "base64":
        return as_base64(content), kind
    if kind in {"8bit", "binary"} and all(len(line) <= LONGEST_LINE for line in content.split(b"\r\n")):
        return content, kind
    if kind != "quoted-printable" and is_plain(content):
        return content, kind
    return as_quoted(content), "quoted-printable"


def text_encoded(content: bytes) -> tuple[bytes, str]:
    """Return a new text's content and the encoding chosen for it: the plainest that holds it."""
    if is_plain(content):
        return content, "7bit"
    return as_quoted(content), "quoted-printable"
