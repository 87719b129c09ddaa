"""Files of the Macintosh in one piece: AppleSingle, AppleDouble (RFC 1740), MacBinary. Yields their data forks."""

import struct
from collections.abc import Iterator
from typing import Final

from .harvest import Content, Harvest

_SINGLE: Final = b"\0\x05\x16\x00"
_DOUBLE: Final = b"\0\x05\x16\x07"
_ENTRY: Final = struct.Struct(">III")
_DATA_FORK, _RESOURCE_FORK, _REAL_NAME = 1, 2, 3
_HEADER: Final = 26
_BINARY_HEADER: Final = 128
_MAX_ENTRIES: Final = 100
_MAX_NAME: Final = 63


def is_apple(data: bytes) -> bool:
    """Return whether these are AppleSingle or AppleDouble bytes."""
    return data.startswith((_SINGLE, _DOUBLE))


def is_macbinary(data: bytes) -> bool:
    """Return whether these are MacBinary bytes: zeros where they must be, lengths that fit."""
    if len(data) <= _BINARY_HEADER or data[0] or data[74] or data[82] or not 1 <= data[1] <= _MAX_NAME:
        return False
    data_size, resource_size = (int.from_bytes(data[at : at + 4], "big") for at in (83, 87))
    if not data_size + resource_size or b"\0" in data[2 : 2 + data[1]]:
        return False
    rounded = data_size + -data_size % 128 + resource_size
    return _BINARY_HEADER + rounded <= len(data) <= _BINARY_HEADER + rounded + 256 + data[120] * 256


def open_apple(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the forks of an AppleSingle or AppleDouble file."""
    data = content.data
    count = min(int.from_bytes(data[24:26], "big"), _MAX_ENTRIES)
    entries = [
        _ENTRY.unpack_from(data, _HEADER + at * _ENTRY.size)
        for at in range(count)
        if _HEADER + (at + 1) * _ENTRY.size <= len(data)
    ]
    name = next((data[start : start + size] for kind, start, size in entries if kind == _REAL_NAME), b"")
    for number, (kind, start, size) in enumerate(entries, 1):
        fork = data[start : start + size]
        if kind in {_DATA_FORK, _RESOURCE_FORK} and fork:
            harvest.budget.take_entry()
            harvest.budget.take_bytes(len(fork))
            yield content.inner(number, fork, "apple", name=name.decode("mac-roman"))


def open_macbinary(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the data fork and the resource fork of a MacBinary file."""
    data = content.data
    name = data[2 : 2 + data[1]].decode("mac-roman")
    data_size, resource_size = struct.unpack(">II", data[83:91])
    behind = _BINARY_HEADER + data_size + -data_size % 128
    for number, fork in enumerate(
        (data[_BINARY_HEADER:][:data_size], data[behind : behind + resource_size]), 1
    ):
        if fork:
            harvest.budget.take_entry()
            harvest.budget.take_bytes(len(fork))
            yield content.inner(number, fork, "macbinary", name=name)
