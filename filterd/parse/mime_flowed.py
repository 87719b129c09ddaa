"""Text as a reader shows it: lines that end in a blank go on, and without that blank if DelSp says so (RFC 3676 4)."""

import re
from typing import Final

from .mime_fields import parameters

_MAX_TYPE: Final = 8 * 1024
_QUOTE: Final = re.compile(rb"(?m)^(?:>+ ?| )")


def is_flowed(types: list[str]) -> bool:
    """Return whether a Content-Type has the lines joined without a trace."""
    return any("delsp" in value[:_MAX_TYPE].lower() and _says_so(value[:_MAX_TYPE]) for value in types)


def _says_so(value: str) -> bool:
    return any(one.name == "delsp" and one.value.lower() == "yes" for one in parameters(value))


def unflowed(body: bytes) -> bytes:
    """Return a text with its lines joined, without quotes and stuffing."""
    return _QUOTE.sub(b"", body.replace(b"\r\n", b"\n")).replace(b" \n", b"")
