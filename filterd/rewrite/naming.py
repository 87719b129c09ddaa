"""File names of parts: the one that is shown, and the harmless one that takes its place."""

import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import encode_rfc2231
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from email.message import Message

SUFFIX: Final = ".txt"
_UNNAMED: Final = "attachment"
# Percent-encoded, at up to 12 characters each, it still fits in one line.
_LONGEST: Final = 72
# Reserved in the file systems of desktops, or with a meaning in a header.
_RESERVED: Final = frozenset('/\\:*?"<>|;%')


def shown_name(message: "Message[str, str]") -> str:
    """Return a part's file name as a mail reader shows it (RFC 2231, and RFC 2047 as many write it), or ""."""
    try:
        name = message.get_filename("") or ""
        # A fold is no part of the name.
        name = name.replace("\r", "").replace("\n", "")
        if "=?" not in name:
            return name
        pieces = [
            piece.decode(charset or "ascii", "replace") if isinstance(piece, bytes) else piece
            for piece, charset in decode_header(name)
        ]
        return "".join(pieces)
    except (HeaderParseError, LookupError, UnicodeError, TypeError, ValueError):
        return ""


def harmless_name(name: str) -> str:
    """Return a name that no desktop runs: the old one with ``.txt`` behind it, without what misleads the eye."""
    seen = "".join(
        "_" if one in _RESERVED or unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} else one
        for one in name
    )
    kept = seen.strip(". \t")[-_LONGEST:].lstrip(". \t")
    return (kept or _UNNAMED) + SUFFIX


def parameter(name: str, value: str) -> bytes:
    """Return a parameter of a MIME field (RFC 2045 5.1; RFC 2231 4 where it is not ASCII), one form only.

    Two forms of one name may be read as two names.
    """
    if value.isascii():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}="{quoted}"'.encode("ascii")
    return f"{name}*={encode_rfc2231(value, 'utf-8')}".encode("ascii")
