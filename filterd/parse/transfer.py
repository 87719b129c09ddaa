"""Content-Transfer-Encoding: what a field may mean, and every body that some decoder makes of the bytes.

Python 3.11's own package leaves base64 undecoded when the field is folded or carries a comment; others forgive all
of that. So the field is read for every encoding that it names, and a body that is not clean is decoded in each way.
"""

import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import fast_mail_parser
from msgspec import Struct

from .mime_fields import decode_words
from .text_encodings import binhexed, uu_bare, uuencoded, xx_bare, yencoded

_NAMES: Final = {
    "base64": "base64", "quoted-printable": "qp", "quotedprintable": "qp", "uuencode": "uu", "uue": "uu",
    "quoted_printable": "qp", "xxencode": "xx",
    "yenc": "yenc", "binhex": "binhex", "7bit": "plain", "8bit": "plain", "binary": "plain",
}  # fmt: skip
# Names that mean something only if nothing else stands there.
_SHORT: Final = {"q": "qp", "qp": "qp", "b": "base64", "b64": "base64", "uu": "uu", "x-uu": "uu"}
_ANY_NAME: Final = re.compile("|".join(map(re.escape, _NAMES)))
_COMMENT: Final = re.compile(r"\((?:[^()\\]|\\.)*\)")
_PLAIN_TOKEN: Final = re.compile(r"[A-Za-z0-9-]+")
_NOISE: Final = re.compile(r"[^a-z0-9_-]")

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANKS: Final = b" \t\r\n"
_NOT_BASE64: Final = bytes(set(range(256)) - set(ALPHABET) - {0x3D})
_URLSAFE: Final = bytes.maketrans(b"-_", b"+/")
_PADS: Final = re.compile(rb"=+")
# Not the line of underscores with which a list's footer begins.
_BASE64_LINE: Final = re.compile(
    rb"(?=[^A-Za-z0-9]*+[A-Za-z0-9])(?:(?=[A-Za-z_-]*+[0-9+/=])[A-Za-z0-9+/_-]{20,}|[A-Za-z0-9+/_-]{60,})={0,2}"
)
_SHORT_LINE: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})+={0,2}")
_WIDEST: Final = 100
_ROWS: Final = 40
_LARGE: Final = 16 * 1024  # bytes of base64: below it is not worth the trouble
_ENCODED_HEAD: Final = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
_TEXT: Final = 8  # bytes: a text that short says nothing
# More pieces than this are no mail: reading them all would only cost time.
_MAX_PIECES: Final = 10_000
# What programs put round lines: tags, numbers.
_LINE_NOISE: Final = re.compile(rb"<[^<>\r\n]{1,40}>|^[ \t]{0,8}\d{1,5}[:.)\]][ \t]", re.MULTILINE)
_MAX_BY_LINE: Final = 1024 * 1024  # bytes that are decoded line by line as well

_QP_ODD: Final = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)|[ \t]\r?\n|=\r?\n?\Z|\r(?!\n)|(?<!\r)\n")
_QP_PIECE: Final = re.compile(rb"=[ \t]*+(?:\r\n|\r|\n|\Z)|((?:=[0-9A-Fa-f]{2})+)")
_LINE_BLANKS: Final = re.compile(rb"[ \t]++(?=[\r\n]|\Z)")


class Decoded(Struct, frozen=True, kw_only=True):
    """What a body is: as most readers decode it, and as others do. ``clean``: all of them agree.

    ``problem``: "" or what makes readers differ ("base64": content; "tail": only what stands behind the end).
    """

    first: bytes
    others: tuple[tuple[str, bytes], ...] = ()
    clean: bool = True
    problem: str = ""


def encodings(values: list[str]) -> tuple[str, ...]:
    """Return the encodings that the Content-Transfer-Encoding fields name, in order: "base64", "qp", "uu" and so on.

    Case, folds, quotes, comments, controls and words round them do not matter. "" stands for an unknown one.
    """
    found: dict[str, None] = {}
    for value in values:
        found.update(dict.fromkeys(_named(value[:1000])))
    return tuple(found)


