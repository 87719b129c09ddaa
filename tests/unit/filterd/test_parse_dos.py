"""One message that would stop the filter: each ends with a verdict in two seconds. (Archives: test_parse_dos_archives.)"""

import base64
import struct
import time
from collections.abc import Callable

import pytest

from tests.corpus.writers.ole import compound

from .reading import HEAD, read

# Promised are 2 s; beside busy neighbours a second of the processor does about half the work.
LIMIT_S = 4.0
NOISE = base64.encodebytes(bytes((at * at * 7919 >> 5) % 256 for at in range(3_700_000))).replace(
    b"\n", b"\r\n"
)
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"


def _nested(number: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)


def _round() -> bytes:
    """A compound file whose small streams stand in one sector that follows itself, said to be 256 MB long."""
    raw = bytearray(compound({"a": b"x" * 100}))
    at = raw.index("Root Entry".encode("utf-16-le"))
    (sector,) = struct.unpack_from("<I", raw, at + 116)
    (fat,) = struct.unpack_from("<I", raw, 76)
    struct.pack_into("<I", raw, at + 120, 1 << 28)
    struct.pack_into("<I", raw, (fat + 1) * 512 + 4 * sector, sector)
    return bytes(raw)


def _file(name: bytes, content: bytes) -> bytes:
    fields = (
        b'Content-Type: application/octet-stream; name="%b"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        % name
    )
    return HEAD + fields + base64.encodebytes(content).replace(b"\n", b"\r\n")


# Each entity is ten of the one before: written out, the last would have 10 to the 30th letters.
ENTITIES = b"<?xml version='1.0'?><!DOCTYPE a [%b]><a>&e29;</a>" % b"".join(
    b"<!ENTITY e%d '%b'>" % (at, b"&e%d;" % (at - 1) * 10 if at else b"x" * 10) for at in range(30)
)


# Name, message, must it be refused (what was not looked at is never clean).
ATTACKS: tuple[tuple[str, Callable[[], bytes], bool], ...] = (
    ("address-header", lambda: HEAD + b"Cc: " + b",\r\n ".join(b"u%d@b.example" % at for at in range(45_000)) + b"\r\n\r\nx\r\n", True),
    ("address-comment", lambda: b"From: " + b"(" * 800_000 + b"\r\n\r\nx\r\n", True),
    ("nested-multiparts", lambda: HEAD + b"".join(map(_nested, range(2000))) + b"\r\nx\r\n", True),
    ("nested-messages", lambda: HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 2000 + b"x\r\n", True),
    ("nested-messages-20000", lambda: HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 20_000 + b"x\r\n", True),
    ("nested-messages-no-head", lambda: b"Content-Type: message/rfc822\r\n\r\n" * 20_000 + b"x\r\n", True),
    ("nested-messages-150000", lambda: HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 150_000 + b"x\r\n", True),
    ("comments-in-comments", lambda: HEAD + b"Content-Type: text/html\r\n\r\n<html>" + b"<!--" * 2_000_000, True),
    ("xmp-in-xmp", lambda: HEAD + b"Content-Type: text/html\r\n\r\n<html>" + b"<xmp>" * 1_000_000, True),
    ("parentheses", lambda: MIXED.replace(b"boundary=x", b"boundary=x " + b"(a" * 4000) + b"--x\r\n\r\nhi\r\n--x--\r\n", True),
    ("headers", lambda: HEAD + b"X-A: b\r\n" * 50_000 + b"\r\nx\r\n", True),
    ("encodings", lambda: HEAD + b"Content-Transfer-Encoding: base64\r\n" * 50_000 + b"\r\nx\r\n", True),
    ("parts", lambda: MIXED + b"--x\r\n\r\nhi\r\n" * 10_000 + b"--x--\r\n", True),
    ("long-line", lambda: HEAD + b"\r\n" + b"a" * 1_000_000 + b"\r\n", False),
    ("delimiters", lambda: MIXED + b"--xy\r\n" * 100_000, True),
    ("dashes", lambda: MIXED + b"".join(b"--%d\r\n" % at for at in range(100_000)), False),
    ("begins", lambda: HEAD + b"\r\n" + b"begin 644 x\r\n" * 80_000, False),
    ("yenc-begins", lambda: HEAD + b"\r\n" + b"=ybegin line=1 name=x\r\n" * 50_000, False),
    ("encoded-words", lambda: HEAD + b"X-A: " + b"=?" * 500_000 + b"\r\n\r\nx\r\n", True),
    ("parameters", lambda: HEAD + b"Content-Type: multipart/mixed" + b";" * 1_000_000 + b"\r\n\r\nx\r\n", True),
    ("noise", lambda: HEAD + b"\r\n" + NOISE, False),
    ("noise-said", lambda: HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + NOISE, False),
    ("noise-one-line", lambda: HEAD + b"\r\n" + NOISE.replace(b"\r\n", b""), False),
    ("ole-round", lambda: _file(b"a.doc", _round()), True),
    ("padding", lambda: HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=A=A=" * 300_000, True),
    ("xml-comments", lambda: _file(b"a.xml", b"<?xml version='1.0'?>" + b"<!--" * 300_000), False),
    ("xml-doctypes", lambda: _file(b"a.xml", b"<?xml version='1.0'?>" + b"<!ENTITY a 'b'><!DOCTYPE x [" * 30_000), False),
    ("xml-entities", lambda: _file(b"a.xml", ENTITIES), False),
    ("rtf-html", lambda: _file(b"a.rtf", b"{\\rtf1\\fromhtml " + b"\\htmlrtf x" * 100_000), False),
    ("script-pieces", lambda: _file(b"a.mjs", b"s+='abcd';" * 100_000), False),
    ("json-numbers", lambda: _file(b"a.json", b"[" + b"12345," * 300_000 + b"1]"), False),
    ("empty-lines", lambda: HEAD + b"\r\n" + b"\r\n" * 1_000_000, False),
)  # fmt: skip


@pytest.mark.parametrize(("build", "refused"), [one[1:] for one in ATTACKS], ids=[one[0] for one in ATTACKS])
def test_one_message_takes_two_seconds_at_most(build: Callable[[], bytes], *, refused: bool) -> None:
    raw = build()
    # The processor's time: other work on the machine does not count.
    started = time.process_time()
    anatomy, _ = read(raw)
    assert time.process_time() - started < LIMIT_S
    assert not refused or {found.verdict for found in anatomy.findings} & {"over-limit", "malformed"}
