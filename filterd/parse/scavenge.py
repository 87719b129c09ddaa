"""Files that hide in text, whatever MIME says: base64 without a label, uuencode, yEnc, BinHex, MIME behind text.

Some program or patient user takes each of these out. What is found is offered to the virus engine like any leaf.
"""

import bisect
import hashlib
import itertools
import re
import string
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from .charsets import transcoded
from .harvest import Content, Harvest
from .kinds import kind_of
from .mime_chunks import PASSAGE, Found, chunks
from .text_encodings import binhexed, uuencoded, yencoded
from .transfer import base64_plain, decode

# The kinds whose openers look for hidden files (openers.py): their bodies need no second look.
OPENED_AS_TEXT: Final = frozenset({"text", "html", "svg", "xml", "script", "url", "mail", "mbox", "pgp"})
_LEAST: Final = 60  # letters of base64: the EICAR test file has 92
_SURE: Final = 2048  # decoded bytes: so many are no key or signature, and are offered whatever they look like
_MAX_SHIFTED: Final = 64 * 1024
_MAX_GUESSED: Final = 4 * 1024 * 1024  # bytes of a text that is decoded on suspicion
# In text whose line ends are LF and which begins with one: a literal first, so that the search is fast; possessive
# throughout, so that it is linear. A line of base64 and nothing else, indented or quoted:
_LINE: Final = rb"(?:- |[ \t>|]){0,8}+[A-Za-z0-9+/_-]++={0,2}+[ \t]*+(?=\n|\Z)"
_RUN: Final = re.compile(rb"\n" + _LINE + rb"(?:\n(?:[ \t]*+\n)*+" + _LINE + rb")*+")
# One long word is found faster in the shape of a text: letters of base64 all alike, the rest blank.
_SHAPE: Final = bytes(
    0x61 if chr(one) in f"{string.ascii_letters}{string.digits}+/_-" else 0x20 for one in range(256)
)
_LONG_WORD: Final = b"a" * _LEAST
_HALF_A_WORD: Final = b"a" * (_LEAST // 2)
_WHOLE_LINE: Final = re.compile(rb"\n[ \t]*+[A-Za-z0-9+/]++={0,2}+[ \t]*+\n")
_START: Final = 4096  # in most texts there are enough letters here
_PADDED: Final = re.compile(rb"={0,2}+")
_SPACED: Final = re.compile(rb"\n[ \t]{0,8}+(?:[A-Za-z0-9+/]{4}[ \t]++){6,}+[A-Za-z0-9+/=]*+[ \t]*+(?=\n|\Z)")
# Base64 that begins within a line, as in vCard, calendars and XML, and goes on over whole lines.
_MIDWAY: Final = re.compile(
    rb"[]:>,;\"'=([]([ \t]*+[A-Za-z0-9+/]{8,}+={0,2}+(?:[ \t]*+\n[ \t]*+[A-Za-z0-9+/]++={0,2}+)++)"
)
_NO_KIND: Final = frozenset({"unknown", "text", "empty"})
# How files begin that matter even where the rest of them is broken.
_MAGICS: Final = (
    b"PK", b"MZ", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"Rar!", b"\xd0\xcf\x11\xe0", b"%PDF", b"{\\rt", b"MSCF", b"\x7fELF",
    b"\xfd7zXZ", b"ITSF", b"L\0\0\0\x01\x14", b"CWS", b"FWS", b"ZWS", b"\xca\xfe\xba\xbe", b"\x28\xb5\x2f\xfd", b"\x60\xea",
    b"\x78\x9f\x3e\x22", b"dex\n", b"\xe4\x52\x5c\x7b", b"!<arch>", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xff\xfe", b"\xfe\xff",
    b"\0\0\xfe\xff", b"\x78\x9c", b"\x78\xda", b"ISc(", b"SZDD", b"xar!", b"07070", b"\x89PNG", b"GIF8", b"\xff\xd8\xff",
)  # fmt: skip
_JSON: Final = re.compile(rb"\\(?<=[A-Za-z0-9+\"]\\)(?:/|u00|[rn])[A-Za-z0-9+/\\\"]")
_JSON_BREAK: Final = re.compile(rb"\\[rn]")
_JSON_SIGN: Final = re.compile(rb"\\u00([2-7][0-9A-Fa-f])")
_LETTERS: Final = re.compile(rb"[A-Za-z0-9+/_=-]++")
_URLSAFE: Final = bytes.maketrans(b"-_", b"+/")
# Four of them; the first is written out, as a pattern is found faster that begins with a letter.
_QP_SIGN: Final = rb"=(?:[0-9A-Fa-f]{2}|[ \t]*\r?\n)[^=]{0,200}+"
_QP_SIGNS: Final = re.compile(_QP_SIGN + rb"(?:" + _QP_SIGN + rb"){3}")
_PRINTABLE: Final = string.printable.encode()
_EMPTY_LINES: Final = re.compile(rb"\n(?:[ \t]*+\n)++")
_PADS: Final = re.compile(rb"=+")
_MAX_PIECES: Final = 1000
_FIRST_NUMBER: Final = 2001


class Span(Struct, frozen=True, kw_only=True):
    """Where a leaf's body stands in the message. ``done``: it is clean base64, and nothing else can be in it."""

    start: int
    end: int
    path: str
    done: bool


def open_text(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what hides in a text (opener of the kinds that are text)."""
    for name, data in transcoded(content.data, content.charset):
        harvest.budget.take_bytes(len(data))
        yield content.inner(1, data, f"charset {name}", name=content.name, claimed=content.claimed)
    yield from scavenge(content.data, content, harvest)


def scavenge(
    data: bytes,
    content: Content,
    harvest: Harvest,
    spans: Iterable[Span] = (),
    handled: set[tuple[bytes, tuple[str, ...]]] | None = None,
) -> Iterator[Content]:
    """Yield what is found in ``data`` (a whole message or any text), with the path of the part it stands in.

    ``spans`` say where the parts are, ``handled`` which bodies were decoded already. ``content`` is what the
    bytes belong to: it gives path and depth.
    """
    if "!" in content.path and not harvest.budget.has_room_for_text(len(data)):
        # The engines see it as it is; no program decodes what stands in the logs of an archive. Of texts that mail
        # readers show, all are searched.
        harvest.note("limit.text", None, "text inside of containers")
        return
    placed = sorted((span for span in spans if span.end > span.start), key=lambda span: span.start)
    known: set[tuple[bytes, tuple[str, ...]]] = {(data, ())} if handled is None else handled
    # Whole messages are cut into parts first, and what was quoted-printable is so once.
    guess = handled is None and content.via != "quoted-printable"
    found = _all(data, placed, known, harvest, guess_quoted=guess, whole=handled is not None)
    yield from offered(found, content, placed, harvest)


def _all(
    data: bytes,
    spans: list[Span],
    handled: set[tuple[bytes, tuple[str, ...]]],
    harvest: Harvest,
    *,
    guess_quoted: bool,
    whole: bool,
) -> Iterator[Found]:
    yield from chunks(data, handled, harvest.budget, whole=whole)
    at = 0
    for start, end in [*((span.start, span.end) for span in spans if span.done), (len(data), len(data))]:
        if start - at >= _LEAST or (start > at and b"=ybegin" in data[at:start]):
            yield from _codes(data[at:start], at, harvest)
        at = max(at, end)
    if guess_quoted and len(data) <= _MAX_GUESSED and _QP_SIGNS.search(data):
        decoded = decode(data, ("qp",))
        for one in (decoded.first, *(other for via, other in decoded.others if via == "qp")):
            yield Found(start=0, data=one, via="quoted-printable")


def holds_files(text: bytes, harvest: Harvest) -> bool:
    """Return whether a text holds anything that is a file in disguise."""
    return any(True for _ in _codes(text, 0, harvest))


def _codes(text: bytes, at: int, harvest: Harvest) -> Iterator[Found]:
    """Yield what a stretch of text holds; ``at`` is where it stands in the whole."""
    harvest.budget.take_text(len(text))
    for block in (*uuencoded(text), *(yencoded(text) if b"=ybegin" in text else ())):
        yield Found(start=at + block.start, data=block.data, via=block.via, names=(block.name,))
    # Every byte keeps its place.
    lines = b"\n" + text.replace(b"\r\n", b" \n").replace(b"\r", b"\n")
    harvest.budget.take_time()
    for block in binhexed(lines):
        yield Found(start=at + block.start, data=block.data, via=block.via, names=(block.name,))
    for reading in (lines, _without_escapes(lines)) if _JSON.search(text) else (lines,):
        shape = reading.translate(_SHAPE)
        if shape.count(b"a", 0, _START) >= _LEAST or shape.count(b"a") >= _LEAST:
            yield from _runs(reading, shape, at, harvest)


def _without_escapes(text: bytes) -> bytes:
    """Return a text with the escapes of JSON (RFC 8259 7) that stand among letters of base64 undone."""
    plain = _JSON_BREAK.sub(b"", text.replace(b"\\/", b"/"))
    return _JSON_SIGN.sub(lambda found: bytes((int(found[1], 16),)), plain)


def _runs(lines: bytes, shape: bytes, at: int, harvest: Harvest) -> Iterator[Found]:
    """Yield what the runs of base64 letters in ``lines`` decode to."""
    for run in itertools.chain(_RUN.finditer(lines), _SPACED.finditer(lines)):
        if run.end() - run.start() > _LEAST:
            harvest.budget.take_time()
            for data in _base64(run[0].strip(b"\n")):
                yield Found(start=at + run.start(), data=data, via="base64")
    midway = _MIDWAY.finditer(lines) if _may_be_midway(lines, shape) else ()
    words = itertools.chain((found.span(1) for found in midway), _long_words(lines, shape))
    for start, end in words:
        if end - start >= _LEAST and not _is_line(lines, start, end):
            harvest.budget.take_time()
            for data in _stretch(lines[start:end], set(), shifted=False):
                yield Found(start=at + start - 1, data=data, via="base64")


def _may_be_midway(lines: bytes, shape: bytes) -> bool:
    """Return whether 60 letters that go on from line to line can be there: half of them in one word, or whole lines."""
    return _HALF_A_WORD in shape or _WHOLE_LINE.search(lines) is not None


def _long_words(lines: bytes, shape: bytes) -> Iterator[tuple[int, int]]:
    """Yield where words of 60 letters of base64 and more stand, with their padding."""
    end = 0
    while (start := shape.find(_LONG_WORD, end)) != -1:
        end = shape.find(b" ", start)
        end = end if end != -1 else len(shape)
        padding = _PADDED.match(lines, end) if lines.startswith(b"=", end) else None
        yield start, padding.end() if padding else end


def _is_line(lines: bytes, start: int, end: int) -> bool:
    """Return whether a word is a whole line: then it was looked at with the lines around it."""
    if lines[end : end + 1] not in b" \n":
        return False
    before = lines[max(0, start - 9) : start]
    return before.endswith(b"\n") or not before.rpartition(b"\n")[2].strip(b" \t>|")


def _base64(run: bytes) -> Iterator[bytes]:
    """Yield what a run of letters decodes to, where that can be a file: all of it, paragraphs, padded pieces."""
    run = run.replace(b"\n- ", b"\n").removeprefix(b"- ") if b"- " in run else run
    whole = b"\n".join(line for line in run.split(b"\n") if b"--" not in line) if b"--" in run else run
    paragraphs = _EMPTY_LINES.split(whole, maxsplit=_MAX_PIECES)
    done: set[bytes] = set()
    for stretch in dict.fromkeys((whole, *paragraphs)):
        yield from _stretch(stretch, done)
    if not done:
        # A line of one word may stand before it without an empty line.
        for stretch in dict.fromkeys((whole, *paragraphs[:20])):
            yield from _stretch(stretch.partition(b"\n")[2], done)


def _stretch(stretch: bytes, done: set[bytes], *, shifted: bool = True) -> Iterator[bytes]:
    words = b"".join(_LETTERS.findall(stretch)).translate(_URLSAFE)
    pieces = [piece for piece in _PADS.split(words, maxsplit=_MAX_PIECES) if piece.strip(b"=")]
    if sum(map(len, pieces)) < _LEAST:
        return
    decoded = [base64_plain(piece.replace(b"=", b"")) for piece in pieces]
    candidates = [b"".join(decoded), *decoded[:20]]
    files = [data for data in dict.fromkeys(candidates) if _is_plausible(data)]
    if shifted and len(words) <= _MAX_SHIFTED and not files:
        # Something may stand before it without a gap: three other places to begin remain.
        files = [data for shift in (1, 2, 3) if _is_plausible(data := base64_plain(pieces[0][shift:]))]
    for data in files:
        if data not in done:
            done.add(data)
            yield data


def _is_plausible(data: bytes) -> bool:
    """Tell a file from a key, a signature or the rest of a link, which are base64 as well."""
    if len(data) >= _SURE:
        return True
    if len(data) < _LEAST // 2:
        return False
    if len(data.translate(None, _PRINTABLE)) * 8 < len(data) or not any(data[1:32:2]) or not any(data[:32:2]):
        return True
    return data.startswith(_MAGICS) or kind_of(data) not in _NO_KIND


def offered(
    found: Iterable[Found], content: Content, spans: list[Span], harvest: Harvest
) -> Iterator[Content]:
    """Yield as contents what was found and is not a leaf yet, each with the path of the part that it stands in."""
    starts = [span.start for span in spans]
    known: set[str] | None = None
    number = _FIRST_NUMBER - 1
    for one in found:
        if not one.data or one.data == content.data:
            continue
        if known is None:
            known = {leaf.digest for leaf in harvest.leaves}
        digest = hashlib.sha256(one.data).hexdigest()
        if digest in known:
            continue
        known.add(digest)
        harvest.budget.take_entry()
        harvest.budget.take_bytes(len(one.data))
        number += 1
        place = bisect.bisect_right(starts, one.start) - 1
        path = spans[place].path if place >= 0 and one.start < spans[place].end else content.path
        yield Content(
            data=one.data,
            path=f"{path}!{number}",
            names=tuple(name for name in one.names if name),
            claimed=one.claimed,
            via=one.via,
            # What only looks like a part, in a text, is not deeper: a text may speak of many messages.
            depth=content.depth + (one.via != PASSAGE),
        )
