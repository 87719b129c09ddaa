"""The numbers of a script: its lists of them, nested or not, and characters that it writes by their codes."""

import itertools
import re
import sys
from collections.abc import Iterator
from typing import Final

_NUMBER: Final = r"-?(?:0[xX][0-9a-fA-F]{1,8}|0[oO][0-7]{1,3}|0[bB][01]{1,8}|\d{1,10})(?:n|\.0)?"
_NUMBERS: Final = re.compile(rf"(?<![\w.]){_NUMBER}(?:\s*+,\s*+{_NUMBER}){{15,}}+")
_CHAR_CODE: Final = re.compile(
    r"(?:fromCharCode|fromCodePoint|\bchrw?)\s*\(\s*(0[xX][0-9a-fA-F]{1,4}|\d{1,5})\s*\)", re.IGNORECASE
)
_CHARS: Final = re.compile(r"fromCharCode|fromCodePoint|chrw?\s*\(", re.IGNORECASE)
_BRACKETS: Final = re.compile(r"\]\s*,\s*\[")
_ROW: Final = re.compile(rf"(?<![\w.]){_NUMBER}(?:\s*+,\s*+{_NUMBER}){{3,}}+")
_BYTES: Final = frozenset(range(-128, 256))  # signed or not
_MANY: Final = 8  # single characters that make a text


def lists_of(code: str) -> Iterator[bytes]:
    """Yield the lists of numbers of a script as bytes, or as words of two or four bytes; then all of them joined."""
    whole: list[bytes] = []
    words: list[bytes] = []
    for found in _NUMBERS.finditer(code):
        values = values_of(found[0])
        if _BYTES.issuperset(values):
            whole.append(bytes(values) if min(values) >= 0 else bytes(value & 0xFF for value in values))
        elif min(values) >= 0 and max(values) < 1 << 32:
            size = 2 if max(values) < 1 << 16 else 4
            words.append(b"".join(value.to_bytes(size, "little") for value in values))
    yield from whole
    yield from words
    for lists in (whole, words):
        if len(lists) > 1:
            yield b"".join(lists)


def rows_of(code: str) -> Iterator[list[int]]:
    """Yield the lists of numbers, nested ones as one; the shorter ones by themselves and joined."""
    joined = _BRACKETS.sub(",", code)
    rows = [values_of(found[0]) for found in _ROW.finditer(joined)]
    yield from (row for row in rows if len(row) >= _MANY)
    if len(rows) > 1:
        yield list(itertools.chain.from_iterable(rows))


def values_of(row: str) -> list[int]:
    """Return the numbers of a list, commas between them."""
    texts = row.split(",")
    try:
        return list(map(int, texts))
    except ValueError:
        return [value_of(one) for one in texts]


def char_codes(code: str) -> Iterator[bytes]:
    """Yield the text that a script writes in single characters by their codes."""
    if code.count("(") < _MANY or not _CHARS.search(code):
        return
    codes = [value_of(one) for one in _CHAR_CODE.findall(code)]
    if len(codes) >= _MANY:
        text = "".join(chr(min(one, sys.maxunicode)) for one in codes)
        yield bytes(codes) if _BYTES.issuperset(codes) else text.encode("utf-8", "replace")


def value_of(text: str) -> int:
    """Return what a number of a script is, to whatever base."""
    try:
        return int(text)
    except ValueError:
        pass
    text = text.strip().lower().removesuffix("n").removesuffix(".0")
    return int(text, 0) if re.match(r"-?0[xob]", text) else int(text)
