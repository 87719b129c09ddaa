"""Transfer-encoding tricks: bodies that a strict decoder gives up and a lenient one reads (RFC 2045 6)."""

import base64
import gzip
from collections.abc import Callable, Iterator
from typing import Final

from .mail import (
    CRLF,
    base64_lines,
    entity,
    file_fields,
    mixed,
    quoted_printable,
    rows,
    text_part,
    variant,
)
from .variant import MALFORMED, NEVER, Build, Variant
from .writers.textcodes import binhex, uu_lines, uuencode, yencode


def _zipped(payload: bytes) -> bytes:
    """Bytes of which base64 holds both letters that its URL alphabet replaces."""
    for level in range(64):
        content = gzip.compress(payload + b" " * level, mtime=0)
        text = base64.b64encode(content)
        if b"+" in text and b"/" in text:
            return content
    raise AssertionError("no such bytes")


def _long(payload: bytes) -> bytes:
    """The payload in a file of 4 kB: a comment field of gzip (RFC 1952 2.3.1) takes it up."""
    return b"\x1f\x8b\x08\x10" + bytes(6) + b"filler " * 550 + b"\0" + gzip.compress(payload, mtime=0)[10:]


def _spread(content: bytes, every: int, between: bytes) -> bytes:
    text = base64.b64encode(content)
    return b"".join(text[at : at + every] + between for at in range(0, len(text), every))


def _padded_inside(payload: bytes) -> bytes:
    return rows(*(base64.b64encode(payload[at : at + 10]) for at in range(0, len(payload), 10)))


def _decoy_first(payload: bytes) -> bytes:
    return rows(base64.b64encode(b"Nothing."), b"") + base64_lines(payload)


# Slug, title, body said to be base64, what the twin may be.
_BASE64: Final = (
    ("plain", "base64 as it should be", base64_lines, NEVER),
    ("one-a-line", "one character a line", lambda p: _spread(p, 1, CRLF), NEVER),
    ("four-a-line", "four characters a line", lambda p: base64_lines(p, 4), NEVER),
    ("odd-lines", "lines of seven characters", lambda p: base64_lines(p, 7), NEVER),
    ("one-line", "no line ends within", lambda p: base64_lines(p, 4096), NEVER),
    ("long-line", "one line of 5000 characters", lambda p: base64_lines(_long(p), 10_000), MALFORMED),
    ("empty-lines", "empty lines between", lambda p: _spread(p, 20, CRLF * 3), NEVER),
    ("empty-lines-first", "empty lines before", lambda p: CRLF * 40 + base64_lines(p), NEVER),
    ("blanks", "blanks between the characters", lambda p: _spread(p, 3, b" ") + CRLF, NEVER),
    ("tabs", "lines indented by tabs", lambda p: _spread(p, 30, b"\r\n\t"), NEVER),
    ("blanks-behind", "blanks behind the lines", lambda p: _spread(p, 30, b"   \r\n"), NEVER),
    ("junk", "characters of no alphabet between", lambda p: _spread(p, 5, b"!*") + CRLF, MALFORMED),
    ("dashes", "dashes and dots between", lambda p: _spread(p, 6, b".-") + CRLF, MALFORMED),
    ("eight-bit", "eight-bit characters between", lambda p: _spread(p, 6, b"\xe4") + CRLF, MALFORMED),
    ("nul", "NUL between", lambda p: _spread(p, 6, b"\0") + CRLF, MALFORMED),
    ("noise-first", "a line of noise before", lambda p: b"*** ??? ***\r\n" + base64_lines(p), MALFORMED),
    ("padding-inside", "padding in the middle", _padded_inside, MALFORMED),
    ("padding-first", "padding before", lambda p: b"=" + base64_lines(p), MALFORMED),
    ("padding-missing", "padding missing", lambda p: base64_lines(p).replace(b"=", b""), MALFORMED),
    ("padding-much", "more padding than needed", lambda p: base64_lines(p) + b"====\r\n", MALFORMED),
    ("padding-apart", "padding on a line of its own", lambda p: base64_lines(p).replace(b"=", b"\r\n=", 1), NEVER),
    ("decoy-first", "a padded piece before", _decoy_first, MALFORMED),
    ("footer", "a mailing list's footer behind", lambda p: base64_lines(p) + b"\r\n-- \r\nlist footer\r\n", MALFORMED),
    ("url-alphabet", "the URL alphabet", lambda p: base64_lines(_zipped(p)).translate(bytes.maketrans(b"+/", b"-_")), MALFORMED),
    ("bare-lf", "lines ended by bare LF", lambda p: base64_lines(p, 20).replace(CRLF, b"\n"), MALFORMED),
    ("bare-cr", "lines ended by bare CR", lambda p: base64_lines(p, 20).replace(CRLF, b"\r"), MALFORMED),
    ("not", "said to be base64 and is not", lambda p: p + CRLF, MALFORMED),
    ("twice", "said once, encoded twice", lambda p: base64_lines(base64_lines(p)), NEVER),
)  # fmt: skip


