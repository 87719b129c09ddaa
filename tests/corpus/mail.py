"""Plain, correct mail, from which the families deviate in one point each. Everything is bytes with CRLF line ends."""

import base64
import quopri
from typing import Final

from .variant import NEVER, Build, Content, Variant

CRLF: Final = b"\r\n"
BOUNDARY: Final = b"=_part"
ENCODED: Final = b"Content-Transfer-Encoding: base64"
NAME: Final = b"notes.dat"
KIND: Final = b"application/octet-stream"
WORDS: Final = b"Good morning,\r\n\r\nplease find the file enclosed.\r\n"


def rows(*lines: bytes) -> bytes:
    """Return the lines, each ended by CRLF."""
    return b"".join(line + CRLF for line in lines)


def head(title: str, *fields: bytes, version: bool = True) -> bytes:
    """Return the header of a mail without the empty line behind it; ``fields`` follow the usual ones."""
    return rows(
        b"From: Corpus <corpus@sender.example>",
        b"To: <reader@bastide.example>",
        b"Subject: " + title.encode("ascii"),
        b"Date: Sat, 21 Nov 2026 10:00:00 +0000",
        b"Message-ID: <corpus.1@sender.example>",
        *((b"MIME-Version: 1.0",) if version else ()),
        *fields,
    )


def entity(body: bytes, *fields: bytes) -> bytes:
    """Return a body part: fields, empty line, body."""
    return rows(*fields, b"") + body


def base64_lines(content: bytes, width: int = 76) -> bytes:
    """Return base64 in lines of ``width`` characters (RFC 2045 6.8)."""
    text = base64.b64encode(content)
    return rows(*(text[at : at + width] for at in range(0, len(text), width)))


def quoted_printable(content: bytes) -> bytes:
    """Return text in quoted-printable (RFC 2045 6.7): CRLF stays a line end."""
    return quopri.encodestring(content.replace(CRLF, b"\n"), quotetabs=True).replace(b"\n", CRLF)


def text_part(words: bytes = WORDS) -> bytes:
    """Return the part that a reader is shown."""
    return entity(words, b"Content-Type: text/plain; charset=us-ascii")


def file_fields(name: bytes = NAME, kind: bytes = KIND) -> tuple[bytes, bytes]:
    """Return type and disposition of an attachment."""
    return (
        b'Content-Type: %b; name="%b"' % (kind, name),
        b'Content-Disposition: attachment; filename="%b"' % name,
    )


def file_part(content: bytes, name: bytes = NAME, kind: bytes = KIND) -> bytes:
    """Return an attachment in base64."""
    return entity(base64_lines(content), *file_fields(name, kind), ENCODED)


def multipart(*parts: bytes, boundary: bytes = BOUNDARY) -> bytes:
    """Return the body of a multipart (RFC 2046 5.1.1): parts without the CRLF that belongs to the delimiter."""
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, part.removesuffix(CRLF)) for part in parts) + (
        b"--%b--\r\n" % boundary
    )


def multipart_type(kind: bytes = b"mixed", boundary: bytes = BOUNDARY) -> bytes:
    """Return the Content-Type field of a multipart."""
    return b'Content-Type: multipart/%b; boundary="%b"' % (kind, boundary)


def mixed(title: str, *parts: bytes) -> bytes:
    """Return a mail of several parts."""
    return head(title, multipart_type()) + CRLF + multipart(*parts)


def single(title: str, body: bytes, *fields: bytes) -> bytes:
    """Return a mail of one part."""
    return head(title, *fields) + CRLF + body


def attaching(
    id_: str,
    title: str,
    content: Content,
    name: bytes = NAME,
    kind: bytes = KIND,
    *,
    words: bytes = WORDS,
    may: frozenset[str] = NEVER,
    recoverable: bool = True,
) -> Variant:
    """Return the variant that is a correct mail with a file attached; the disguise is the file."""

    def build(payload: bytes) -> bytes:
        return mixed(title, text_part(words), file_part(content(payload), name, kind))

    return variant(id_, title, build, may, recoverable=recoverable)


def variant(
    id_: str, title: str, build: Build, may: frozenset[str] = NEVER, *, recoverable: bool = True
) -> Variant:
    """Return a variant; shorter than the record, for tables."""
    return Variant(id=id_, title=title, build=build, twin_may_be=may, recoverable=recoverable)
