"""The objects of a PDF, found by their marks and not by its tables, which hostile files break. Pure.

Source: ISO 32000-1 7.3 and 7.5; a reader that cannot use the cross-reference table searches as is done here.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from msgspec import Struct

_GAP: Final = rb"(?:[\0\t\n\f\r ]|%[^\r\n]{0,80}[\r\n])++"
_BEGIN: Final = re.compile(rb"(\d{1,10})" + _GAP + rb"(\d{1,5})" + _GAP + rb"obj\b")
_BODY: Final = re.compile(rb"\bstream(?:\r\n|\n|\r)?|\bendobj\b|\d[\0\t\n\f\r ]+obj\b")
_NAME_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_NAME: Final = re.compile(rb"/[^\0\t\n\f\r ()<>\[\]{}/%]{1,127}")
_STRING_ESCAPE: Final = re.compile(rb"\\(?:([0-7]{1,3})|(\r\n|[\s\S]))")
_ESCAPED: Final = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"b": b"\b",
    b"f": b"\f",
    b"\n": b"",
    b"\r": b"",
    b"\r\n": b"",
}
_PARENTHESIS: Final = re.compile(rb"\\[\s\S]|[()]")
_LENGTH: Final = re.compile(rb"/Length[\0\t\n\f\r ]+(\d{1,10})(?![\0\t\n\f\r ]+\d+[\0\t\n\f\r ]+R)")
_MAX_DICTIONARY: Final = 1 << 20


class Object(Struct, frozen=True, kw_only=True):
    """One object. ``head``: what stands before its stream, names without escapes; ``stream``: None if it has none."""

    number: int
    generation: int
    head: bytes
    stream: bytes | None = None


def objects(data: bytes) -> Iterator[Object]:
    """Yield the objects in the order of the file."""
    at = 0
    while begin := _BEGIN.search(data, at):
        number, generation = int(begin[1]), int(begin[2])
        end = _BODY.search(data, begin.end())
        stop = end.start() if end else len(data)
        head = unescaped(data[begin.end() : min(stop, begin.end() + _MAX_DICTIONARY)])
        stream, at = None, max(stop, begin.end())
        if end and end.group().startswith(b"stream"):
            stream, at = _stream(data, end.end(), head)
        yield Object(number=number, generation=generation, head=head, stream=stream)


def _stream(data: bytes, start: int, head: bytes) -> tuple[bytes, int]:
    """Return a stream's bytes and where they end: by its length if that is borne out, else by the word endstream."""
    said = _LENGTH.search(head)
    if said:
        end = start + int(said[1])
        if data[end : end + 20].lstrip().startswith(b"endstream"):
            return data[start:end], end
    end = data.find(b"endstream", start)
    if end == -1:
        end = data.find(b"endobj", start)
    end = end if end != -1 else len(data)
    return data[start:end], end


def unescaped(head: bytes) -> bytes:
    """Return a dictionary with the escapes in its names undone (7.3.5)."""
    if b"#" not in head:
        return head
    return _NAME.sub(lambda name: _NAME_ESCAPE.sub(lambda hit: bytes((int(hit[1], 16),)), name[0]), head)


def inner_objects(head: bytes, plain: bytes) -> Iterator[Object]:
    """Yield the objects of an object stream (7.5.7) whose data are ``plain``."""
    first = re.search(rb"/First[\0\t\n\f\r ]+(\d{1,9})", head)
    start = int(first[1]) if first else 0
    pairs = [int(number) for number in re.findall(rb"\d{1,10}", plain[:start])]
    places = sorted(zip(pairs[1::2], pairs[::2], strict=False))
    for (at, number), (end, _) in pairwise([*places, (len(plain), 0)]):
        yield Object(number=number, generation=0, head=unescaped(plain[start + at : start + end]))


def strings(head: bytes, key: bytes) -> Iterator[bytes]:
    """Yield the literal and hexadecimal strings that stand directly behind a key."""
    if key not in head:
        return
    pattern, at = re.compile(re.escape(key) + rb"[\0\t\n\f\r ]*(?=[(<])"), 0
    while match := pattern.search(head, at):
        at = match.end()
        if head[at : at + 1] == b"(":
            text, at = literal(head, at)
            yield text
        elif head[at : at + 2] != b"<<":
            end = head.find(b">", at)
            at, begin = (end if end != -1 else len(head)), at
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", head[begin:at])
            yield bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


def literal(head: bytes, start: int) -> tuple[bytes, int]:
    """Return the literal string whose parenthesis opens at ``start`` (7.3.4.2), and where it ends."""
    depth, end = 0, len(head)
    for match in _PARENTHESIS.finditer(head, start):
        depth += {b"(": 1, b")": -1}.get(match.group(), 0)
        if depth == 0:
            end = match.start()
            break
    return _STRING_ESCAPE.sub(_unescape, head[start + 1 : end]), end


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes((int(match[1], 8) & 255,))
    return _ESCAPED.get(match[2], match[2])


def references(head: bytes, key: bytes) -> Iterator[int]:
    """Yield the numbers of the objects to which a key refers, directly or in an array or dictionary behind it.

    ``key`` is a pattern.
    """
    # Most objects have no such key: the pattern is asked only where it may fit.
    if b"R" not in head or (key[1:].isalpha() and key not in head):
        return
    for match in re.finditer(key + rb"\b[\0\t\n\f\r ]*" + _TARGET, head):
        for number in _REFERENCE.findall(match[1]):
            yield int(number)


_REFERENCE: Final = re.compile(rb"(\d{1,10})[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]+R\b")
_TARGET: Final = (
    rb"(<<[^<>]{0,400}>>|\[[^\]]{0,4000}\]|\d{1,10}[\0\t\n\f\r ]{1,9}\d{1,5}[\0\t\n\f\r ]{1,9}R\b)"
)


def filters(head: bytes) -> list[bytes]:
    """Return the names of a stream's filters, in order."""
    match = re.search(rb"/(?:Filter|F)[\0\t\n\f\r ]*(\[[^\]]{0,1000}\]|/[^\0\t\n\f\r ()<>\[\]{}/%]+)", head)
    return [name[1:] for name in _NAME.findall(match[1])] if match else []
