"""Text as a reader shows it, its lines joined.

In mail lines that end in a blank go on, and without that blank if DelSp says so (RFC 3676 4). In calendars and cards a
line goes on where the next one begins with a blank (RFC 5545 3.1, RFC 6350 3.2).
"""

import re
from collections.abc import Iterator
from typing import Final

from .mime_fields import parameters

_MAX_TYPE: Final = 8 * 1024
_QUOTE: Final = re.compile(rb"(?m)^(?:>+ ?| )")
# A line of two dashes and a blank begins a signature. The next line's quotes and stuffing belong to no word.
_SOFT: Final = re.compile(r"(?m)(?<!^--) \n(?:>+ ?| )?")
_FOLD: Final = re.compile(r"\n[ \t]")
_ESCAPE: Final = re.compile(r"\\([nN,;\\])")
_CARDS: Final = frozenset({"text/calendar", "text/vcard", "text/x-vcard", "text/directory"})


def is_flowed(types: list[str]) -> bool:
    """Return whether a Content-Type has the lines joined without a trace."""
    return any("delsp" in value[:_MAX_TYPE].lower() and _says_so(value[:_MAX_TYPE]) for value in types)


def _says_so(value: str) -> bool:
    return any(one.name == "delsp" and one.value.lower() == "yes" for one in parameters(value))


def as_shown(claimed: str, types: list[str], text: str) -> Iterator[str]:
    """Yield a text (its lines end in LF) as it is read; twice if readers differ in whether a blank stays."""
    if claimed in _CARDS:
        yield _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], _FOLD.sub("", text))
    elif claimed == "text/plain" and any("flowed" in value[:_MAX_TYPE].lower() for value in types):
        yield _SOFT.sub(" ", text)
        if is_flowed(types):
            yield _SOFT.sub("", text)
    else:
        yield text


def unflowed(body: bytes) -> bytes:
    """Return a text with its lines joined, without quotes and stuffing."""
    return _QUOTE.sub(b"", body.replace(b"\r\n", b"\n")).replace(b" \n", b"")