def _escapes(content: bytes, form: bytes = b"=%02X") -> bytes:
    return b"".join(form % byte for byte in content)


def _soft_each(payload: bytes, end: bytes) -> bytes:
    return b"".join(_escapes(payload[at : at + 1]) + end for at in range(len(payload))) + CRLF


def _half_escaped(payload: bytes) -> bytes:
    pairs = (payload[at : at + 2] for at in range(0, len(payload), 2))
    return b"".join(_escapes(pair[:1]) + pair[1:] for pair in pairs) + CRLF


# Slug, title, body said to be quoted-printable, what the twin may be.
_QUOTED: Final = (
    ("plain", "quoted-printable as it should be", lambda p: quoted_printable(p) + CRLF, NEVER),
    ("all", "every byte escaped", lambda p: _soft_each(p, b"=\r\n"), NEVER),
    ("lower", "lower-case escapes", lambda p: _escapes(p[:34], b"=%02x") + b"=\r\n" + _escapes(p[34:], b"=%02x") + CRLF, NEVER),
    ("half", "every other byte escaped", _half_escaped, NEVER),
    ("soft-blanks", "blanks behind soft line breaks", lambda p: _soft_each(p, b"= \t \r\n"), NEVER),
    ("soft-lf", "soft line breaks of bare LF", lambda p: _soft_each(p, b"=\n"), MALFORMED),
    ("soft-cr", "soft line breaks of bare CR", lambda p: _soft_each(p, b"=\r"), MALFORMED),
    ("soft-last", "a soft line break at the end", lambda p: quoted_printable(p) + b"=\r\n", NEVER),
    ("broken-behind", "broken escapes on a later line", lambda p: quoted_printable(p) + b"\r\n=ZZ=4\r\n", MALFORMED),
    ("one-line", "one line of 2000 characters", lambda p: _escapes(p) + b"=20" * 600 + CRLF, MALFORMED),
    ("blanks-behind", "blanks at the line's end", lambda p: quoted_printable(p) + b"   \r\n", NEVER),
)  # fmt: skip

# Slug, title, name of the encoding, body, what the twin may be.
_OTHER: Final = (
    ("x-uuencode", "x-uuencode", b"x-uuencode", uuencode, MALFORMED),
    ("uuencode", "uuencode", b"uuencode", uuencode, MALFORMED),
    ("x-uue", "x-uue", b"x-uue", uuencode, MALFORMED),
    ("x-uu-bare", "x-uuencode without begin and end", b"x-uuencode", uu_lines, MALFORMED),
    ("yenc", "x-yencode", b"x-yencode", yencode, MALFORMED),
    ("binhex", "mac-binhex40", b"mac-binhex40", binhex, MALFORMED),
    ("unknown-base64", "an unknown encoding that is base64", b"x-mine", base64_lines, MALFORMED),
    ("unknown-plain", "an unknown encoding of plain text", b"x-mine", lambda p: p + CRLF, MALFORMED),
    ("unknown-gzip", "an unknown encoding of base64 of gzip", b"x-mine", lambda p: base64_lines(_zipped(p)), MALFORMED),
    ("seven-bit-base64", "said to be 7bit, is base64", b"7bit", base64_lines, NEVER),
    ("seven-bit-gzip", "said to be 7bit, is gzip", b"7bit", _zipped, MALFORMED),
    ("binary-gzip", "binary, as it is said to be", b"binary", _zipped, MALFORMED),
    ("qp-is-base64", "said to be quoted-printable, is base64", b"quoted-printable", base64_lines, MALFORMED),
    ("base64-is-qp", "said to be base64, is quoted-printable", b"base64", lambda p: _soft_each(p, b"=\r\n"), MALFORMED),
    ("base64-is-uu", "said to be base64, is uuencode", b"base64", uuencode, MALFORMED),
)  # fmt: skip


def _with_body(title: str, encoding: bytes, body: Callable[[bytes], bytes]) -> Build:
    def build(payload: bytes) -> bytes:
        fields = (*file_fields(), b"Content-Transfer-Encoding: " + encoding)
        return mixed(title, text_part(), entity(body(payload), *fields))

    return build


def _table() -> Iterator[Variant]:
    for slug, title, body, may in _BASE64:
        yield variant(f"transfer-encoding.base64-{slug}", title, _with_body(title, b"base64", body), may)
    for slug, title, body, may in _QUOTED:
        yield variant(
            f"transfer-encoding.qp-{slug}", title, _with_body(title, b"quoted-printable", body), may
        )
    for slug, title, encoding, body, may in _OTHER:
        yield variant(f"transfer-encoding.{slug}", title, _with_body(title, encoding, body), may)


VARIANTS: Final = tuple(_table())
