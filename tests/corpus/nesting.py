"""Nesting tricks: mail in mail, and multiparts that readers show in ways of their own (RFC 2046 5, RFC 2557)."""

from collections.abc import Callable, Iterator
from typing import Final

from .mail import (
    BOUNDARY,
    CRLF,
    ENCODED,
    base64_lines,
    entity,
    file_part,
    head,
    mixed,
    multipart,
    multipart_type,
    quoted_printable,
    rows,
    single,
    text_part,
    variant,
)
from .variant import BANNED, ENCRYPTED, MALFORMED, NEVER, OVER_LIMIT, SUSPICIOUS, Build, Variant

_RFC822: Final = b"Content-Type: message/rfc822"
_QP: Final = b"Content-Transfer-Encoding: quoted-printable"


def _inner(payload: bytes) -> bytes:
    return mixed("the inner mail", text_part(), file_part(payload)).replace(BOUNDARY, b"=_inner")


def _mail_in(*fields: bytes, encode: Callable[[bytes], bytes] = bytes, inner: Build = _inner) -> Build:
    """Attach a mail under the given fields."""
    return lambda payload: mixed("a mail attached", text_part(), entity(encode(inner(payload)), *fields))


def _deep_mail(depth: int) -> Build:
    def build(payload: bytes) -> bytes:
        mail = single(
            "the innermost mail", base64_lines(payload), b"Content-Type: application/octet-stream", ENCODED
        )
        for level in range(depth):
            mail = single(f"level {level}", mail, _RFC822)
        return mail

    return build


def _deep_multipart(depth: int) -> Build:
    def build(payload: bytes) -> bytes:
        part = file_part(payload)
        for level in range(depth):
            boundary = b"level-%d-" % level
            part = entity(multipart(part, boundary=boundary), multipart_type(boundary=boundary))
        return head("multiparts within each other", multipart_type()) + CRLF + multipart(text_part(), part)

    return build


def _of(kind: bytes, *parts: Callable[[bytes], bytes], further: bytes = b"") -> Build:
    """Make a multipart of another subtype."""

    def build(payload: bytes) -> bytes:
        body = multipart(*(part(payload) for part in parts))
        return head(f"multipart/{kind.decode()}", multipart_type(kind) + further) + CRLF + body

    return build


def _words(_: bytes) -> bytes:
    return text_part()


def _page(_: bytes) -> bytes:
    page = b'<html><body><img src="cid:one"></body></html>\r\n'
    return entity(page, b"Content-Type: text/html; charset=us-ascii")


def _related(payload: bytes) -> bytes:
    fields = (b"Content-Type: image/png", b"Content-ID: <one>", ENCODED)
    return entity(base64_lines(payload), *fields)


def _hidden_alternative(payload: bytes) -> bytes:
    return entity(base64_lines(payload), b"Content-Type: application/octet-stream", ENCODED)


def _digested(payload: bytes) -> bytes:
    """In a digest a part without fields is a mail (RFC 2046 5.1.5)."""
    return CRLF + _inner(payload)


def _signature(_: bytes) -> bytes:
    text = b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQA=\r\n-----END PGP SIGNATURE-----\r\n"
    return entity(text, b"Content-Type: application/pgp-signature; name=signature.asc")


def _status(_: bytes) -> bytes:
    text = b"Reporting-MTA: dns; mx.sender.example\r\n\r\nFinal-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    return entity(text, b"Content-Type: message/delivery-status")


def _returned(payload: bytes) -> bytes:
    return entity(_inner(payload), _RFC822)


def _partial(payload: bytes) -> bytes:
    kind = b'Content-Type: message/partial; id="one@sender.example"; number=1; total=1'
    return single("a mail in one of one pieces", _inner(payload), kind)


def _external(payload: bytes) -> bytes:
    """The phantom body of RFC 2046 5.2.3 is to be ignored, and some reader shows it."""
    kind = b'Content-Type: message/external-body; access-type=local-file; name="/dev/null"'
    phantom = rows(b"Content-Type: application/octet-stream", ENCODED, b"") + base64_lines(payload)
    return mixed("an external body", text_part(), entity(phantom, kind))


def _with_mbox_line(payload: bytes) -> bytes:
    return b"From corpus@sender.example Sat Nov 21 10:00:00 2026\r\n" + _inner(payload)


def _with_empty_lines(payload: bytes) -> bytes:
    return CRLF * 2 + _inner(payload)


