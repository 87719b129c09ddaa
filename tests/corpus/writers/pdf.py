"""PDF files (ISO 32000-1), plain or under the standard security handler of 40 bits."""

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

_HEADER: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
# 7.6.3.3, algorithm 2, step a: what pads a password to 32 bytes.
_PAD: Final = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_ID: Final = bytes(range(16))
_PERMISSIONS: Final = -4


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object's body; ``entries`` of its dictionary name type and filter."""
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (entries, len(content), content)


def document(
    objects: Sequence[bytes], *, trailer: bytes = b"", table: bool = True, prefix: bytes = b""
) -> bytes:
    """Return a PDF of these objects, numbered from 1; the first is the catalog. ``table`` off: no xref."""
    out, offsets = bytearray(prefix + _HEADER), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    if table:
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
        out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R %b >>\n" % (len(objects) + 1, trailer)
    return bytes(out) + (b"startxref\n%d\n" % start if table else b"") + b"%%EOF\n"


PAGES: Final = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
PAGE: Final = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>"


def with_file(
    content: bytes,
    filters: bytes = b"",
    *,
    kind: bytes = b"/EmbeddedFile",
    table: bool = True,
    prefix: bytes = b"",
) -> bytes:
    """Return a PDF with an embedded file; ``content`` is already under ``filters``. The rest: see `document`."""
    name = b"notes.dat"
    catalog = (
        b"<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(%b) 4 0 R] >> >> >>" % name
    )
    spec = b"<< /Type /Filespec /F (%b) /UF (%b) /EF << /F 5 0 R >> >>" % (name, name)
    file = stream(content, b"/Type %b " % kind + filters)
    return document((catalog, PAGES, PAGE, spec, file), table=table, prefix=prefix)


def with_script(script: bytes) -> bytes:
    """Return a PDF that runs a script when opened; ``script`` is a string or a reference."""
    action = b"<< /Type /Action /S /JavaScript /JS %b >>" % script
    return document((b"<< /Type /Catalog /Pages 2 0 R /OpenAction 4 0 R >>", PAGES, PAGE, action))


def rc4(key: bytes, content: bytes) -> bytes:
    """Return RC4 of ``content``; the standard library has none, and OpenSSL no longer."""
    box = list(range(256))
    other = 0
    for at in range(256):
        other = (other + box[at] + key[at % len(key)]) % 256
        box[at], box[other] = box[other], box[at]
    out, left, right = bytearray(), 0, 0
    for byte in content:
        left = (left + 1) % 256
        right = (right + box[left]) % 256
        box[left], box[right] = box[right], box[left]
        out.append(byte ^ box[(box[left] + box[right]) % 256])
    return bytes(out)


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def file_key(password: bytes, owner: bytes) -> bytes:
    """Return the file's key by the user's password (algorithm 2)."""
    padded = (password + _PAD)[:32]
    return _md5(padded + owner + struct.pack("<i", _PERMISSIONS) + _ID)[:5]


def object_key(key: bytes, number: int) -> bytes:
    """Return the key of one object (algorithm 1)."""
    return _md5(key + number.to_bytes(3, "little") + bytes(2))[:10]


def enciphered_with_file(content: bytes, password: bytes) -> bytes:
    """Return a PDF with an embedded file under RC4 of 40 bits (7.6.3); the password may be empty."""
    padded = (password + _PAD)[:32]
    owner = rc4(_md5(padded)[:5], padded)
    key = file_key(password, owner)
    file = rc4(object_key(key, 5), content)
    name = rc4(object_key(key, 4), b"notes.dat").hex().encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [() 4 0 R] >> >> >>",
        PAGES,
        PAGE,
        b"<< /Type /Filespec /F <%b> /EF << /F 5 0 R >> >>" % name,
        stream(file, b"/Type /EmbeddedFile"),
        b"<< /Filter /Standard /V 1 /R 2 /O <%b> /U <%b> /P %d >>"
        % (owner.hex().encode(), rc4(key, _PAD).hex().encode(), _PERMISSIONS),
    )
    ident = _ID.hex().encode()
    return document(objects, trailer=b"/Encrypt 6 0 R /ID [<%b> <%b>]" % (ident, ident))
