"""The messages that ``filterd bench`` makes: each other than all before, so that no engine knows its answer already."""

import base64
import random
import secrets
from typing import Final

_WORDS: Final = tuple(b"the quick report of last month was sent to all members who nobody".split())
_LINE: Final = 70
_PICTURE_BYTES: Final = 150_000  # 200 kB as it is sent


class Mix:
    """One run's messages, in turn: a small text, a text with HTML beside it, one with a picture attached."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(8).encode()
        self._chance = random.Random(self._run)  # noqa: S311 - it guards nothing
        self._short, self._long = _prose(self._chance, 1700), _prose(self._chance, 8000)

    def message(self, number: int) -> bytes:
        """Return the message of a number, with CRLF line ends."""
        makers = (self._text, self._html, self._attachment)
        kind, body = makers[number % len(makers)]()
        unique = b"%d.%s" % (number, self._run)
        head = (
            b"From: Sender <sender@bench.invalid>",
            b"To: Recipient <recipient@bench.invalid>",
            b"Subject: Report %s" % unique,
            b"Date: Mon, 05 Jan 2026 10:00:00 +0000",
            b"Message-ID: <%s@bench.invalid>" % unique,
            b"MIME-Version: 1.0",
            b"Content-Type: " + kind,
        )
        return b"\r\n".join((*head, b"", body.replace(b"@UNIQUE@", unique)))

    def _text(self) -> tuple[bytes, bytes]:
        return b"text/plain; charset=us-ascii", b"Number @UNIQUE@\r\n" + self._short

    def _html(self) -> tuple[bytes, bytes]:
        paragraphs = b"</p>\r\n<p>".join(self._long.split(b"\r\n"))
        html = b"<html><body><h1>@UNIQUE@</h1><p>" + paragraphs + b"</p></body></html>\r\n"
        plain = b"Number @UNIQUE@\r\n" + self._long
        return b"multipart/alternative; boundary=b", _parts((b"text/plain", plain), (b"text/html", html))

    def _attachment(self) -> tuple[bytes, bytes]:
        picture = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + self._chance.randbytes(_PICTURE_BYTES)
        encoded = base64.encodebytes(picture).replace(b"\n", b"\r\n")
        kind = b"image/jpeg; name=picture.jpg\r\nContent-Transfer-Encoding: base64"
        return b"multipart/mixed; boundary=b", _parts((b"text/plain", self._text()[1]), (kind, encoded))


def _prose(chance: random.Random, size: int) -> bytes:
    """Return so many bytes of text, or a line more."""
    lines, line, total = [], b"", 0
    while total < size:
        line += chance.choice(_WORDS) + b" "
        if len(line) > _LINE:
            lines.append(line.strip())
            total, line = total + len(line), b""
    return b"\r\n".join(lines) + b"\r\n"


def _parts(*parts: tuple[bytes, bytes]) -> bytes:
    whole = b"".join(b"--b\r\nContent-Type: " + kind + b"\r\n\r\n" + content for kind, content in parts)
    return whole + b"--b--\r\n"
