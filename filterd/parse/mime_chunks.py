"""The reading that knows no boundaries: whatever stands between two lines of dashes, if it begins like a MIME part.

A reader may take another boundary than we do, by a second parameter, quotes, comments, a prefix; may go on behind
the end; may overlook that a part is over. All of them cut at lines that begin with two dashes. So do we, at every one.
"""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from .harvest import Budget
from .mime_fields import Head, lenient_head
from .mime_tree import Entity
from .names import names_of
from .transfer import decode, encodings

_LINE_REST: Final = re.compile(rb"([^\r\n]*+)(?:\r\n|\r|\n|\Z)")
_DASHES: Final = re.compile(rb"--")  # sixty times as fast as a pattern that begins with a line's end
# A dash first, which base64 has not and text seldom: what must stand before it is looked at where one was found.
_CONTENT: Final = re.compile(
    rb"-(?<=content-)(?:type|transfer-encoding|disposition)[\x00-\x20:]", re.IGNORECASE
)
_BEFORE_CONTENT: Final = re.compile(rb"(?:\A|[\r\n])[\x00-\x09\x0b\x0c\x0e-\x20]{0,8}+\Z")
_AHEAD: Final = len("content")
_STRETCH: Final = 4096
_LONGEST: Final = 32  # more than any of the names has behind its first dash
_BEFORE: Final = 9  # a line's end and eight controls
_LARGE: Final = 64 * 1024  # bytes: so many are sooner compared than hashed
_HEAD: Final = 16 * 1024  # bytes in which a part's first Content- field stands
_GAPS: Final = (b"\n\n", b"\n\r\n", b"\r\r")  # empty lines
# How a stretch of a text was found that is offered by itself, as it stands: it was searched with the whole text.
PASSAGE: Final = "passage"
_MAX_HOLLOW: Final = 8  # multiparts and mails said to be encoded as a whole, that are decoded


class Found(Struct, kw_only=True):
    """Something found in bytes: where it starts there, how, and what it is. ``names`` and ``claimed`` as in Content."""

    start: int
    data: bytes
    via: str
    names: tuple[str, ...] = ()
    claimed: str = ""


class _Field(Struct, frozen=True):
    """Where a Content- field, with the line end before it, begins, and where its name ends."""

    start: int
    end: int


def _next_field(data: bytes, at: int, stop: int | None = None) -> _Field | None:
    """Return the first Content- field from ``at`` on that MIME knows, at a line's start, behind up to eight controls."""
    stop = len(data) if stop is None else stop
    dash = data.find(b"-", at, stop)
    while dash >= 0:
        # A search for one byte is thirty times as fast as one for a pattern: base64 is passed over by that.
        for found in _CONTENT.finditer(data, dash, min(stop, dash + _STRETCH)):
            name = found.start() - _AHEAD
            if name >= at and (before := _BEFORE_CONTENT.search(data, max(at, name - _BEFORE), name)):
                return _Field(before.start(), found.end())
        if dash + _STRETCH >= stop:
            return None
        dash = data.find(b"-", dash + _STRETCH - _LONGEST, stop)
    return None


