"""Files in plain text: uuencode, xxencode, yEnc, BinHex 4.0. Mail readers show them as attachments without any MIME.

Sources: POSIX uuencode; the yEnc draft 1.3; RFC 1741 appendix A (BinHex). All readers here are lenient: they take
what some decoder takes, and stop without error where the text stops to be of their kind.
"""

import binascii
import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from msgspec import Struct

_BEGIN: Final = re.compile(
    rb"(?:^|(?<=[\r\n]))((?:- |[ \t\x0b\x0c>|]){0,8})begin[ \t]+(?:[0-9]{1,12}[ \t]*)?([^\r\n]{0,300})[^\r\n]*",
    re.IGNORECASE,
)
_FEW: Final = 64  # bytes of text for each such word
_LONGEST_PREFIX: Final = 16
# What a gateway or printer puts between the lines: empty lines, a page's head. These lines end a file.
_MOST_BETWEEN: Final = 5
_STOPS: Final = re.compile(rb"\s*(?:end|begin\b.*|=ybegin.*)\s*", re.IGNORECASE | re.DOTALL)
_LINE: Final = re.compile(rb"(?:\r\n|\r|\n)?([^\r\n]*)")
_QUOTE: Final = re.compile(rb"\A(?:[>|] )+")
_UU_LINE: Final = re.compile(rb"[ -`]{2,}")
_UU_SHORTEST: Final = 2
# A line of uuencode holds 45 bytes, 63 at the most: 84 characters, and what mail adds behind them.
_UU_LONGEST: Final = 100
_XX: Final = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FILLING: Final = range(3)
_BEHIND: Final = range(5)  # characters that may stand behind what the count asks for
_XX_LINE: Final = re.compile(rb"[+\-0-9A-Za-z]{2,100}")
_B64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_UU: Final = bytes(range(0x20, 0x60))
_TO_B64: Final = bytes.maketrans(_XX, _B64)
_UU_TO_B64: Final = bytes.maketrans(_UU[:64] + b"`", _B64 + b"A")

_YBEGIN: Final = re.compile(rb"(?:^|(?<=[\r\n]))=ybegin[ \t]([^\r\n]{0,1000})[^\r\n]*(?:\r\n|\r|\n)")
_YQUOTED: Final = re.compile(rb"(?:\A|(?<=[\r\n]))([ \t>|]{1,8})=ybegin[ \t]")
_YPART: Final = re.compile(rb"=ypart[ \t][^\r\n]*(?:\r\n|\r|\n)")
_YEND: Final = re.compile(rb"(?<=[\r\n])=yend")
_YNAME: Final = re.compile(rb"name=(.*)")
_YNUMBER: Final = re.compile(rb"part=(\d{1,6})")
_MAX_YENC: Final = 2000  # files in one text
_MINUS_42: Final = bytes((byte - 42) % 256 for byte in range(256))

_HQX: Final = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_HQX_BODY: Final = re.compile(rb"\n[ \t>|]{0,8}+:([!-,\-0-9@A-NP-V\[XYZ`a-fhijklmpqr\r\n \t]{60,}+):?")
_HQX_QUOTED: Final = re.compile(rb"\n([>|] ?):[!-,\-0-9@A-NP-V\[XYZ`a-fhijklmpqr]{40}")
# What either of them holds, with a rarer letter first.
_HQX_LIKELY: Final = re.compile(rb":[!-,\-0-9@A-NP-V\[XYZ`a-fhijklmpqr\r\n \t]{40}")
_HQX_TO_B64: Final = bytes.maketrans(_HQX, _B64)
_HQX_DROP: Final = bytes(set(range(256)) - set(_HQX))
_HQX_MOST: Final = 64 * 1024 * 1024  # its runs may grow 85-fold: what would be larger is left encoded


class Block(Struct, frozen=True, kw_only=True):
    """One file found in text: its decoded bytes, the name beside it, where it stands, the code's name."""

    data: bytes
    name: str
    start: int
    end: int
    via: str


