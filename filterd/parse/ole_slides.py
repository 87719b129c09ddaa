"""The OLE files inside of an old presentation: its macros and embedded objects (MS-PPT 2.10.34, ExOleObjStg)."""

from collections.abc import Iterator
from typing import Final

from .harvest import Budget
from .inflate import inflated

# recVer 0, recInstance 0 (as it is) or 1 (packed), recType 0x1011.
_PLAIN, _PACKED = b"\0\0\x11\x10", b"\x10\0\x11\x10"
_HEAD: Final = 8
_MAGIC: Final = b"\xd0\xcf\x11\xe0"


def storages(stream: bytes, budget: Budget) -> Iterator[bytes]:
    """Yield the OLE files in the stream ``PowerPoint Document``. Raises LimitReachedError."""
    for mark in (_PLAIN, _PACKED):
        at = stream.find(mark)
        while at != -1:
            size = int.from_bytes(stream[at + 4 : at + _HEAD], "little")
            body = stream[at + _HEAD : at + _HEAD + size]
            if mark == _PACKED:
                # In front stands what it unpacks to, which nobody is bound by.
                body = budget.read_all(inflated(body[4:]), len(body)) if body[4:5] == b"\x78" else b""
            if body.startswith(_MAGIC):
                budget.take_entry()
                yield body
            at = stream.find(mark, at + 4)
