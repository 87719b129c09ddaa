"""Contents that a scanner easily passes by: what the audit attaches to see that the gateway's own parser does not.

Made at run time like all samples, so that no file of this repository sets a scanner off.
"""

import binascii
import io
import struct
import zipfile

_UU_LINE = 45  # bytes a line of uuencode holds (POSIX, uuencode)


def uuencoded(name: str, content: bytes) -> bytes:
    """Return a uuencode block (POSIX, uuencode) with CR LF line ends, as it stands in a message's text."""
    pieces = (content[start : start + _UU_LINE] for start in range(0, len(content), _UU_LINE))
    lines = (binascii.b2a_uu(piece).rstrip(b"\n") for piece in pieces)
    return b"\r\n".join([b"begin 644 " + name.encode("ascii"), *lines, b"`", b"end", b""])


def rar_stored(name: str, content: bytes) -> bytes:
    """Return a RAR 4 archive with one member that is stored, not compressed: clamd as Debian builds it opens none."""
    raw_name = name.encode("ascii")
    file = struct.pack(
        "<BHHIIBIIBBHI",
        0x74, 0x8000, 32 + len(raw_name), len(content), len(content), 3, binascii.crc32(content), 0, 20, 0x30,
        len(raw_name), 0o100644,
    ) + raw_name  # fmt: skip
    archive = struct.pack("<BHHHI", 0x73, 0, 13, 0, 0)
    end = struct.pack("<BHH", 0x7B, 0x4000, 7)
    return b"Rar!\x1a\x07\x00" + _checked(archive) + _checked(file) + content + _checked(end)


def _checked(block: bytes) -> bytes:
    return struct.pack("<H", binascii.crc32(block) & 0xFFFF) + block


def zip_of(members: int) -> bytes:
    """Return a ZIP archive of so many empty members."""
    store = io.BytesIO()
    with zipfile.ZipFile(store, "w") as archive:
        for number in range(members):
            archive.writestr(zipfile.ZipInfo(f"{number:x}"), b"")
    return store.getvalue()


def program() -> bytes:
    """Return the headers of a Windows program (Microsoft, PE format) that does nothing."""
    stub = b"MZ" + b"\0" * 58 + struct.pack("<I", 0x80) + b"\0" * 64
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x14C, 0, 0, 0, 0, 0xE0, 0x0102)
    return stub + coff + struct.pack("<H", 0x10B) + b"\0" * 0xDE
