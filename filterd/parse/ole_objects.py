"""The containers in which OLE wraps a file: Ole10Native streams, OLE 1.0 objects (MS-OLEDS 2.2). Pure."""

import struct
from typing import Final

from msgspec import Struct

_MAX_NAME: Final = 1024
_EMBEDDED: Final = 2  # MS-OLEDS 2.2.4: FormatID
_VERSIONS: Final = frozenset({0x0501, 0x0500, 0x0502})


class Packaged(Struct, frozen=True):
    """A file that an OLE object holds, with the names under which it is offered to the user."""

    names: tuple[str, ...]
    data: bytes


def ole10_native(stream: bytes) -> Packaged | None:
    """Return the file in a stream named Ole10Native, or None if it is no Package."""
    return package(stream[4:]) if len(stream) > 8 else None


def package(native: bytes) -> Packaged | None:
    """Return the file in the native data of class Package: label, path, a second path, then size and bytes."""
    if native[:2] != b"\x02\0":
        return None
    label, at = _text(native, 2)
    path, at = _text(native, at)
    # Four bytes, then a path with its length in front.
    if at < 0 or at + 8 > len(native):
        return None
    length = struct.unpack_from("<I", native, at + 4)[0]
    if length > _MAX_NAME:
        return None
    third = native[at + 8 : at + 8 + length].partition(b"\0")[0].decode("latin-1")
    at += 8 + length
    if at + 4 > len(native):
        return None
    size = struct.unpack_from("<I", native, at)[0]
    names = tuple(dict.fromkeys(name for name in (label, path, third) if name))
    return Packaged(names, native[at + 4 : at + 4 + size])


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at, at + _MAX_NAME) if at >= 0 else -1
    return (data[at:end].decode("latin-1"), end + 1) if end != -1 else ("", -1)


class Object1(Struct, frozen=True):
    """An OLE 1.0 object: its class, the link's target for links, the native data for embedded ones."""

    name: str
    topic: str
    data: bytes


def object_1(blob: bytes) -> Object1 | None:
    """Return the OLE 1.0 object that stands at the start of ``blob``, as in RTF's objdata; None if none does."""
    if len(blob) < 16 or struct.unpack_from("<I", blob)[0] & 0xFFFF not in _VERSIONS:
        return None
    kind, at = struct.unpack_from("<I", blob, 4)[0], 8
    texts = []
    for _ in range(3):
        if at + 4 > len(blob):
            return None
        length = struct.unpack_from("<I", blob, at)[0]
        if length > _MAX_NAME:
            return None
        texts.append(blob[at + 4 : at + 4 + length].partition(b"\0")[0].decode("latin-1"))
        at += 4 + length
    if kind != _EMBEDDED or at + 4 > len(blob):
        return Object1(texts[0], texts[1], b"")
    size = struct.unpack_from("<I", blob, at)[0]
    return Object1(texts[0], texts[1], blob[at + 4 : at + 4 + size])
