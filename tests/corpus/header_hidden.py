"""Encodings told in ways that few readers take, of bodies that give nothing away unless they are decoded."""

import base64
from collections.abc import Callable, Iterator
from typing import Final

from .mail import CRLF, base64_lines, entity, file_fields, mixed, rows, text_part, variant
from .variant import MALFORMED, Build, Content, Variant
from .writers.textcodes import uu_lines, xxencode

_FIELD: Final = b"Content-Transfer-Encoding: "


def _quoted_once(payload: bytes) -> bytes:
    """One escape and one soft line break: too few to be known for quoted-printable by themselves."""
    return payload[:30] + b"=%02X" % payload[30] + payload[31:50] + b"=\r\n" + payload[50:] + CRLF


def _with_junk(payload: bytes) -> bytes:
    text = base64.b64encode(payload)
    return b"".join(text[at : at + 5] + b"!*" for at in range(0, len(text), 5)) + CRLF


_BODIES: Final = (
    ("qp", b"quoted-printable", _quoted_once),
    ("junk", b"base64", _with_junk),
    ("uu", b"x-uuencode", uu_lines),
)


def _escaped(name: bytes) -> bytes:
    return b"".join(b"=%02X" % byte for byte in name)


# Slug, title, the lines that name an encoding.
_TOLD: Final[tuple[tuple[str, str, Callable[[bytes], bytes]], ...]] = (
    ("comment-inside", "a comment within the encoding", lambda e: _FIELD + e[:4] + b"(c)" + e[4:]),
    ("word-base64", "the encoding as an encoded word", lambda e: _FIELD + b"=?us-ascii?B?" + base64.b64encode(e) + b"?="),
    ("word-quoted", "the encoding as a quoted word", lambda e: _FIELD + b"=?us-ascii?Q?" + _escaped(e) + b"?="),
    ("indented", "an indented field", lambda e: b" " + _FIELD + e),
    ("in-fold", "a field in a fold of another", lambda e: b"X-Note: one\r\n\t" + _FIELD + e),
    ("vertical-tab", "a field behind a vertical tab", lambda e: b"X-Note: one\x0b" + _FIELD + e),
    ("next-line", "a field behind NEL", lambda e: b"X-Note: one\x85" + _FIELD + e),
    ("line-separator", "a field behind a line separator", lambda e: b"X-Note: one\xe2\x80\xa8" + _FIELD + e),
    ("parameter", "the encoding as a parameter", lambda e: b"X-Note: one;\r\n content-transfer-encoding=" + e),
)  # fmt: skip

# Slug, title, name, body.
_NAMED: Final[tuple[tuple[str, str, bytes, Content], ...]] = (
    ("q", "quoted-printable by one letter", b"q", _quoted_once),
    ("qp", "quoted-printable by two letters", b"qp", _quoted_once),
    ("b", "base64 by one letter", b"b", _with_junk),
    ("x-uu", "uuencode by a short name", b"x-uu", uu_lines),
    ("xx-bare", "xxencode without begin", b"x-xxencode", lambda p: xxencode(p).partition(CRLF)[2]),
    ("base64-odd-line", "a line of one letter before base64", b"base64", lambda p: b"A\r\n" + base64_lines(p)),
    ("base64-tags", "line breaks of HTML in base64", b"base64", lambda p: base64_lines(p, 40).replace(CRLF, b"<br>\r\n")),
    ("base64-numbered", "numbered lines of base64", b"base64",
        lambda p: b"".join(b"%d: %b\r\n" % one for one in enumerate(base64_lines(p, 40).splitlines(), 1))),
)  # fmt: skip


def _build(title: str, lines: bytes, body: Content) -> Build:
    return lambda payload: mixed(title, text_part(), rows(*file_fields(), lines, b"") + body(payload))


def _named(title: str, name: bytes, body: Content) -> Build:
    return lambda payload: mixed(title, text_part(), entity(body(payload), *file_fields(), _FIELD + name))


def _table() -> Iterator[Variant]:
    for slug, title, lines in _TOLD:
        for which, encoding, body in _BODIES:
            whole = f"{title}, {which}"
            yield variant(
                f"header.hidden-{slug}-{which}", whole, _build(whole, lines(encoding), body), MALFORMED
            )
    for slug, title, name, content in _NAMED:
        yield variant(f"transfer-encoding.name-{slug}", title, _named(title, name, content), MALFORMED)


VARIANTS: Final = tuple(_table())
