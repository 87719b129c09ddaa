"""TNEF, the winmail.dat of Outlook ([MS-OXTNEF])."""

import struct
from typing import Final

_MESSAGE: Final = 1
_ATTACHMENT: Final = 2
SIGNATURE: Final = struct.pack("<IH", 0x223E9F78, 1)


def _attribute(level: int, kind: int, content: bytes, *, good: bool = True) -> bytes:
    check = sum(content) & 0xFFFF if good else 0xBAD
    return struct.pack("<BII", level, kind, len(content)) + content + struct.pack("<H", check)


def _opening() -> bytes:
    return (
        SIGNATURE
        + _attribute(_MESSAGE, 0x00089006, struct.pack("<I", 0x00010000))
        + _attribute(_MESSAGE, 0x00069007, struct.pack("<II", 1252, 0))
        + _attribute(_MESSAGE, 0x00078008, b"IPM.Microsoft Mail.Note\0")
    )


def _rendering() -> bytes:
    return _attribute(_ATTACHMENT, 0x00069002, struct.pack("<HIHHI", 1, 0xFFFFFFFF, 0, 0, 0))


def tnef(content: bytes, name: bytes = b"notes.dat", *, good: bool = True) -> bytes:
    """Return a TNEF file with one attachment; ``good`` off: its checksum is wrong."""
    return (
        _opening()
        + _rendering()
        + _attribute(_ATTACHMENT, 0x00018010, name + b"\0")
        + _attribute(_ATTACHMENT, 0x0006800F, content, good=good)
    )


def _property(kind: int, content: bytes) -> bytes:
    return struct.pack("<III", kind, 1, len(content)) + content + bytes(-len(content) % 4)


def tnef_property(content: bytes, name: bytes = b"notes.dat", *, embedded: bool = False) -> bytes:
    """Return a TNEF file whose attachment's data is a MAPI property.

    ``embedded``: of type object, as attached mail is; sixteen bytes of interface id stand before it.
    """
    kind, prefix = (0x3701000D, bytes(16)) if embedded else (0x37010102, b"")
    properties = (
        struct.pack("<I", 2) + _property(0x3707001E, name + b"\0") + _property(kind, prefix + content)
    )
    return _opening() + _rendering() + _attribute(_ATTACHMENT, 0x00069005, properties)
