"""Opens calendar entries and address cards (RFC 5545, RFC 6350): the files that their properties hold in base64."""

import binascii
import re
from collections.abc import Iterator
from typing import Final

from .harvest import Content, Harvest
from .transfer import decode

_BEGIN: Final = re.compile(rb"\s*BEGIN[ \t]*:[ \t]*V(?:CALENDAR|CARD)", re.IGNORECASE)
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_VALUE: Final = re.compile(
    rb"^[A-Z-]{1,40};[^:\r\n]{0,400}ENCODING=\"?B(?:ASE64)?\"?(?:[^:\"\r\n]|\"[^\"\r\n]{0,200}\"){0,400}+:([A-Za-z0-9+/=\s]+?)"
    rb"(?=^[A-Z.-]+[;:]|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED: Final = re.compile(
    rb"^[A-Z-]{1,40};[^:\r\n]{0,400}ENCODING=QUOTED-PRINTABLE[^:\r\n]{0,400}:((?:[^\r\n]*=\r?\n)*[^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_URI: Final = re.compile(
    rb"data:[^,;\s]{0,100}(?:;[^,;\s]{1,100}){0,5};base64,([A-Za-z0-9+/=]+)", re.IGNORECASE
)


def is_card(head: bytes) -> bool:
    """Return whether a text begins like a calendar or a card."""
    return bool(_BEGIN.match(head))


def open_card(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the files in the properties, unfolded and decoded."""
    text, number = _FOLD.sub(b"", content.data), 0
    for found in _QUOTED.finditer(content.data):
        harvest.budget.take_entry()
        number += 1
        yield content.inner(number, decode(found[1], ("qp",)).first, "card")
    for pattern in (_VALUE, _URI):
        for match in pattern.finditer(text):
            harvest.budget.take_entry()
            data = from_base64(match[1])
            harvest.budget.take_bytes(len(data))
            if data:
                number += 1
                yield content.inner(number, data, "card")


def from_base64(text: bytes) -> bytes:
    """Return what base64 stands for, blanks and junk passed over, padding supplied."""
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", text.partition(b"=")[0])
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
