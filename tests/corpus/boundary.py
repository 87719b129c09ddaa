"""Boundary tricks: where one reader sees an attachment, another sees text, a preamble, or nothing (RFC 2046 5.1.1)."""

import binascii
from collections.abc import Callable, Iterator
from typing import Final

from .mail import (
    BOUNDARY,
    CRLF,
    base64_lines,
    file_part,
    head,
    multipart,
    multipart_type,
    quoted_printable,
    text_part,
    variant,
)
from .variant import MALFORMED, NEVER, Build, Variant

_MIXED: Final = b"Content-Type: multipart/mixed; "
_LONG: Final = b"b" * 70  # the most that RFC 2046 allows

# Slug, title, Content-Type field, boundary that stands in the delimiters, what the twin may be.
_PARAMETER: Final = (
    ("bare", "boundary without quotes", _MIXED + b"boundary=abc", b"abc", NEVER),
    ("blank-inside", "boundary with a blank inside", _MIXED + b'boundary="a b"', b"a b", NEVER),
    ("specials", "boundary of specials", _MIXED + b"boundary=\"'()+_,-./:=?\"", b"'()+_,-./:=?", NEVER),
    ("longest", "boundary of 70 characters", _MIXED + b'boundary="' + _LONG + b'"', _LONG, NEVER),
    ("over-long", "boundary of 700 characters", _MIXED + b'boundary="' + _LONG * 10 + b'"', _LONG * 10, MALFORMED),
    ("single-quotes", "single quotes belong to the boundary", _MIXED + b"boundary='abc'", b"'abc'", MALFORMED),
    ("single-quotes-off", "single quotes do not belong to it", _MIXED + b"boundary='abc'", b"abc", MALFORMED),
    ("escaped", "a backslash in the quotes", _MIXED + b'boundary="a\\bc"', b"abc", MALFORMED),
    ("escaped-kept", "a backslash that is kept", _MIXED + b'boundary="a\\bc"', b"a\\bc", MALFORMED),
    ("open-quote", "quotes that never close", _MIXED + b'boundary="abc', b"abc", MALFORMED),
    ("half-quoted", "quotes inside", _MIXED + b'boundary=ab"c"', b"abc", MALFORMED),
    ("comment", "a comment behind it", _MIXED + b"boundary=abc (c)", b"abc", MALFORMED),
    ("comment-before", "a comment before it", _MIXED + b"(c) boundary=abc", b"abc", MALFORMED),
    ("junk-behind", "a word behind it", _MIXED + b'boundary="abc" def', b"abc", MALFORMED),
    ("blanks-round-equals", "blanks round the equals sign", _MIXED + b"boundary = abc", b"abc", MALFORMED),
    ("continued", "RFC 2231 continuations", _MIXED + b'boundary*0="ab"; boundary*1="c"', b"abc", MALFORMED),
    ("continued-reversed", "continuations in reverse", _MIXED + b"boundary*1=c; boundary*0=ab", b"abc", MALFORMED),
    ("charset", "RFC 2231 charset", _MIXED + b"boundary*=us-ascii''a%62c", b"abc", MALFORMED),
    ("plain-over-2231", "plain wins over RFC 2231", _MIXED + b"boundary*0=xyz; boundary=abc", b"abc", MALFORMED),
    ("2231-over-plain", "RFC 2231 wins over plain", _MIXED + b"boundary*0=abc; boundary=xyz", b"abc", MALFORMED),
    ("first-of-two", "the first of two", _MIXED + b"boundary=abc; boundary=xyz", b"abc", MALFORMED),
    ("last-of-two", "the last of two", _MIXED + b"boundary=xyz; boundary=abc", b"abc", MALFORMED),
    ("in-quotes", "a boundary within another parameter", _MIXED + b'x="; boundary=xyz; "; boundary=abc', b"abc", MALFORMED),
    ("encoded-word", "an encoded word", _MIXED + b'boundary="=?us-ascii?Q?abc?="', b"abc", MALFORMED),
    ("encoded-word-raw", "an encoded word taken as it is", _MIXED + b'boundary="=?us-ascii?Q?abc?="', b"=?us-ascii?Q?abc?=", MALFORMED),
    ("empty", "an empty boundary", _MIXED + b'boundary=""', b"", MALFORMED),
    ("none", "no boundary at all", b"Content-Type: multipart/mixed", b"abc", MALFORMED),
    ("blank-end", "a blank at its end", _MIXED + b'boundary="abc "', b"abc", MALFORMED),
    ("eight-bit", "eight-bit characters in it", _MIXED + b'boundary="a\xe4c"', b"a\xe4c", MALFORMED),
    ("nul", "NUL behind it", _MIXED + b"boundary=abc\0def", b"abc", MALFORMED),
    ("folded-in-quotes", "folded within the quotes", _MIXED + b'boundary="ab\r\n c"', b"ab c", MALFORMED),
    ("foo", "an unknown subtype", b"Content-Type: multipart/foo; boundary=abc", b"abc", NEVER),
    ("no-subtype", "no subtype", b"Content-Type: multipart; boundary=abc", b"abc", MALFORMED),
    ("empty-subtype", "an empty subtype", b"Content-Type: multipart/; boundary=abc", b"abc", MALFORMED),
    ("mistaken", "another boundary than announced", _MIXED + b"boundary=xyz", b"abc", MALFORMED),
)  # fmt: skip