@lru_cache(maxsize=128)
def _named(value: str) -> tuple[str, ...]:
    """Return the encodings of one value: outside of comments, else within split words, else anywhere."""
    text = decode_words(value).lower()
    bare = _without_comments(text, " ")
    for reading in (bare, _NOISE.sub("", _without_comments(text, "")), _NOISE.sub("", text)):
        if names := _ANY_NAME.findall(reading):
            return tuple(_NAMES[name] for name in names)
    return (_SHORT.get(bare.strip(" \t\r\n\"';"), ""),)


def is_plain_token(value: str) -> bool:
    """Return whether a field's value is one token and nothing else (RFC 2045 6.1)."""
    return _PLAIN_TOKEN.fullmatch(value.strip(" \t\r\n")) is not None


def decode(body: bytes, named: tuple[str, ...]) -> Decoded:
    """Return what ``body`` decodes to under the encodings that its header names."""
    meant = [name for name in named if name] or ["plain"]
    if meant == ["plain"]:
        return Decoded(first=body, clean=named != ("",))
    results: dict[bytes, str] = {}
    clean, problem = len(meant) == 1, ""
    for name in meant:
        found, good, trouble = _DECODERS[name](body)
        if good and len(meant) == len(found) == 1:
            # Nothing to tell apart: a megabyte is not made a key.
            return Decoded(first=found[0], problem=trouble)
        clean, problem = clean and good, problem or trouble
        for one in found:
            results.setdefault(one, name)
    if not clean:
        results.setdefault(body, "plain")
    (first, _), *others = results.items()
    return Decoded(
        first=first, others=tuple((name, data) for data, name in others), clean=clean, problem=problem
    )


def base64_plain(letters: bytes) -> bytes:
    """Return the bytes of base64 letters without padding; a lone last letter is dropped."""
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def equal_lines(data: bytes, at: int) -> tuple[int, int]:
    """Return of the lines from ``at`` on the first one's length, and how many of that length and with CRLF follow.

    At most 100 bytes long, else (0, 0). Only the places where the line ends should stand are looked at.
    """
    width = data.find(b"\r\n", at, at + _WIDEST + 2) - at
    if width <= 0:
        return 0, 0
    step, count, asked = width + 2, 0, _ROWS
    while True:
        stop = at + asked * step
        returns, feeds = data[at + width : stop : step], data[at + width + 1 : stop : step]
        count = min(len(returns) - len(returns.lstrip(b"\r")), len(feeds) - len(feeds.lstrip(b"\n")))
        if count < asked:
            return width, count
        asked *= 8


def _even(body: bytes) -> bytes | None:
    """Return what base64 of the usual shape is, which every reader decodes to the same; None for any other.

    Lines of one length, which holds whole groups, and a shorter one; no letters but base64's. That much of it comes
    through the library of the second parser, in a tenth of the time. Any other letter makes what comes shorter, or an
    error.
    """
    if len(body) < _LARGE:
        return None
    width, count = equal_lines(body, 0)
    end = count * (width + 2)
    last = body[end:].rstrip(b"\r\n")
    core = last.rstrip(b"=")
    if not width or width % 4 or len(last) > width or len(last) % 4 or len(last) - len(core) > 2:
        return None
    if core.translate(None, ALPHABET):
        return None
    try:
        tree = fast_mail_parser.parse_email_tree(
            b"".join((_ENCODED_HEAD, memoryview(body)[:end], last)), mode="lazy"
        )
        data = tree.content
    except (fast_mail_parser.ParseError, fast_mail_parser.DecodeError, ValueError):
        return None
    expected = (count * width + len(core)) * 3 // 4
    return data if isinstance(data, bytes) and len(data) == expected else None


