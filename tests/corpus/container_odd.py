"""Files that programs of mail write, with what stands before them; OpenPGP files that nobody has enciphered."""

import base64
import bz2
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from .mail import CRLF, attaching, base64_lines, entity, file_fields, mixed, text_part
from .variant import ENCRYPTED, MALFORMED, NEVER, Content, Variant
from .writers.der import opaque_signed
from .writers.zips import deflate, zip_of

_OCTETS: Final = b"application/octet-stream"
_PACKERS: Final[Mapping[int, Callable[[bytes], bytes]]] = {1: deflate, 2: zlib.compress, 3: bz2.compress}


def _mail(payload: bytes) -> bytes:
    """A mail whose file is quoted-printable with one escape: nothing but its fields tells of it."""
    body = payload[:30] + b"=%02X" % payload[30] + payload[31:50] + b"=\r\n" + payload[50:] + CRLF
    return mixed(
        "the inner mail",
        text_part(),
        entity(body, *file_fields(), b"Content-Transfer-Encoding: quoted-printable"),
    )


def _behind(before: bytes) -> Content:
    return lambda payload: before + _mail(payload)


def _packets(algorithm: int, *, length: bool = False) -> Content:
    """A compressed data packet (RFC 9580 5.6) around a literal one."""

    def content(payload: bytes) -> bytes:
        literal = b"b\x09notes.dat" + bytes(4) + payload
        packed = bytes((algorithm,)) + _PACKERS[algorithm](bytes((0xCB, len(literal))) + literal)
        return bytes((0xC8, len(packed))) + packed if length else b"\xa3" + packed

    return content


def _armoured(label: bytes) -> Content:
    def content(payload: bytes) -> bytes:
        text = base64_lines(_packets(1)(payload), 64)
        return b"-----BEGIN %b-----\r\n\r\n%b-----END %b-----\r\n" % (label, text, label)

    return content


def _signed(payload: bytes) -> bytes:
    return (
        b"-----BEGIN CMS-----\r\n"
        + base64_lines(opaque_signed(zip_of(payload)), 64)
        + b"-----END CMS-----\r\n"
    )


def _card(payload: bytes) -> bytes:
    note = payload[:30] + b"=%02X=\r\n" % payload[30] + payload[31:]
    return b"BEGIN:VCARD\r\nVERSION:2.1\r\nNOTE;ENCODING=QUOTED-PRINTABLE:" + note + b"\r\nEND:VCARD\r\n"


def _calendar(start: bytes, field: bytes) -> Content:
    def content(payload: bytes) -> bytes:
        folded = b"\r\n ".join(base64.b64encode(payload)[at : at + 2] for at in range(0, 92, 2))
        return start + field + folded + b"\r\nend:vcalendar\r\n"

    return content


_BEGIN: Final = b"begin:vcalendar\r\n"
# Slug, title, file, name, type, what the twin may be.
_TABLE: Final = (
    ("mmdf", "a mailbox of MMDF", _behind(b"\1\1\1\1\n"), b"a.mmdf", _OCTETS, NEVER),
    ("mmdf-lines", "a mailbox of MMDF of no type", _behind(b"\1\1\1\1\r\n"), b"a.dat", _OCTETS, NEVER),
    ("babyl", "a mailbox of Babyl", _behind(b"BABYL OPTIONS:\r\nVersion: 5\r\n\x1f\x0c\r\n1,,\r\n"), b"a.dat", _OCTETS, NEVER),
    ("mht-pdf", "a web archive that begins like PDF", _behind(b"%PDF-1.4: x\r\n"), b"a.mht", _OCTETS, MALFORMED),
    ("eml-gif", "a mail that begins like GIF", _behind(b"GIF89a: x\r\n"), b"a.eml", _OCTETS, MALFORMED),
    ("pgp-deflate", "OpenPGP, only deflated", _packets(1), b"a.gpg", _OCTETS, ENCRYPTED),
    ("pgp-zlib", "OpenPGP, only under zlib", _packets(2), b"a.pgp", _OCTETS, ENCRYPTED),
    ("pgp-bzip2", "OpenPGP, only under bzip2", _packets(3), b"a.pgp", _OCTETS, ENCRYPTED),
    ("pgp-length", "OpenPGP, only deflated, with a length", _packets(1, length=True), b"a.sig", _OCTETS, ENCRYPTED),
    ("pgp-armour", "OpenPGP, only deflated, armoured", _armoured(b"PGP MESSAGE"), b"a.asc", _OCTETS, ENCRYPTED),
    ("pgp-parts", "OpenPGP, only deflated, in one part", _armoured(b"PGP MESSAGE, PART 01/01"), b"a.txt", b"text/plain", ENCRYPTED),
    ("cms-armour", "an opaque signature, armoured", _signed, b"a.p7m", _OCTETS, NEVER),
    ("card-quoted", "a quoted-printable note in a card", _card, b"a.vcf", b"text/vcard", NEVER),
    ("calendar-folded", "a file folded in a calendar entry",
        _calendar(_BEGIN, b'attach;value=binary;encoding=base64;x-a="a:b":'), b"a.ics", b"text/calendar", NEVER),
    ("calendar-behind", "a calendar entry behind a line",
        _calendar(b"X-NOTE:one\r\n" + _BEGIN, b"attach;encoding=base64;value=binary:"), b"a.ics", b"text/calendar", NEVER),
)  # fmt: skip


def _table() -> Iterator[Variant]:
    for slug, title, content, name, kind, may in _TABLE:
        yield attaching(f"container.{slug}", title, content, name, kind, may=may)


VARIANTS: Final = tuple(_table())
