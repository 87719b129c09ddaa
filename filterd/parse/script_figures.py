"""Bytes that a script keeps as letters of other alphabets, or as rows of numbers whatever stands between these.

The number of a letter is its byte and a constant that a script takes away, or that a typed array cuts off by itself.
A letter of language is told from one of data by what people write: common letters, words with an end, their case.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

from .script_letters import base64_of, numbers_as_bytes
from .script_masks import is_recovered, starts_like_a_file, unmasked

_LEAST: Final = 20  # letters or numbers that can be a file
_HEAD: Final = 64  # letters or numbers that are tried before all are
_BYTE: Final = 0xFF
_SPAN: Final = 128  # different letters of base64, moved together
_LEAST_FOREIGN: Final = 60  # letters by which language is told from data
_LONGEST_WORD: Final = 40  # letters: compounds of Finnish, Georgian and German have fewer
_COMMON: Final = 0.8
_NUMBER: Final = r"\d{1,9}+(?:\.\d{1,9}+)*+"
_ROW: Final = re.compile(rf"(?<![\w.]){_NUMBER}(?:[^\w`]{{1,8}}+{_NUMBER}){{4,}}+")
_ONE: Final = re.compile(_NUMBER)
_DIGITS: Final = re.compile(r"\d+")
_FACTORS: Final = (1, 10, 100, 1000, 255, 256)
_MOST_ROWS: Final = 400
_MOST_NUMBERS: Final = 100_000  # of one row with fractions
# First bytes of the rows of common characters in national sets: GB 2312 and JIS X 0208 level 1, Big5 level 1.
_LEVELS: Final = (("gb2312", 0xB0, 0xD7), ("big5", 0xA4, 0xC6), ("euc_jp", 0xB0, 0xCF))
_SPACELESS: Final = ((0xE00, 0xEFF), (0xF00, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF))
_IDEOGRAPHS: Final = (0x3400, 0x9FFF)
_SYLLABLES: Final = (0xAC00, 0xD7A3)


def from_foreign(text: str) -> Iterator[bytes]:
    """Yield the files that a text of letters beyond ASCII is: parts of their numbers, under any mask."""
    signs = [ord(one) for one in text if not one.isascii()]
    if len(signs) < _LEAST:
        return
    units = memoryview("".join(map(chr, signs)).encode("utf-16-le", "surrogatepass")).cast("H").tolist()
    low = [one for one in units if 0xDC00 <= one < 0xE000]
    for values in (
        signs,
        [ord(one) for one in text],
        units,
        low,
        [ord(one) for one in text if not one.isspace()],
    ):
        if len(values) >= _LEAST:
            yield from _files_of(values)
    for order in ("utf-16-le", "utf-16-be"):
        yield from _files(text.encode(order, "surrogatepass"))


def _files_of(values: Sequence[int]) -> Iterator[bytes]:
    yield from _files(bytes(one & _BYTE for one in values))
    yield from _files(bytes(one >> 8 & _BYTE for one in values))
    least, most = min(values), max(values)
    steps = [one - least for one in values]
    for data in numbers_as_bytes(steps):
        yield from _files(data)
    if most - least < _SPAN:
        yield from _moved(bytes(steps))


def _moved(steps: bytes) -> Iterator[bytes]:
    """Yield the files that letters of base64 or digits are, moved together by whatever number."""
    for base in range(128 - max(steps)):
        head = bytes(one + base for one in steps[:_HEAD]).decode("ascii")
        for read in (base64_of, _hexadecimal):
            if starts_like_a_file(read(head)):
                yield from _files(read(bytes(one + base for one in steps).decode("ascii")))


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text[: len(text) // 2 * 2])
    except ValueError:
        return b""


def _files(data: bytes) -> Iterator[bytes]:
    if starts_like_a_file(data) and is_recovered(data):
        yield data
    yield from unmasked(data)


def from_rows(code: str) -> Iterator[bytes]:
    """Yield the files that rows of numbers in a script are: 88.53.79.33, or 0.88 a hundredfold, in texts or not."""
    for number, row in enumerate(_ROW.finditer(code)):
        if number == _MOST_ROWS:
            return
        if "." not in row[0] and '"' not in row[0] and "'" not in row[0]:
            continue  # a plain list: it is read as one anyway
        whole = [int(one) for one in _DIGITS.findall(row[0], 0, 4096)]
        if len(whole) >= _LEAST and max(whole[:_HEAD]) <= _BYTE:
            yield from _files_of_bytes([int(one) for one in _DIGITS.findall(row[0])])
        yield from _from_fractions(_ONE.findall(row[0]))


def _from_fractions(numbers: list[str]) -> Iterator[bytes]:
    """Yield the files that numbers with fractions are: what stands before the point or behind it, or a multiple."""
    if not _LEAST <= len(numbers) <= _MOST_NUMBERS or any(one.count(".") > 1 for one in numbers):
        return
    if not any("." in one for one in numbers):
        return
    exact = [Decimal(one) for one in numbers]
    for factor in _FACTORS:
        yield from _files_of_bytes([round(one * factor) for one in exact])
        yield from _files_of_bytes([int(one * factor) for one in exact])
    yield from _files_of_bytes([int(one.partition(".")[2] or "0") for one in numbers])


def _files_of_bytes(values: list[int]) -> Iterator[bytes]:
    if max(values) <= _BYTE:
        yield from _files(bytes(values))
    else:
        for data in numbers_as_bytes(values):
            yield from _files(data)


def is_foreign(text: str) -> bool:
    """Return whether the letters of a text are beyond ASCII for the greater part, and enough to judge by."""
    if text.isascii():
        return False
    others = sum(not one.isascii() and one.isalpha() for one in text)
    return others >= _LEAST_FOREIGN and others * 2 > sum(map(str.isalpha, text))


def is_language(text: str) -> bool:
    """Return whether a text of letters beyond ASCII is what people write, or a table of letters, and no data.

    Chinese and Japanese use the characters that national sets count among the common ones, Korean those that its set
    has at all; a code takes them as they come. In other scripts words end, and capitals begin them.
    """
    letters = [one for one in text if not one.isascii() and one.isalpha()]
    if sum(one < other for one, other in pairwise(letters)) * 10 > 7 * len(letters):
        return True
    kana = sum(0x3040 <= ord(one) <= 0x30FF for one in letters)
    ideographs = [one for one in letters if _is_in(one, _IDEOGRAPHS)]
    syllables = [one for one in letters if _is_in(one, _SYLLABLES)]
    if len(ideographs) + kana > len(letters) // 2:
        common = sum(map(_is_common, ideographs)) + kana
        return common >= _COMMON * (len(ideographs) + kana)
    if len(syllables) > len(letters) // 2:
        # Two bytes: any others are written in eight, letter by letter (KS X 1001, annex 3).
        return sum(len(one.encode("euc_kr", "ignore")) == 2 for one in syllables) >= _COMMON * len(syllables)
    return _are_words(text)


def _is_in(letter: str, block: tuple[int, int]) -> bool:
    return block[0] <= ord(letter) <= block[1]


def _is_common(letter: str) -> bool:
    firsts = ((letter.encode(name, "ignore")[:1], low, high) for name, low, high in _LEVELS)
    return any(first and low <= first[0] <= high for first, low, high in firsts)


def _are_words(text: str) -> bool:
    if sum(any(_is_in(one, block) for block in _SPACELESS) for one in text) * 2 > len(text):
        return True
    words = re.findall(r"[^\W\d_]+", text)
    wrong = sum(one.islower() and other.isupper() for word in words for one, other in pairwise(word))
    return max(map(len, words)) < _LONGEST_WORD and wrong * 20 < sum(map(len, words))
