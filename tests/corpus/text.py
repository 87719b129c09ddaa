"""Files within text: what a reader or its user takes out of a body that no MIME field calls a file."""

import base64
from collections.abc import Callable, Iterator
from typing import Final

from .mail import (
    CRLF,
    ENCODED,
    WORDS,
    base64_lines,
    entity,
    file_part,
    mixed,
    quoted_printable,
    rows,
    single,
    text_part,
    variant,
)
from .variant import ENCRYPTED, MALFORMED, NEVER, Build, Variant
from .writers.textcodes import binhex, uuencode, xxencode, yencode, yencode_parts

_PLAIN: Final = b"Content-Type: text/plain; charset=us-ascii"


def _within(code: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda payload: WORDS + CRLF + code(payload) + b"\r\nKind regards\r\n"


def _armoured(label: bytes, *fields: bytes) -> Callable[[bytes], bytes]:
    def code(payload: bytes) -> bytes:
        text = rows(*fields, b"") if fields else b""
        body = text + base64_lines(payload, 64)
        return b"-----BEGIN %b-----\r\n%b-----END %b-----\r\n" % (label, body, label)

    return code


def _begin_base64(payload: bytes) -> bytes:
    return b"begin-base64 644 notes.dat\r\n" + base64_lines(payload, 60) + b"====\r\n"


def _quoted(payload: bytes) -> bytes:
    return b"".join(b"> " + line + CRLF for line in base64_lines(payload).splitlines())


def _quoted_uu(payload: bytes) -> bytes:
    return b"".join(b"> " + line + CRLF for line in uuencode(payload).splitlines())


def _untrimmed_uu(payload: bytes) -> bytes:
    """Old mail systems cut blanks at the end of lines."""
    return rows(*(line.rstrip() for line in uuencode(payload, zero=b" ").splitlines()))


def _checked_uu(payload: bytes) -> bytes:
    """Some encoders put a check character behind each line, which decoders pass over."""
    first, *data, end = uuencode(payload).splitlines()
    return rows(first, *(line + b"!" for line in data), end)


def _bounce(payload: bytes) -> bytes:
    mail = mixed("the mail that came back", text_part(), file_part(payload))
    return b"--- Below this line is a copy of the message.\r\n\r\n" + mail


def _header_block(payload: bytes) -> bytes:
    fields = (b'Content-Type: application/octet-stream; name="notes.dat"', ENCODED)
    return rows(*fields, b"") + base64_lines(payload)


def _pgp_stored(payload: bytes) -> bytes:
    """A literal packet (RFC 9580 5.9) neither encrypted nor signed, armoured: gpg --store."""
    packet = b"b\x09notes.dat" + bytes(4) + payload
    message = bytes((0xCB, len(packet))) + packet
    return _armoured_pgp(message)


def _armoured_pgp(message: bytes) -> bytes:
    crc = 0xB704CE  # RFC 9580 6.1.1
    for byte in message:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    check = b"=" + base64.b64encode(crc.to_bytes(3, "big"))
    text = base64_lines(message, 64)
    return rows(b"-----BEGIN PGP MESSAGE-----", b"") + text + rows(check, b"-----END PGP MESSAGE-----")


def _base64_paragraph(payload: bytes) -> bytes:
    return base64_lines(payload)


def _two_levels(payload: bytes) -> bytes:
    return base64_lines(base64_lines(payload))


# Slug, title, what stands between greeting and regards of a plain text, what the twin may be.
_TEXT: Final = (
    ("uu", "uuencode", uuencode, NEVER),
    ("uu-blank-zero", "uuencode with blanks for zero", lambda p: uuencode(p, zero=b" "), NEVER),
    ("uu-trimmed", "uuencode with its trailing blanks cut", _untrimmed_uu, NEVER),
    ("uu-no-end", "uuencode without end", lambda p: uuencode(p, end=b""), NEVER),
    ("uu-mode", "uuencode with an odd mode", lambda p: uuencode(p, mode=b"0100755"), NEVER),
    ("uu-name", "uuencode with blanks in the name", lambda p: uuencode(p, b"my notes 2.dat"), NEVER),
    ("uu-check", "uuencode with check characters", _checked_uu, NEVER),
    ("uu-second", "the second of two uuencoded files", lambda p: uuencode(b"Nothing.", b"a.txt") + CRLF + uuencode(p), NEVER),
    ("uu-quoted", "uuencode in a quotation", _quoted_uu, NEVER),
    ("begin-base64", "uuencode's base64 form", _begin_base64, NEVER),
    ("xx", "xxencode", xxencode, NEVER),
    ("yenc", "yEnc", yencode, NEVER),
    ("yenc-parts", "yEnc in two parts", lambda p: b"".join(yencode_parts(p, 30)), NEVER),
    ("binhex", "BinHex", binhex, NEVER),
    ("base64", "base64 without any label", _base64_paragraph, NEVER),
    ("base64-long", "base64 in one line", lambda p: base64.b64encode(p) + CRLF, NEVER),
    ("base64-two", "two levels of base64", _two_levels, NEVER),
    ("base64-quoted", "base64 in a quotation", _quoted, NEVER),
    ("base64-header", "base64 behind MIME fields in the text", _header_block, NEVER),
    ("base64-indented", "indented base64", lambda p: b"    " + base64_lines(p, 40).replace(CRLF, b"\r\n    ").rstrip(b" "), NEVER),
    ("base64-uu", "base64 of uuencode", lambda p: base64_lines(uuencode(p)), NEVER),
    ("pem", "between PEM lines", _armoured(b"CERTIFICATE"), NEVER),
    ("pem-fields", "between PEM lines, with fields", _armoured(b"FILE", b"Name: notes.dat"), NEVER),
    ("pgp-stored", "an OpenPGP message that is only stored", _pgp_stored, ENCRYPTED),
    ("data-uri", "a data: URI in plain text", lambda p: b"data:application/octet-stream;base64," + base64.b64encode(p) + CRLF, NEVER),
    ("bounce", "a whole mail quoted in a bounce's text", _bounce, NEVER),
)  # fmt: skip


def _text_mail(title: str, code: Callable[[bytes], bytes]) -> Build:
    return lambda payload: single(title, _within(code)(payload), _PLAIN)


def _utf7(payload: bytes) -> bytes:
    """UTF-7 (RFC 2152) with every character in its base64."""
    return b"+" + base64.b64encode(payload.decode("ascii").encode("utf-16-be")).rstrip(b"=") + b"-"


# Slug, title, charset, encoder of a text that is the payload; a reader that saves the text converts it.
_CHARSETS: Final = (
    ("utf-7", b"utf-7", _utf7),
    ("utf-16", b"utf-16", lambda p: p.decode("ascii").encode("utf-16")),
    ("utf-16-le", b"utf-16le", lambda p: p.decode("ascii").encode("utf-16-le")),
    ("utf-16-be", b"utf-16be", lambda p: p.decode("ascii").encode("utf-16-be")),
    ("utf-32", b"utf-32", lambda p: p.decode("ascii").encode("utf-32")),
    ("ebcdic", b"ibm500", lambda p: p.decode("ascii").encode("cp500")),
    ("utf-8-bom", b"utf-8", lambda p: b"\xef\xbb\xbf" + p),
    ("mistaken", b"us-ascii", lambda p: p.decode("ascii").encode("utf-16")),
)


def _charset_mail(title: str, charset: bytes, encode: Callable[[bytes], bytes]) -> Build:
    def build(payload: bytes) -> bytes:
        kind = b"Content-Type: text/plain; charset=" + charset
        return mixed(title, text_part(), entity(base64_lines(encode(payload)), kind, ENCODED))

    return build


def _uu_in_quoted_printable(payload: bytes) -> bytes:
    body = quoted_printable(_within(uuencode)(payload))
    return single(
        "uuencode in quoted-printable", body, _PLAIN, b"Content-Transfer-Encoding: quoted-printable"
    )


def _uu_in_base64(payload: bytes) -> bytes:
    return single("uuencode in base64", base64_lines(_within(uuencode)(payload)), _PLAIN, ENCODED)


def _uu_in_html(payload: bytes) -> bytes:
    page = b"<html><body><pre>\r\n" + uuencode(payload) + b"</pre></body></html>\r\n"
    return single("uuencode in HTML", page, b"Content-Type: text/html; charset=us-ascii")


def _uu_in_part(payload: bytes) -> bytes:
    return mixed("uuencode in the second text", text_part(), text_part(_within(uuencode)(payload)))


def _base64_undeclared(payload: bytes) -> bytes:
    fields = (b'Content-Type: application/octet-stream; name="notes.dat"',)
    return mixed(
        "an attachment whose base64 is not declared", text_part(), entity(base64_lines(payload), *fields)
    )


def _no_mime(payload: bytes) -> bytes:
    mail = single("uuencode in mail before MIME", _within(uuencode)(payload))
    return mail.replace(b"MIME-Version: 1.0\r\n", b"")


def _table() -> Iterator[Variant]:
    for slug, title, code, may in _TEXT:
        yield variant(f"text-embedded.{slug}", title, _text_mail(title, code), may)
    for slug, charset, encode in _CHARSETS:
        title = f"text in {slug}"
        yield variant(f"text-embedded.charset-{slug}", title, _charset_mail(title, charset, encode))


VARIANTS: Final = (
    *_table(),
    variant("text-embedded.uu-in-qp", "uuencode in quoted-printable", _uu_in_quoted_printable),
    variant("text-embedded.uu-in-base64", "uuencode in base64", _uu_in_base64),
    variant("text-embedded.uu-in-html", "uuencode in HTML", _uu_in_html),
    variant("text-embedded.uu-in-part", "uuencode in the second text", _uu_in_part),
    variant("text-embedded.no-mime", "uuencode in mail before MIME", _no_mime),
    variant(
        "text-embedded.base64-undeclared",
        "an attachment whose base64 is not declared",
        _base64_undeclared,
        MALFORMED,
    ),
)