def _base64(body: bytes) -> tuple[list[bytes], bool, str]:
    if (even := _even(body)) is not None:
        return [even], True, ""
    compact = body.translate(None, _BLANKS)
    core = compact.rstrip(b"=")
    if not core.translate(None, ALPHABET):
        return [base64_plain(core), *_by_line(body)], True, ""
    letters = compact.translate(None, _NOT_BASE64)
    ways = [base64_plain(letters.lstrip(b"=").partition(b"=")[0])]  # stops at padding, ignores junk
    pieces = [piece for piece in _PADS.split(letters, _MAX_PIECES) if piece]
    ways.append(
        b"".join(base64_plain(piece.replace(b"=", b"")) for piece in pieces)
    )  # goes on behind padding
    ways.append(base64_plain(letters.replace(b"=", b"")))  # ignores padding
    url = compact.translate(_URLSAFE).translate(None, _NOT_BASE64)
    ways.append(base64_plain(url.partition(b"=")[0]))
    lines = body.splitlines()
    pure = [
        line.strip()
        for line in lines
        if line.strip() and not line.strip().rstrip(b"=").translate(None, ALPHABET)
    ]
    ways.append(base64_plain(b"".join(pure).partition(b"=")[0]))  # drops the lines that are none
    if len(pure) <= _MAX_PIECES:
        ways.append(b"".join(base64_plain(line.replace(b"=", b"")) for line in pure))  # each line by itself
    if (bare := _LINE_NOISE.sub(b"", body)) != body:
        ways.append(base64_plain(bare.translate(None, _NOT_BASE64).partition(b"=")[0]))
    junk = re.search(rb"[^A-Za-z0-9+/=]", compact)
    if junk:
        ways.append(base64_plain(compact[: junk.start()].replace(b"=", b"")))  # stops at junk
    return ways, False, _base64_problem(body)


def _by_line(body: bytes) -> Iterator[bytes]:
    """Yield what a decoder makes of it that takes every line by itself, where a line is no whole number of groups."""
    lines = [line.strip() for line in body.splitlines()] if len(body) <= _MAX_BY_LINE else []
    if any(len(line) % 4 for line in lines[:-1]):
        yield b"".join(base64_plain(line.translate(None, _BLANKS).rstrip(b"=")) for line in lines)


def _base64_problem(body: bytes) -> str:
    """Tell text behind the end, as mailing lists append it, from what changes the content."""
    end = 0
    for line in body.splitlines(keepends=True):
        stripped = line.strip()
        if stripped.rstrip(b"=").translate(None, ALPHABET):
            break
        end += len(line)
        if stripped.endswith(b"="):
            break
    rest = body[end:]
    lines = [line.strip() for line in rest.splitlines()]
    more = any(_BASE64_LINE.fullmatch(line) for line in lines)
    if not more and not body[:end].strip():
        # A body that is plain text, whatever its field says, has no lines of letters alone.
        more = sum(bool(_SHORT_LINE.fullmatch(line)) for line in lines) > 1 or len(b"".join(lines)) < _TEXT
    return "base64" if more else "tail"


def _quoted_printable(body: bytes) -> tuple[list[bytes], bool, str]:
    plain = binascii.a2b_qp(body)
    if not _QP_ODD.search(body):
        return [plain], True, ""
    lenient = _QP_PIECE.sub(
        lambda found: binascii.unhexlify(found[1].replace(b"=", b"")) if found[1] else b"", body
    )
    stripped = _LINE_BLANKS.sub(b"", body)
    return [lenient, plain, binascii.a2b_qp(stripped)], False, ""


def _uu(body: bytes) -> tuple[list[bytes], bool, str]:
    found = [block.data for block in uuencoded(body)] or uu_bare(body)
    return found or [body], bool(found), ""


def _xx(body: bytes) -> tuple[list[bytes], bool, str]:
    found = [block.data for block in uuencoded(body)] or xx_bare(body)
    return found or [body], bool(found), ""


def _yenc(body: bytes) -> tuple[list[bytes], bool, str]:
    found = [block.data for block in yencoded(body)]
    return found or [body], bool(found), ""


def _binhex(body: bytes) -> tuple[list[bytes], bool, str]:
    found = [block.data for block in binhexed(body)]
    return found or [body], bool(found), ""


def _plain(body: bytes) -> tuple[list[bytes], bool, str]:
    return [body], True, ""


_DECODERS: Final = {
    "base64": _base64,
    "qp": _quoted_printable,
    "uu": _uu,
    "xx": _xx,
    "yenc": _yenc,
    "binhex": _binhex,
    "plain": _plain,
}


def _without_comments(value: str, instead: str) -> str:
    for _ in range(8):
        value, count = _COMMENT.subn(instead, value)
        if not count:
            break
    return value
