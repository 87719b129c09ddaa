"""Sample messages, by name: what the audit sends to see what becomes of it.

One entry in SAMPLES is all that a new sample needs. Each is made anew for its envelope, with a unique id in the
Message-ID, and has CR LF line ends throughout. Test strings that scanners look for are put together here at run
time, so that no file of this repository sets a scanner off.
"""

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate

from audit import disguises

# The anti-virus test file of eicar.org, and SpamAssassin's test line, each in two pieces.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-" + b"STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

_CHUNK_BYTES = 57 * 800  # of base64's lines, 57 bytes each
_CHUNK_LINES = 800  # of 76 + 2 bytes: about 62 kB at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a sample is made for: an envelope, an id that no other message has, the gateway's limit in bytes."""

    sender: str
    recipient: str
    unique: str
    size_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One kind of message. ``pieces`` gives it in pieces of whole lines, so that a large one is never held whole.

    ``declared`` off: it is sent without SIZE (RFC 1870), to see the limit enforced and not only believed.
    """

    about: str
    pieces: Callable[[Letter], Iterator[bytes]]
    declared: bool = True


def build(name: str, letter: Letter) -> bytes:
    """Return the whole sample called ``name``; KeyError if there is none."""
    return b"".join(SAMPLES[name].pieces(letter))


def _headers(letter: Letter, subject: str, *further: str) -> bytes:
    lines = (
        f"From: Bastide audit <{letter.sender or 'audit@invalid.example'}>",
        f"To: <{letter.recipient}>",
        f"Subject: {subject}",
        f"Date: {formatdate()}",
        f"Message-ID: <{letter.unique}@audit.bastide.example>",
        "MIME-Version: 1.0",
        *further,
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"\r\n"


def _encoded(content: bytes) -> bytes:
    """Return base64 in lines of 76 characters (RFC 2045 6.8)."""
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def _clean(letter: Letter) -> Iterator[bytes]:
    # Header names in odd cases, a repeated name, folding by tab, trailing blanks: what a filter that parses and
    # writes anew would tidy up.
    yield _headers(
        letter,
        "A clean message",
        'content-TYPE: Multipart/Alternative;\r\n\tBoundary="=_one"',
        "X-Audit: first ",
        "x-aUDIT:second",
        "X-Folded: one\r\n  two\r\n\tthree",
    )
    yield b"This preamble is shown by no reader.\r\n"
    yield b"--=_one\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    yield b"Good morning,\r\n\r\nthe minutes of Monday's meeting are below.   \r\n\t\r\n"
    yield b".one dot begins this line\r\n..two dots begin this one\r\n.\r\n-- \r\nAudit\r\n"
    yield b"word " * 199 + b"end\r\n"  # 998 characters, the most that RFC 5322 2.1.1 allows
    yield b"--=_one\r\nContent-Type: text/html; charset=us-ascii\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    yield b"<p>Good morning,</p>=20\r\n<p>the minutes of Monday's meeting are below.</p>\r\n--=_one--\r\n"
    yield b"This epilogue is shown by no reader either.\r\n"


def _dot_lines(letter: Letter) -> Iterator[bytes]:
    yield _headers(letter, "Lines of dots") + b".\r\n..\r\n...\r\n.\r\n\r\n.text\r\n.\r\n"


def _empty_body(letter: Letter) -> Iterator[bytes]:
    yield _headers(letter, "Nothing but headers")


def _eicar(letter: Letter) -> Iterator[bytes]:
    yield _headers(letter, "Test file as text", "Content-Type: text/plain") + EICAR + b"\r\n"


def _attached(letter: Letter, name: str, content: bytes) -> Iterator[bytes]:
    yield _headers(letter, f"Attached: {name}", 'Content-Type: multipart/mixed; boundary="=_two"')
    yield b"--=_two\r\nContent-Type: text/plain\r\n\r\nPlease see the attachment.\r\n--=_two\r\n"
    yield (
        f'Content-Type: application/octet-stream; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    ).encode("ascii")
    for start in range(0, len(content), _CHUNK_BYTES):
        yield _encoded(content[start : start + _CHUNK_BYTES])
    yield b"--=_two--\r\n"


def _eicar_base64(letter: Letter) -> Iterator[bytes]:
    return _attached(letter, "eicar.com", EICAR)


def _eicar_zip(letter: Letter) -> Iterator[bytes]:
    store = io.BytesIO()
    with zipfile.ZipFile(store, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("eicar.com"), EICAR, zipfile.ZIP_DEFLATED)
    return _attached(letter, "papers.zip", store.getvalue())


def _eicar_uuencoded(letter: Letter) -> Iterator[bytes]:
    yield _headers(letter, "Test file in the text", "Content-Type: text/plain")
    yield b"See below.\r\n\r\n" + disguises.uuencoded("papers.txt", EICAR)


def _eicar_folded(letter: Letter) -> Iterator[bytes]:
    # Some parsers, Python's own among them, do not decode what is declared like this; mail readers do.
    yield _headers(
        letter,
        "Test file",
        "Content-Type: application/octet-stream",
        "Content-Transfer-Encoding:\r\n base64 (so)",
    )
    yield _encoded(EICAR)


def _gtube(letter: Letter) -> Iterator[bytes]:
    yield _headers(letter, "Test line of unsolicited mail", "Content-Type: text/plain") + GTUBE + b"\r\n"


def _partial(letter: Letter) -> Iterator[bytes]:
    declared = 'Content-Type: message/partial; id="audit"; number=1; total=2'
    yield _headers(letter, "One part of two", declared) + b"Subject: the rest follows\r\n\r\nText\r\n"


def _oversize(letter: Letter) -> Iterator[bytes]:
    head = _headers(letter, "Over the limit", "Content-Type: text/plain")
    yield head
    left = letter.size_limit + 1 - len(head)
    full = (b"x" * 76 + b"\r\n") * _CHUNK_LINES
    while left > 0:
        # Whole lines only: the last piece may go a few bytes further over the limit.
        lines = min(_CHUNK_LINES, -(-left // 78))
        yield full[: lines * 78]
        left -= lines * 78


SAMPLES = {
    "clean": Sample(about="multipart with everything that a rewriting filter would change", pieces=_clean),
    "dot-lines": Sample(about="lines that begin with dots (RFC 5321 4.5.2)", pieces=_dot_lines),
    "empty-body": Sample(about="headers and no body", pieces=_empty_body),
    "eicar": Sample(about="the anti-virus test file as plain text", pieces=_eicar),
    "eicar-base64": Sample(about="the anti-virus test file attached in base64", pieces=_eicar_base64),
    "eicar-zip": Sample(about="the anti-virus test file in an attached ZIP archive", pieces=_eicar_zip),
    "eicar-uuencode": Sample(about="the anti-virus test file uuencoded in the text", pieces=_eicar_uuencoded),
    "eicar-folded": Sample(
        about="the anti-virus test file in base64 that is declared in a folded header", pieces=_eicar_folded
    ),
    "eicar-rar": Sample(
        about="the anti-virus test file stored in a RAR archive",
        pieces=lambda letter: _attached(letter, "papers.rar", disguises.rar_stored("papers.txt", EICAR)),
    ),
    "program": Sample(
        about="a Windows program under an innocent name",
        pieces=lambda letter: _attached(letter, "papers.dat", disguises.program()),
    ),
    "many-members": Sample(
        about="a ZIP archive of 6,000 members",
        pieces=lambda letter: _attached(letter, "papers.zip", disguises.zip_of(6000)),
    ),
    "partial": Sample(
        about="a part of a message that the reader would join (RFC 2046 5.2.2)", pieces=_partial
    ),
    "gtube": Sample(about="the test line of unsolicited mail", pieces=_gtube),
    "oversize": Sample(
        about="just over the size limit, not declared by SIZE", pieces=_oversize, declared=False
    ),
}
