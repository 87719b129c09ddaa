"""TNEF: the winmail.dat that Outlook sends instead of MIME. Its attachments, their names, messages within it.

Source: [MS-OXTNEF] 2.1.3 (attributes), [MS-OXPROPS] for the property numbers. Read with bounds everywhere; what is
cut short ends the reading and is reported.
"""

import struct
from collections.abc import Iterator
from typing import Final

from .charsets import text_of
from .harvest import Content, Harvest

_SIGNATURE: Final = 0x223E9F78
_ATTRIBUTE: Final = struct.Struct("<BII")
_LEVEL_ATTACHMENT: Final = 2
_ATTACH_TITLE: Final = 0x00018010
_ATTACH_DATA: Final = 0x0006800F
_ATTACH_REND: Final = 0x00069002
_ATTACHMENT: Final = 0x00069005
_BODY: Final = 0x0002800C
_MESSAGE_PROPERTIES: Final = 0x00069003
# Property ids of [MS-OXPROPS]: names of attachments, data, bodies.
_NAMES: Final = frozenset({0x3707, 0x3704, 0x3001})
_DATA: Final = 0x3701
_BODIES: Final = {0x1000: "text", 0x1009: "rtf", 0x1013: "html"}
_FIXED: Final = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_VARIABLE: Final = frozenset({13, 30, 31, 258})
_TYPE_OBJECT: Final = 13
_TYPE_UNICODE: Final = 31
_MULTIPLE: Final = 0x1000
_NAMED: Final = 0x8000


class _EndError(Exception):
    """The bytes end before what they announce."""


class _Reader:
    """Little-endian numbers and pieces, in order."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise _EndError
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size), "little")


def open_tnef(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the attachments and bodies of a TNEF stream (kind "tnef"); reports integrity.tnef-broken."""
    names: list[str] = []
    pending: list[bytes] = []
    number = 0
    try:
        for level, attribute, data in _attributes(content.data):
            harvest.budget.take_time()
            if attribute == _ATTACH_REND:
                yield from _ready(content, number, pending, names, harvest)
                number += len(pending)
                pending, names = [], []
            elif attribute == _ATTACH_TITLE:
                names.append(text_of(data.rstrip(b"\0"), "cp1252"))
            elif attribute == _ATTACH_DATA or (attribute == _BODY and data.strip(b"\0")):
                pending.append(data)
            elif attribute in {_ATTACHMENT, _MESSAGE_PROPERTIES}:
                for kind, value in _properties(data, harvest):
                    if kind == "name":
                        names.append(text_of(value, "utf-8"))
                    elif level == _LEVEL_ATTACHMENT or kind in _BODIES.values():
                        pending.append(value)
    except _EndError:
        harvest.note("integrity.tnef-broken", content)
    yield from _ready(content, number, pending, names, harvest)


def _ready(
    content: Content, number: int, found: list[bytes], names: list[str], harvest: Harvest
) -> Iterator[Content]:
    for index, data in enumerate(found, number + 1):
        harvest.budget.take_entry()
        harvest.budget.take_bytes(len(data))
        inner = content.inner(index, data, "tnef")
        # The long name comes last.
        inner.names = tuple(dict.fromkeys(name for name in reversed(names) if name))
        yield inner


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, attribute, data). Checksums are not looked at: no reader does."""
    reader = _Reader(data)
    if reader.number() != _SIGNATURE:
        raise _EndError
    reader.take(2)
    while reader.at < len(data):
        if len(data) - reader.at < _ATTRIBUTE.size and not data[reader.at :].strip(b"\0\r\n"):
            return
        level, attribute, size = _ATTRIBUTE.unpack(reader.take(_ATTRIBUTE.size))
        left = len(data) - reader.at
        if size > left:
            # What is there is offered, for readers that do the same.
            yield level, attribute, reader.take(left)
            raise _EndError
        yield level, attribute, reader.take(size)
        reader.take(2)


def _properties(data: bytes, harvest: Harvest) -> Iterator[tuple[str, bytes]]:
    """Yield ("name" | "data" | body kind, bytes) of a property list ([MS-OXTNEF] 2.1.3.4)."""
    reader = _Reader(data)
    for _ in range(min(reader.number(), 10_000)):
        harvest.budget.take_time()
        kind, ident = reader.number(2), reader.number(2)
        if ident >= _NAMED:
            reader.take(16)
            if reader.number():
                size = reader.number()
                reader.take(size + -size % 4)
            else:
                reader.take(4)
        base = kind & ~_MULTIPLE
        for value in _values(reader, kind, base):
            if ident in _NAMES and base in _VARIABLE:
                yield (
                    "name",
                    value.decode("utf-16-le", "replace").rstrip("\0").encode()
                    if base == _TYPE_UNICODE
                    else value.rstrip(b"\0"),
                )
            elif ident == _DATA and base in _VARIABLE:
                # An object begins with its interface's id; then comes the stream, often another TNEF.
                yield "data", value[16:] if base == _TYPE_OBJECT else value
            elif ident in _BODIES and base in _VARIABLE:
                yield _BODIES[ident], value


def _values(reader: _Reader, kind: int, base: int) -> list[bytes]:
    if base in _VARIABLE:
        values = []
        for _ in range(min(reader.number(), 10_000)):
            size = reader.number()
            values.append(reader.take(size))
            reader.take(-size % 4)
        return values
    if base not in _FIXED:
        raise _EndError
    count = min(reader.number(), 1_000_000) if kind & _MULTIPLE else 1
    return [reader.take(_FIXED[base] * count)]