def dash_lines(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """Yield (where it starts, what stands behind the dashes, where the next line starts) of lines with two dashes."""
    while (at := data.find(b"-", at)) >= 0 and (dashes := _DASHES.search(data, at)):
        at = dashes.start()
        rest = _LINE_REST.match(data, at + 2)
        if rest is None:
            return
        if at == 0 or data[at - 1] in b"\r\n":
            yield at, rest[1], rest.end()
        at = rest.end()


def chunks(
    data: bytes, handled: set[tuple[bytes, tuple[str, ...]]], budget: Budget, *, whole: bool = True
) -> Iterator[Found]:
    """Yield what the MIME-like pieces of ``data`` decode to. ``handled``: (body, encodings) that are known already.

    ``whole``: this is a message, and no text in which something may look like a part of one.
    """
    start, hollow = 0, 0
    # Pieces without a field are passed over: a text may have a million lines of dashes.
    while field := _next_field(data, max(0, start - 1)):
        budget.take_time()
        start = _last_start(data, start, field.end)
        mark = next(dash_lines(data, start), None)
        piece = data[start : mark[0]] if mark else data[start:]
        # What stands before the first delimiter is the whole's own header, which may be one part's too.
        if field.start - start < _HEAD:
            if mark:
                piece = _without_line_end(piece)
            head = lenient_head(piece)
            if start and whole:
                budget.take_part()
            if _is_described(head) and not (mark and (_holds_parts(head) or _is_plain_mail(head))):
                yield from _piece(piece, start, head, handled, whole=whole)
            if hollow < _MAX_HOLLOW and _is_hollow(head):
                hollow += 1
                yield from _whole(data, start, head)
        yield from _passages(data, start, start + len(piece), handled, budget)
        if mark is None:
            return
        start = mark[2]


def _passages(
    data: bytes, start: int, end: int, handled: set[tuple[bytes, tuple[str, ...]]], budget: Budget
) -> Iterator[Found]:
    """Yield what the paragraphs of a piece, from its second on, hold behind them, if they begin like parts.

    Each reaches to the next such paragraph, so that a text of many is not read again for each of them.
    """
    begin = at = start
    while field := _next_field(data, at, end):
        since, at = at, field.end
        behind = max(data.rfind(gap, since, at) + len(gap) for gap in _GAPS)
        if behind > begin + 1:
            if begin > start:
                budget.take_passage()
                yield from _passage(data[begin:behind], begin, handled)
            begin = behind
    if begin > start:
        yield from _passage(data[begin:end], begin, handled)


def _passage(text: bytes, start: int, handled: set[tuple[bytes, tuple[str, ...]]]) -> Iterator[Found]:
    head = lenient_head(text)
    if _is_hollow(head):
        for found in _whole(text, 0, head):
            found.start = start
            yield found
    elif _is_described(head) and not _holds_parts(head) and not _is_plain_mail(head):
        yield from _piece(text, start, head, handled, whole=False)


def _without_line_end(piece: bytes) -> bytes:
    """Return a piece without the end of its last line, which belongs to the delimiter behind it."""
    if piece.endswith(b"\r\n"):
        return piece[:-2]
    return piece[:-1] if piece.endswith((b"\r", b"\n")) else piece


def _last_start(data: bytes, start: int, end: int) -> int:
    """Return where the piece begins that goes on at ``end``: behind the last line of dashes from ``start`` on."""
    before = max(data.rfind(mark, max(0, start - 1), end) for mark in (b"\n--", b"\r--"))
    if before == -1 and not data.startswith(b"--", start):
        return start
    rest = _LINE_REST.match(data, before + 1 if before != -1 else start)
    return rest.end() if rest else start


def bodies_of(entities: list[Entity]) -> set[tuple[bytes, tuple[str, ...]]]:
    """Return the (body, encodings) of all leaves of a tree."""
    return {(entity.body, entity.encodings) for entity in entities if entity.shape == "leaf"}


def _piece(
    piece: bytes, start: int, head: Head, handled: set[tuple[bytes, tuple[str, ...]]], *, whole: bool
) -> Iterator[Found]:
    named = encodings(head.values("content-transfer-encoding"))
    types = head.values("content-type")
    names = names_of(head.values("content-disposition"), types, head.values("content-description"))
    claimed = _claimed(types)
    for offset in head.bodies:
        body = piece[offset:]
        if not body or _is_handled(body, named, handled):
            continue
        decoded = decode(body, named)
        for data in (decoded.first, *(other for _, other in decoded.others)):
            via = PASSAGE if data == body and not whole else "mime"
            yield Found(start=start + offset, data=data, via=via, names=names, claimed=claimed)


def _is_handled(body: bytes, named: tuple[str, ...], handled: set[tuple[bytes, tuple[str, ...]]]) -> bool:
    """Tell a body that is known, or was cut short by dashes within it: the whole one is known."""
    if len(body) < _LARGE and (body, named) in handled:
        return True
    return any(how == named and known.startswith(body) for known, how in handled)


def _claimed(types: list[str]) -> str:
    return types[0].partition(";")[0].strip().lower()[:100] if types else ""


def _is_described(head: Head) -> bool:
    return any(name.startswith("content-") for name, _ in head.fields)


def _is_hollow(head: Head) -> bool:
    """Tell a multipart that is said to be encoded as a whole, which RFC 2045 6.4 forbids."""
    named = encodings(head.values("content-transfer-encoding"))
    return _holds_parts(head) and any(one not in {"plain", ""} for one in named)


def _is_plain_mail(head: Head) -> bool:
    """Tell an attached message as it should be: its own parts are pieces by themselves."""
    types = head.values("content-type")
    named = encodings(head.values("content-transfer-encoding"))
    return bool(types) and all("message/" in value.lower() for value in types) and {*named} <= {"plain"}


def _holds_parts(head: Head) -> bool:
    types = head.values("content-type")
    return any("multipart" in value.lower() for value in types)


def _whole(data: bytes, start: int, head: Head) -> Iterator[Found]:
    """Yield the decoded rest of ``data``, with the type in front, so that it is read as an entity again."""
    body = data[start + head.bodies[0] :]
    decoded = decode(body, encodings(head.values("content-transfer-encoding")))
    types = "".join(f"Content-Type: {value}\r\n" for value in head.values("content-type")[:4])
    if decoded.first != body:
        yield Found(
            start=start, data=types.encode("latin-1", "replace") + b"\r\n" + decoded.first, via="mime"
        )