def uuencoded(text: bytes) -> Iterator[Block]:
    """Yield the files that stand in ``text`` as uuencode or xxencode, with or without their end."""
    at = 0
    lower = text.lower()
    # A text of nothing but that word is searched faster as a whole.
    search = _BEGIN.search if lower.count(b"begin") * _FEW > len(text) else partial(_next_begin, lower)
    while begin := search(text, at):
        at = begin.end()
        name = begin[2].strip().decode("utf-8", "replace")
        uu, uu_end = _take(text, at, _is_uu, begin[1])
        xx, xx_end = _take(text, at, _is_xx, begin[1])
        readings = [("uuencode", data) for data in _uu_ways(uu)] if uu else []
        if xx:
            readings.append(("xxencode", _xx(xx)))
        end = max(uu_end, xx_end)
        for via, data in readings:
            at = end
            yield Block(data=data, name=name, start=begin.start(), end=end, via=via)


def _next_begin(lower: bytes, text: bytes, at: int) -> re.Match[bytes] | None:
    """Return the first line from ``at`` on with which a file begins; ``lower`` is the text in lower case.

    The word is looked for first: to try the pattern at every line takes a hundred times as long.
    """
    place = lower.find(b"begin", at)
    while place >= 0:
        if lower[place + 5 : place + 6] in {b" ", b"\t"}:
            since = max(0, place - _LONGEST_PREFIX - 1)
            before = text[since:place]
            start = since + max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
            if start >= at and (found := _BEGIN.match(text, start)):
                return found
        place = lower.find(b"begin", place + 5)
    return None


def uu_bare(text: bytes) -> list[bytes]:
    """Return what the lines of ``text`` are as uuencode without ``begin`` and ``end``: no or one or two readings."""
    lines, _ = _take(b"\n" + text, 0, _is_uu)
    return _uu_ways(lines) if lines else []


def xx_bare(text: bytes) -> list[bytes]:
    """Return what the lines of ``text`` are as xxencode without ``begin`` and ``end``: no or one reading."""
    lines, _ = _take(b"\n" + text, 0, _is_xx)
    return [_xx(lines)] if lines else []


def _take(
    text: bytes, at: int, fits: Callable[[bytes], bool], prefix: bytes = b""
) -> tuple[list[bytes], int]:
    """Return the lines from ``at`` on that ``fits`` takes, and where the last of them ends.

    ``prefix`` stood before the first line, and may stand before all. A few other lines may stand between.
    """
    lines: list[bytes] = []
    end, others = at, 0
    while at < len(text) and others <= _MOST_BETWEEN:
        found = _LINE.match(text, at)
        if found is None or found.end() == at:
            break
        at = found.end()
        line = found[1].removeprefix(prefix) if prefix else _QUOTE.sub(b"", found[1])
        if fits(line):
            lines.append(line)
            end, others = at, 0
        elif _STOPS.fullmatch(line) or (line[:1] in b"`+ " and line.strip() and len(line.strip()) == 1):
            break
        else:
            others += 1
    return lines, end


def _is_uu(line: bytes) -> bool:
    """Tell a data line from the end: the count says how much must follow, blanks at the end may be lost."""
    bare = line.rstrip(b" \t")
    if len(bare) < _UU_SHORTEST or len(bare) > _UU_LONGEST or not _UU_LINE.fullmatch(bare):
        return False
    needed = ((bare[0] - 32 & 63) + 2) // 3 * 4
    return needed > 0 and len(bare) - 1 <= needed + 8


def _is_xx(line: bytes) -> bool:
    bare = line.rstrip(b" \t")
    behind = len(bare) - 1 - (_XX.find(bare[:1]) + 2) // 3 * 4
    return bool(_XX_LINE.fullmatch(bare)) and behind in _BEHIND