def _encrypted_in_name(payload: bytes) -> bytes:
    control = entity(b"Version: 1\r\n", b"Content-Type: application/pgp-encrypted")
    kind = multipart_type(b"encrypted") + b'; protocol="application/pgp-encrypted"'
    return head("encrypted in name only", kind) + CRLF + multipart(control, file_part(payload))


def _disposition(payload: bytes) -> bytes:
    fields = (_RFC822, b'Content-Disposition: attachment; filename="old mail.eml"')
    return mixed("a mail attached by name", text_part(), entity(_inner(payload), *fields))


_BY_PGP: Final = b'; micalg=pgp-sha256; protocol="application/pgp-signature"'
_OCTETS: Final = b'Content-Type: application/octet-stream; name="old.eml"'

# Slug, title, builder, what the twin may be.
_TABLE: Final = (
    ("mail", "a mail attached", _mail_in(_RFC822), NEVER),
    ("mail-named", "a mail attached by name", _disposition, NEVER),
    ("mail-base64", "a mail attached in base64", _mail_in(_RFC822, ENCODED, encode=base64_lines), MALFORMED),
    ("mail-qp", "a mail attached in quoted-printable", _mail_in(_RFC822, _QP, encode=quoted_printable), MALFORMED),
    ("mail-base64-said", "a mail only said to be in base64", _mail_in(_RFC822, ENCODED), MALFORMED),
    ("mail-as-text", "a mail attached as text", _mail_in(b'Content-Type: text/plain; name="old.txt"'), NEVER),
    ("mail-as-text-base64", "a mail as text in base64", _mail_in(b"Content-Type: text/plain", ENCODED, encode=base64_lines), NEVER),
    ("mail-as-octets", "an .eml of no type", _mail_in(_OCTETS, ENCODED, encode=base64_lines), NEVER),
    ("mail-global", "message/global", _mail_in(b"Content-Type: message/global"), NEVER),
    ("mail-global-base64", "message/global in base64", _mail_in(b"Content-Type: message/global", ENCODED, encode=base64_lines), NEVER),
    ("mail-news", "message/news", _mail_in(b"Content-Type: message/news"), NEVER),
    ("mail-unknown", "message/x-unknown", _mail_in(b"Content-Type: message/x-unknown"), MALFORMED),
    ("mail-mbox-line", "a mail behind an mbox line", _mail_in(_RFC822, inner=_with_mbox_line), MALFORMED),
    ("mail-empty-lines", "a mail behind empty lines", _mail_in(_RFC822, inner=_with_empty_lines), MALFORMED),
    ("mail-3", "three mails within each other", _deep_mail(3), NEVER),
    ("mail-8", "eight mails within each other", _deep_mail(8), OVER_LIMIT),
    ("mail-60", "sixty mails within each other", _deep_mail(60), OVER_LIMIT | MALFORMED),
    ("multipart-5", "five multiparts within each other", _deep_multipart(5), NEVER),
    ("multipart-60", "sixty multiparts within each other", _deep_multipart(60), OVER_LIMIT | MALFORMED),
    ("alternative", "the alternative that is not shown", _of(b"alternative", _words, _hidden_alternative), NEVER),
    ("alternative-first", "the alternative that comes first", _of(b"alternative", _hidden_alternative, _words), NEVER),
    ("related", "a picture of a page that is none", _of(b"related", _page, _related), SUSPICIOUS | BANNED),
    ("related-first", "multipart/related with its root first", _of(b"related", _hidden_alternative, _page), NEVER),
    ("digest", "a digest, by the default type", _of(b"digest", _digested), NEVER),
    ("digest-file", "a digest that holds a file", _of(b"digest", file_part), MALFORMED),
    ("parallel", "multipart/parallel", _of(b"parallel", _words, file_part), NEVER),
    ("form-data", "multipart/form-data", _of(b"form-data", _words, file_part), NEVER),
    ("signed", "a signed mail", _of(b"signed", file_part, _signature, further=_BY_PGP), NEVER),
    ("report", "the mail in a bounce", _of(b"report", _words, _status, _returned), NEVER),
    ("encrypted-in-name", "multipart/encrypted that is not", _encrypted_in_name, ENCRYPTED | MALFORMED),
    ("partial", "message/partial, one of one", _partial, MALFORMED | BANNED),
    ("external", "message/external-body with a body", _external, MALFORMED | BANNED),
)  # fmt: skip


def _table() -> Iterator[Variant]:
    for slug, title, build, may in _TABLE:
        yield variant(f"nesting.{slug}", title, build, may)


VARIANTS: Final = tuple(_table())
