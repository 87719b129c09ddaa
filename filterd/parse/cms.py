"""CMS (S/MIME): mail under an opaque signature, which any reader opens without a key; compressed mail.

Sources: RFC 5652 5.1 (SignedData), RFC 3274 (CompressedData), X.690 8 (BER). The encapsulated content is an OCTET
STRING, in one piece or in several; all long ones are offered, so the structure around them need not be understood.
"""

from collections.abc import Iterator
from typing import Final

from .harvest import Content, Harvest
from .inflate import inflated

_OCTETS: Final = 0x04
_OCTETS_IN_PIECES: Final = 0x24
_IMPLICIT: Final = 0x80
_CONSTRUCTED: Final = 0x20
_NO_LENGTH: Final = 0x80
_LEAST: Final = 24  # bytes of an OCTET STRING that may be a file; keys' ids and digests are offered with them
_MAX_ELEMENTS: Final = 20_000
_PIECE: Final = 64 * 1024
# The object identifiers of data, signed-data and compressed-data, as DER.
_SIGNED: Final = bytes.fromhex("06092a864886f70d010702")
_COMPRESSED: Final = bytes.fromhex("060b2a864886f70d0109100109")


def is_cms(data: bytes) -> bool:
    """Return whether these bytes are signed or compressed mail as CMS."""
    return data[:1] == b"\x30" and (_SIGNED in data[:40] or _COMPRESSED in data[:40])


def open_cms(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what a signed or compressed CMS message holds."""
    number = 0
    for octets in _octet_strings(content.data, harvest):
        if len(octets) < _LEAST:
            continue
        harvest.budget.take_entry()
        number += 1
        if _COMPRESSED in content.data[:40]:
            octets = harvest.budget.read_all(inflated(octets), len(octets))  # noqa: PLW2901 - replaced as a whole
        else:
            harvest.budget.take_bytes(len(octets))
        yield content.inner(number, octets, "cms")


def _octet_strings(data: bytes, harvest: Harvest) -> Iterator[bytes]:
    """Yield all OCTET STRINGs, those in pieces joined. What is cut short ends where the bytes end."""
    at = 0
    joined: list[bytes] = []
    joining_until = 0
    for _ in range(_MAX_ELEMENTS):
        harvest.budget.take_time()
        element = _element(data, at)
        if joined and (
            element is None or at >= joining_until or element[0] not in {_OCTETS, _OCTETS_IN_PIECES}
        ):
            yield b"".join(joined)
            joined = []
        if element is None:
            return
        tag, start, stop = element
        if tag == _OCTETS_IN_PIECES:
            joining_until = max(joining_until, stop)
        # What is constructed is gone into: its elements follow at once. [0] may also be an OCTET STRING by itself.
        at = start if tag & _CONSTRUCTED else stop
        if tag == _OCTETS and start < joining_until:
            joined.append(data[start:stop])
        elif tag in {_OCTETS, _IMPLICIT}:
            yield data[start:stop]


def _element(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return (tag, start, end) of the element at ``at``, or None at the end. Without a length it goes to the end."""
    if at + 2 > len(data):
        return None
    tag, length = data[at], data[at + 1]
    start = at + 2
    if length == _NO_LENGTH:
        return tag, start, len(data)
    if length > _NO_LENGTH:
        size = length - _NO_LENGTH
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    return tag, start, min(start + length, len(data))
