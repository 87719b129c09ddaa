"""What taking a message apart costs, without processes round it: `anatomise` against the standard library's parser.

Run as ``python -m tests.bench.parts``. The library reads the structure and decodes nothing; its figure only says how
fast the machine is. "mix" is mail of the sizes that traffic has: of a hundred messages 40 of 2 kB, 40 of 10 kB in
plain text and HTML, 15 of 100 kB with a PDF and 5 of 1 MB with a zip archive.
"""

import base64
import io
import random
import string
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from email import message_from_bytes
from functools import partial
from typing import Final

from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise

_FIELDS: Final = (
    b"From: A <a@sender.example>\r\nTo: B <b@bastide.example>\r\nSubject: the figures of this week\r\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\nMIME-Version: 1.0\r\n"
)
_PLAIN: Final = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
_HTML: Final = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
_JPEG: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
_MIX: Final = (("2 kB", 8), ("10 kB", 8), ("100 kB", 3), ("1 MB", 1))
_SECONDS: Final = 1.0
_ROUNDS: Final = 5


def prose(rng: random.Random, size: int) -> bytes:
    """Return lines of words, no two alike, some ``size`` bytes long."""
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randrange(2, 11))) for _ in range(400)]
    lines: list[str] = []
    for number in range(1 + size // 40):
        end = rng.choice(("", ",", ".", "", ";", ": 12")) + "\r\n" * (1 + (number % 9 == 0))
        lines.append(" ".join(rng.choices(words, k=9)) + end)
    return "".join(lines).encode()[:size] + b"\r\n"


def plain(rng: random.Random, size: int) -> bytes:
    """Return a message of plain text."""
    return _FIELDS + _PLAIN + prose(rng, size)


def _multipart(kind: bytes, *parts: bytes) -> bytes:
    mark = b"=_0123456789"
    head = b"Content-Type: multipart/" + kind + b'; boundary="' + mark + b'"\r\n\r\n'
    pieces = [b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts]
    return b"".join((_FIELDS, head, *pieces, b"--", mark, b"--\r\n"))


def both(rng: random.Random, size: int) -> bytes:
    """Return a message of plain text and HTML."""
    text = prose(rng, size // 2)
    page = b"<html><body><p>" + text.replace(b"\r\n\r\n", b"</p>\r\n<p>") + b"</p></body></html>\r\n"
    return _multipart(b"alternative", _PLAIN + text, _HTML + page)


def attached(rng: random.Random, size: int) -> bytes:
    """Return a message with a picture in base64, ``size`` bytes in all."""
    return _with(rng, b"image/jpeg; name=a.jpg", _JPEG + rng.randbytes(size * 3 // 4 * 76 // 78))


def with_pdf(rng: random.Random, size: int) -> bytes:
    """Return a message with a PDF of packed streams, some ``size`` bytes in all."""
    pieces = [b"%PDF-1.4\n"]
    while sum(map(len, pieces)) < size * 71 // 100:
        data = zlib.compress(prose(rng, 2000)) + rng.randbytes(6000)
        head = b"%d 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n" % (len(pieces), len(data))
        pieces.append(head + data + b"\nendstream\nendobj\n")
    pieces.append(b"trailer\n<< /Root 1 0 R >>\n%%EOF\n")
    return _with(rng, b"application/pdf; name=a.pdf", b"".join(pieces))


def with_zip(rng: random.Random, size: int) -> bytes:
    """Return a message with an archive of a text and of a file that does not get smaller, ``size`` bytes in all."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", prose(rng, 60_000))
        archive.writestr("photo.dat", rng.randbytes(size * 72 // 100))
    return _with(rng, b"application/zip; name=a.zip", file.getvalue())


def _with(rng: random.Random, kind: bytes, content: bytes) -> bytes:
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    head = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return _multipart(b"mixed", _PLAIN + prose(rng, 1500), head + encoded)


def mix(rng: random.Random) -> list[bytes]:
    """Return twenty messages of the mix."""
    makers: dict[str, Callable[[], bytes]] = {
        "2 kB": partial(plain, rng, 2000),
        "10 kB": partial(both, rng, 10_000),
        "100 kB": partial(with_pdf, rng, 100_000),
        "1 MB": partial(with_zip, rng, 1_000_000),
    }
    return [makers[name]() for name, count in _MIX for _ in range(count)]


def best(deed: Callable[[bytes], object], messages: Sequence[bytes]) -> float:
    """Return the seconds of processor time a message, in the best of some rounds."""
    least = float("inf")
    for _ in range(_ROUNDS):
        calls, started = 0, time.process_time()
        while (spent := time.process_time() - started) < _SECONDS / _ROUNDS:
            for raw in messages:
                deed(raw)
            calls += len(messages)
        least = min(least, spent / calls)
    return least


def main() -> None:
    """Print own and the library's milliseconds, and their ratio, for each kind of message."""
    rng = random.Random(20261122)  # noqa: S311 - the same mail every time is what is wanted
    kinds = {
        "plain text, 2 kB": [plain(rng, 2000)],
        "plain text, 20 kB": [plain(rng, 20_000)],
        "plain text, 1 MB": [plain(rng, 1_000_000)],
        "multipart, 1 MB": [attached(rng, 1_000_000)],
        "mix": mix(rng),
    }
    inspection = Inspection()
    print(f"{'anatomise':24}{'own ms':>10}{'library ms':>12}{'ratio':>8}")
    for name, messages in kinds.items():
        own = best(partial(_apart, inspection), messages)
        library = best(message_from_bytes, messages)
        print(f"{name:24}{own * 1000:10.3f}{library * 1000:12.3f}{own / library:8.2f}")


def _apart(inspection: Inspection, raw: bytes) -> None:
    anatomise(raw, inspection)


if __name__ == "__main__":
    main()