def _with_parameter(title: str, field: bytes, boundary: bytes) -> Build:
    def build(payload: bytes) -> bytes:
        return head(title, field) + CRLF + multipart(text_part(), file_part(payload), boundary=boundary)

    return build


def _uu(payload: bytes) -> bytes:
    return b"begin 644 notes.dat\r\n" + b"".join(
        binascii.b2a_uu(payload[at : at + 45]).rstrip(b"\n") + CRLF for at in range(0, len(payload), 45)
    ) + b"`\r\nend\r\n"  # fmt: skip


def _correct(payload: bytes) -> bytes:
    return multipart(text_part(), file_part(payload))


def _second_before_first(payload: bytes) -> bytes:
    return multipart(text_part()) + multipart(file_part(payload))


def _no_blank_line_before_parts(payload: bytes) -> bytes:
    return head("delimiter in the header", multipart_type()) + multipart(text_part(), file_part(payload))


def _no_blank_line_in_part(payload: bytes) -> bytes:
    part = file_part(payload).replace(CRLF + CRLF, CRLF, 1)
    return multipart(text_part(), part)


def _inner(outer: bytes, inner: bytes, *, close_inner: bool = True) -> Callable[[bytes], bytes]:
    def body(payload: bytes) -> bytes:
        within = multipart(text_part(b"Within.\r\n"), file_part(payload), boundary=inner)
        if not close_inner:
            within = within.removesuffix(b"--%b--\r\n" % inner)
        return multipart(text_part(), multipart_type(boundary=inner) + CRLF * 2 + within, boundary=outer)

    return body


def _hundred(payload: bytes) -> bytes:
    return multipart(*(text_part(b"Page %d.\r\n" % at) for at in range(100)), file_part(payload))


