"""Compound files ([MS-CFB]), and what is put into them: packages, Outlook messages, macro projects."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Tree: TypeAlias = Mapping[str, "bytes | Tree"]
"""Streams and storages by name."""

_SECTOR: Final = 512
_MINI: Final = 64
_CUTOFF: Final = 4096  # shorter streams live in the mini stream
_END: Final = 0xFFFFFFFE
_FREE: Final = 0xFFFFFFFF
_FAT: Final = 0xFFFFFFFD
_NONE: Final = 0xFFFFFFFF


@dataclass(slots=True, kw_only=True)
class _Entry:
    name: str
    kind: int  # 1 storage, 2 stream, 5 root
    content: bytes = b""
    children: list[int] = field(default_factory=list)
    right: int = _NONE
    start: int = 0


def _flatten(tree: Tree, entries: list[_Entry], parent: _Entry) -> None:
    # Siblings are a search tree, ordered by length, then capitals (2.6.4); a chain to the right is one.
    previous: _Entry | None = None
    for name in sorted(tree, key=lambda name: (len(name), name.upper())):
        node = tree[name]
        stream = isinstance(node, bytes)
        entry = _Entry(name=name, kind=2 if stream else 1, content=node if isinstance(node, bytes) else b"")
        number = len(entries)
        entries.append(entry)
        if previous is None:
            parent.children.append(number)
        else:
            previous.right = number
        previous = entry
        if not isinstance(node, bytes):
            _flatten(node, entries, entry)


def _chain(fat: list[int], count: int) -> int:
    """Append a chain of ``count`` sectors; its first."""
    start = len(fat)
    fat.extend(range(start + 1, start + count))
    fat.append(_END)
    return start


def _padded(content: bytes, size: int) -> bytes:
    return content + bytes(-len(content) % size)


def _directory(entries: list[_Entry]) -> bytes:
    out = b""
    for entry in entries:
        name = entry.name.encode("utf-16-le")
        child = entry.children[0] if entry.children else _NONE
        out += name.ljust(64, b"\0") + struct.pack(
            "<HBBIII", len(name) + 2, entry.kind, 1, _NONE, entry.right, child
        )
        out += bytes(36) + struct.pack("<IQ", entry.start, len(entry.content))
    return _padded(out, _SECTOR)


def compound(tree: Tree) -> bytes:
    """Return a compound file of version 3 with the streams and storages of ``tree``."""
    root = _Entry(name="Root Entry", kind=5)
    entries = [root]
    _flatten(tree, entries, root)
    fat: list[int] = []
    mini_fat: list[int] = []
    sectors, mini = b"", b""
    for entry in entries[1:]:
        if entry.kind != 2 or not entry.content:
            entry.start = 0 if entry.kind == 1 else _END
        elif len(entry.content) < _CUTOFF:
            entry.start = _chain(mini_fat, -(-len(entry.content) // _MINI))
            mini += _padded(entry.content, _MINI)
        else:
            entry.start = _chain(fat, -(-len(entry.content) // _SECTOR))
            sectors += _padded(entry.content, _SECTOR)
    root.content, root.start = mini, _chain(fat, -(-len(mini) // _SECTOR)) if mini else _END
    sectors += _padded(mini, _SECTOR)
    mini_table = _padded(struct.pack(f"<{len(mini_fat)}I", *mini_fat), 4)
    mini_table += b"\xff" * (-len(mini_table) % _SECTOR)
    mini_start = _chain(fat, len(mini_table) // _SECTOR) if mini_table else _END
    sectors += mini_table
    directory_start = _chain(fat, len(_directory(entries)) // _SECTOR)
    sectors += _directory(entries)
    return _with_fat(sectors, fat, directory_start, (mini_start, len(mini_table) // _SECTOR))


def _with_fat(sectors: bytes, fat: list[int], directory: int, mini: tuple[int, int]) -> bytes:
    count = 1
    while (len(fat) + count) * 4 > count * _SECTOR:
        count += 1
    places = range(len(fat), len(fat) + count)
    table = [*fat, *(_FAT for _ in places)]
    table += [_FREE] * (-len(table) % (_SECTOR // 4))
    head = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        + bytes(6)
    )
    head += struct.pack("<IIIIIIIII", 0, count, directory, 0, _CUTOFF, *mini, _END, 0)
    head += struct.pack("<109I", *places, *([_FREE] * (109 - count)))
    return head + sectors + struct.pack(f"<{len(table)}I", *table)


def package(content: bytes, name: bytes = b"notes.dat") -> bytes:
    """Return the native data of an OLE package ([MS-OLEDS] 2.3.6 and what the packager writes), with its size."""
    label = name + b"\0"
    path = b"C:\\" + name + b"\0"
    data = struct.pack("<H", 2) + label + path + struct.pack("<HHI", 0, 3, len(path)) + path
    data += struct.pack("<I", len(content)) + content + bytes(2)
    return struct.pack("<I", len(data)) + data


def package_file(content: bytes, name: bytes = b"notes.dat") -> bytes:
    """Return a compound file that is an OLE package, as documents embed it."""
    return compound(
        {"\1Ole10Native": package(content, name), "\1Ole": struct.pack("<II", 0x02000001, 0) + bytes(12)}
    )


def object_1(content: bytes, name: bytes = b"notes.dat") -> bytes:
    """Return an OLE 1 embedded object ([MS-OLEDS] 2.2.5) of class Package."""
    native = package(content, name)
    head = struct.pack("<II", 0x501, 2) + struct.pack("<I", 8) + b"Package\0" + bytes(8)
    return head + native + struct.pack("<II", 0x501, 0)


def outlook_message(content: bytes, name: str = "notes.dat") -> bytes:
    """Return an Outlook message file ([MS-OXMSG]) with one attachment."""
    properties = bytes(8) + struct.pack("<IIII", 1, 1, 0, 1) + bytes(8)
    attached = (
        bytes(8) + struct.pack("<IIQ", 0x37050003, 6, 1) + struct.pack("<IIQ", 0x37010102, 6, len(content))
    )
    return compound(
        {
            "__nameid_version1.0": {f"__substg1.0_000{at}0102": b"" for at in (2, 3, 4)},
            "__properties_version1.0": properties,
            "__substg1.0_001A001F": "IPM.Note".encode("utf-16-le"),
            "__substg1.0_0037001F": "the inner mail".encode("utf-16-le"),
            "__substg1.0_1000001F": "Good morning".encode("utf-16-le"),
            "__attach_version1.0_#00000000": {
                "__properties_version1.0": attached,
                "__substg1.0_37010102": content,
                "__substg1.0_3707001F": name.encode("utf-16-le"),
            },
        }
    )


def _vba_compressed(content: bytes) -> bytes:
    """Compress as [MS-OVBA] 2.4.1 has it, with literals alone: eight bytes behind each flag byte."""
    out = b"\1"
    for at in range(0, len(content), 3600):
        piece = content[at : at + 3600]
        body = b"".join(b"\0" + piece[place : place + 8] for place in range(0, len(piece), 8))
        out += struct.pack("<H", 0xB000 | (len(body) - 1)) + body
    return out


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HI", kind, len(content)) + content


def macro_project(source: bytes, module: bytes = b"Module1") -> Tree:
    """Return the storage of a VBA project ([MS-OVBA] 2.2) with one module."""
    wide = module.decode("ascii").encode("utf-16-le")
    listing = b"".join(
        (
            _record(1, struct.pack("<I", 1)),  # PROJECTSYSKIND: 32 bits
            _record(2, struct.pack("<I", 0x409)),
            _record(0x14, struct.pack("<I", 0x409)),
            _record(3, struct.pack("<H", 1252)),
            _record(4, b"Project"),
            _record(5, b"") + _record(0x40, b""),
            _record(6, b"") + _record(0x3D, b""),
            _record(7, struct.pack("<I", 0)),
            _record(8, struct.pack("<I", 0)),
            struct.pack("<HIIH", 9, 4, 1, 1),
            _record(0xC, b"") + _record(0x3C, b""),
            _record(0xF, struct.pack("<H", 1)),
            _record(0x13, struct.pack("<H", 0xFFFF)),
            _record(0x19, module) + _record(0x47, wide),
            _record(0x1A, module) + _record(0x32, wide),
            _record(0x1C, b"") + _record(0x48, b""),
            _record(0x31, struct.pack("<I", 0)),  # MODULEOFFSET: no performance cache
            _record(0x1E, struct.pack("<I", 0)),
            _record(0x2C, struct.pack("<H", 0xFFFF)),
            _record(0x21, b""),
            _record(0x2B, b""),
            _record(0x10, b""),
        )
    )
    text = b'Attribute VB_Name = "' + module + b'"\r\n' + source
    listed = b'ID="{00000000-0000-0000-0000-000000000000}"\r\nModule=' + module + b'\r\nName="Project"\r\n'
    return {
        "PROJECT": listed,
        "VBA": {
            "dir": _vba_compressed(listing),
            "_VBA_PROJECT": b"\xcc\x61\xff\xff\0\0\0",
            module.decode("ascii"): _vba_compressed(text),
        },
    }