def _uu_ways(lines: list[bytes]) -> list[bytes]:
    """Return the bytes by the counts, and, where these are wrong, by the lengths of the lines."""
    counted, whole, there = bytearray(), bytearray(), bytearray()
    for line in lines:
        bare = line.rstrip(b" \t")
        count = bare[0] - 32 & 63
        letters = bare[1:].ljust((count + 2) // 3 * 4).translate(_UU_TO_B64)
        data = binascii.a2b_base64(letters[: len(letters) // 4 * 4])
        counted += data[:count]
        # What fills up the last group of three is no content.
        whole += data[:count] if len(data) - count in _FILLING else data
        there += data[: min(count, (len(bare) - 1) * 3 // 4)]
    return [bytes(way) for way in dict.fromkeys(map(bytes, (counted, whole, there)))]


def _xx(lines: list[bytes]) -> bytes:
    data = bytearray()
    for line in lines:
        letters = line[1:].rstrip().translate(_TO_B64)
        data += binascii.a2b_base64(letters[: len(letters) // 4 * 4])[: _XX.find(line[:1])]
    return bytes(data)


def yencoded(text: bytes) -> Iterator[Block]:
    """Yield the files that stand in ``text`` as yEnc; the parts of one file also joined, in order."""
    parts: dict[str, dict[int, bytes]] = {}
    if quoted := _YQUOTED.search(text):
        text = text.replace(b"\n" + quoted[1], b"\n").removeprefix(quoted[1])
    begins = list(itertools.islice(_YBEGIN.finditer(text), _MAX_YENC))
    for begin, following in zip(begins, [*(one.start() for one in begins[1:]), len(text)], strict=False):
        header = _YPART.match(text, begin.end())
        at = header.end() if header else begin.end()
        stop = _YEND.search(text, at, following)
        end = stop.start() if stop else following
        data = _yenc_bytes(text[at:end])
        found = _YNAME.search(begin[1])
        name = found[1].strip().decode("utf-8", "replace") if found else ""
        number = _YNUMBER.search(begin[1])
        if not data:
            continue
        parts.setdefault(name, {})[int(number[1]) if number else len(parts)] = data
        yield Block(data=data, name=name, start=begin.start(), end=end, via="yenc")
    for name, pieces in parts.items():
        if len(pieces) > 1:
            joined = b"".join(pieces[number] for number in sorted(pieces))
            yield Block(data=joined, name=name, start=0, end=0, via="yenc")


def _yenc_bytes(text: bytes) -> bytes:
    first, *escaped = text.replace(b"\r\n..", b"\r\n.").translate(None, b"\r\n").split(b"=")
    decoded = [first.translate(_MINUS_42)]
    for piece in escaped:
        if piece:
            decoded.append(bytes(((piece[0] - 64 - 42) % 256,)))
            decoded.append(piece[1:].translate(_MINUS_42))
    return b"".join(decoded)


def binhexed(text: bytes) -> Iterator[Block]:
    """Yield the forks of the files that stand in ``text`` as BinHex 4.0 (RFC 1741 appendix A)."""
    if not _HQX_LIKELY.search(text):
        return
    text = b"\n" + text
    if quoted := _HQX_QUOTED.search(text):
        text = text.replace(b"\n" + quoted[1], b"\n")
    for found in _HQX_BODY.finditer(text):
        letters = found[1].translate(None, _HQX_DROP).translate(_HQX_TO_B64)
        letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
        packed = binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
        data = _unrun(packed)
        if len(data) < 1 or data[0] > 63 or len(data) < data[0] + 22:  # RFC 1741: the fixed fields
            continue
        at = data[0] + 12
        sizes = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
        at += 10
        name = data[1 : data[0] + 1].decode("mac-roman")
        for size in sizes:
            if fork := data[at : at + size]:
                yield Block(data=fork, name=name, start=found.start(), end=found.end(), via="binhex")
            at += size + 2


def _unrun(packed: bytes) -> bytes:
    """Return the bytes with their runs written out: 0x90 and a count repeat the byte before; 0x90 0 is 0x90."""
    first, *pieces = packed.split(b"\x90")
    data = bytearray(first)
    for piece in pieces:
        count = piece[0] if piece else 0
        if count == 0:
            data.append(0x90)
        elif data:
            data += data[-1:] * (count - 1)
        data += piece[1:]
        if len(data) > _HQX_MOST:
            break
    return bytes(data)