# Slug, title, body of a multipart whose boundary is =_part, what the twin may be.
_BODY: Final = (
    ("no-end", "no final delimiter", lambda p: _correct(p).removesuffix(b"--=_part--\r\n"), MALFORMED),
    ("half-end", "the final delimiter lacks its dashes", lambda p: _correct(p).replace(b"part--\r\n", b"part\r\n"), MALFORMED),
    ("end-unended", "no line end behind the final delimiter", lambda p: _correct(p).removesuffix(CRLF), NEVER),
    ("blanks-behind", "blanks behind delimiters", lambda p: _correct(p).replace(b"part\r\n", b"part \t \r\n"), NEVER),
    ("junk-behind", "junk behind delimiters", lambda p: _correct(p).replace(b"part\r\n", b"part junk\r\n"), MALFORMED),
    ("dashes-behind", "a dash behind delimiters", lambda p: _correct(p).replace(b"part\r\n", b"part-\r\n"), MALFORMED),
    ("end-first", "a final delimiter before the parts", lambda p: b"--=_part--\r\n" + _correct(p), MALFORMED),
    ("end-between", "a final delimiter between the parts", _second_before_first, MALFORMED),
    ("empty-part", "an empty part before", lambda p: b"--=_part\r\n" + _correct(p), MALFORMED),
    ("bare-lf", "delimiters between bare LFs", lambda p: _correct(p).replace(CRLF, b"\n"), MALFORMED),
    ("bare-cr", "delimiters between bare CRs", lambda p: _correct(p).replace(CRLF, b"\r"), MALFORMED),
    ("preamble-text", "harmless preamble and epilogue", lambda p: b"Preamble.\r\n" + _correct(p) + b"Epilogue.\r\n", NEVER),
    ("preamble-uu", "uuencode in the preamble", lambda p: _uu(p) + CRLF + multipart(text_part()), MALFORMED),
    ("epilogue-uu", "uuencode in the epilogue", lambda p: multipart(text_part()) + CRLF + _uu(p), MALFORMED),
    ("preamble-part", "a part in the preamble", lambda p: file_part(p) + CRLF + multipart(text_part()), MALFORMED),
    ("epilogue-part", "a part in the epilogue", lambda p: multipart(text_part()) + CRLF + file_part(p), MALFORMED),
    ("no-blank-in-part", "no empty line between a part's header and body", _no_blank_line_in_part, MALFORMED),
    ("hundred", "the hundred-and-first part", _hundred, NEVER),
    ("inner-other", "multipart in multipart", _inner(BOUNDARY, b"inner"), NEVER),
    ("inner-longer", "the outer boundary begins the inner", _inner(BOUNDARY, BOUNDARY + b"x"), MALFORMED),
    ("inner-shorter", "the inner boundary begins the outer", _inner(BOUNDARY, BOUNDARY[:4]), MALFORMED),
    ("inner-same", "inner and outer boundary are one", _inner(BOUNDARY, BOUNDARY), MALFORMED),
    ("inner-open", "the inner multipart never ends", _inner(BOUNDARY, b"inner", close_inner=False), MALFORMED),
    ("only-end", "one part and the final delimiter", lambda p: multipart(file_part(p)), NEVER),
)  # fmt: skip

# Slug, title, encoding named in the mail's header, how the body really is.
_MULTIPART_ENCODED: Final = (
    ("base64", "multipart in base64", b"base64", lambda p: base64_lines(_correct(p))),
    ("qp", "multipart in quoted-printable", b"quoted-printable", lambda p: quoted_printable(_correct(p))),
    ("base64-said", "multipart only said to be base64", b"base64", _correct),
    ("qp-said", "multipart only said to be quoted-printable", b"quoted-printable", _correct),
    ("unknown-said", "multipart of unknown encoding", b"x-unknown", _correct),
)


def _with_body(title: str, body: Callable[[bytes], bytes], *fields: bytes) -> Build:
    def build(payload: bytes) -> bytes:
        return head(title, multipart_type(), *fields) + CRLF + body(payload)

    return build


def _table() -> Iterator[Variant]:
    for slug, title, field, boundary, may in _PARAMETER:
        yield variant(f"boundary.{slug}", title, _with_parameter(title, field, boundary), may)
    for slug, title, body, may in _BODY:
        yield variant(f"boundary.body-{slug}", title, _with_body(title, body), may)
    for slug, title, encoding, body in _MULTIPART_ENCODED:
        field = b"Content-Transfer-Encoding: " + encoding
        yield variant(f"boundary.encoded-{slug}", title, _with_body(title, body, field), MALFORMED)


VARIANTS: Final = (
    *_table(),
    variant(
        "boundary.in-header", "a delimiter instead of the empty line", _no_blank_line_before_parts, MALFORMED
    ),
)
