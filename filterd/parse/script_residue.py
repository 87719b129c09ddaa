"""How much of a script's data nobody can read: neither words, nor markup, nor code, nor numbers that mean something.

A page that builds a file must hold it somewhere. Whatever code it is in, and in however many pieces: what is left when
everything readable is taken away is large where a file is concealed, and small in an honest page.
"""

import re
import string
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final
from urllib.parse import unquote

from .script_figures import is_foreign, is_language
from .script_letters import base64_of

# Measured on libraries of 0.1 to 5 MB (jQuery, plotly, bokeh, DataTables, Swagger): where a regular expression leads
# the search for texts astray, one character in 500 is left at the most; below a megabyte, 600 in all.
_MAX_LONG: Final = 1024
_MAX_ALL: Final = 4096
SHARE: Final = 256
_LONG: Final = 160  # characters of a text that is looked at by itself
_PIECE: Final = 3  # shorter ones say nothing
_WINDOW: Final = 256
_WORDY: Final = 0.36  # of the characters; base64 has 0.15, code and markup 0.6
_DIGITS: Final = 0.85
_WORD: Final = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}|[^\W\d_a-zA-Z]{2,}")
_NUMERIC: Final = re.compile(r"[\s\d.,:;|/_xXeE+#()\[\]-]*")
_FRACTIONS: Final = re.compile(r"[\s,a-zA-Z-]-?\d*\.\d+[\s,a-zA-Z-]")
_RANGES: Final = re.compile(
    r"(?:\\u[0-9A-Fa-f]{4})++(?:-(?:\\u[0-9A-Fa-f]{4})++)++"
)  # of a regular expression
_OUTLINES: Final = re.compile(r"\sd=[\"'][MmLlHhVvCcSsQqTtAaZz\d\s.,eE+-]*[\"']")  # of pictures (SVG)
_OUTLINE: Final = re.compile(r"(?:[0-9a-f]{4}(?=M))?[MmLlHhVvCcSsQqTtAaZz\d\s.,eE+-]*+")
_COMMAND: Final = re.compile(r"[MLHVCSQTAZ]", re.IGNORECASE)
_INTEGER: Final = re.compile(r"\d++")
_FRACTION: Final = re.compile(r"\.\d")
_KEYWORD: Final = re.compile(
    r"function|return|=>|\bthis\b|\.length|\bvar |null|void 0|color|width|\w{4}=[\"']"
)
_NO_LETTERS: Final = re.compile(r"[^a-zA-Z]+")
_TOKEN: Final = re.compile(r"[0-9A-Za-z]+")
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_ADDRESS: Final = re.compile(r"(?:https?:)?//[^\s\"'<>]{4,2000}|data:(?:image|font|audio|video)/[^\s\"'<>)]+")
_SPREAD: Final = 160  # different values, and steps between them, that are no series of measurements
_MOST: Final = 300
_NUMBERS: Final = 512
_SAMPLE: Final = 8192
# Two letters that stand together in the words of European languages and of programs, nine times in ten.
_LETTERS: Final = (
    "thheineranreonatenndtiesorteofedisitalarsttontngsehaasouiolevecomedehiriroicneearacelichllbemasiomur"
    "caeltalansdifohopeecprnoctusacotiltrlyncetutsssorsunlowageiewheewiemadolrtpowenaulnitsmoowpaimmiaish"
    "irsuidosiviaamficivipligtuevldrympfeblabghtyopwosaayexkefrooavagifapgrodbosprddoucbueiovbyrmepttocfa"
    "efcurnscgidayocrcldugaquueffbaeylsvaumppuauplugohtruugdsltpircrregauckewmubrbiptakpuuirgibtlnykirkys"
    "obmmfuphogmsyeudmbipuboirlgudrhrcctwftwnnuafhunneovorvnfxpgnsmflizoknlmyglawjuoaeqsyslpsjolfnvjenkkn"
    "gsdyhyzeksxtbsikddpyxiziaeoezutzpxuvypxyrxgbbg"
)
_TOGETHER: Final = frozenset(_LETTERS[at : at + 2] for at in range(0, len(_LETTERS), 2))


@lru_cache(maxsize=20_000)
def _is_word(word: str) -> bool:
    if not word.isascii():
        return True
    pairs = [one + other for one, other in pairwise(word.lower())]
    return sum(pair in _TOGETHER for pair in pairs) * 10 >= 7 * len(pairs)


def is_outline(text: str) -> bool:
    """Return whether a text is the outline of a picture or letter (SVG 2, 9.3) with fractions or numbers beyond a byte."""
    if not _OUTLINE.fullmatch(text) or len(_COMMAND.findall(text)) * 40 < len(text):
        return False
    numbers = _INTEGER.findall(text)
    return _FRACTION.search(text) is not None or sum(
        len(one) > 2 and one > "255" for one in numbers
    ) * 5 > len(numbers)


def is_words(text: str) -> bool:
    """Return whether a text is words without anything between them, as names of a program are when they are joined.

    Of base64 half of the letters that stand together stand so in words too; of words nine in ten. Names have few digits
    and capitals; base64 of random bytes has 16 and 40 in a hundred, and that of many zeros is capitals.
    """
    sample = text[:_SAMPLE]
    plain = _NO_LETTERS.sub("", sample)
    if sum(map(str.isdigit, sample)) * 8 > len(sample) or sum(map(str.isupper, plain)) * 3 > len(plain):
        return False
    letters = plain.lower()
    known = sum(one + other in _TOGETHER for one, other in pairwise(letters))
    return known * 10 >= 7 * len(letters) > 0


def is_plainly_readable(text: str) -> bool:
    """Return whether a text is readable, and not for its signs alone: what looks like code says a word of code."""
    return is_readable(text) and (_KEYWORD.search(text) is not None or not _has_signs_of_code(text))


def _has_signs_of_code(text: str) -> bool:
    size = len(text) - text.count(" ")
    signs = sum(map(text.count, "(){}[];=,."))
    return signs * 6 > size or (
        (signs + sum(map(text.count, '":?&|<>*+'))) * 4 > size and sum(map(text.count, '(){}[]"')) * 16 > size
    )


def is_readable(text: str) -> bool:
    """Return whether a text is words for the greater part: of a language, of markup or of a program."""
    size = len(text) - text.count(" ")
    if not size:
        return True
    if _has_signs_of_code(text):
        return True  # code, into which a quotation mark in a regular expression has led
    if is_foreign(text) and not is_language(text):
        return False
    words = _WORD.findall(text)
    if (others := sum(len(word) for word in words if not word.isascii())) > size * _WORDY:
        # Scripts of many letters use few of them often; a code uses all.
        return len(set(text)) < 0.75 * len(text) or others < _WINDOW // 4
    return sum(len(word) for word in words if _is_word(word)) >= _WORDY * size


def unread(pieces: Iterable[str]) -> tuple[int, int]:
    """Return how many characters of these texts are unreadable: in long ones, and in all. Each text counts once."""
    short: dict[str, None] = {}
    long: dict[str, None] = {}
    numeric: list[str] = []
    for text in pieces:
        if (len(text) < _PIECE and text.isalnum()) or _NUMERIC.fullmatch(text):
            numeric.append(text)  # however often: bytes repeat
        else:
            (long if len(text) >= _LONG else short)[text] = None
    longs = sum(len(one) for text in long for one in _unreadable(text))
    shorts = sum(map(len, _unreadable(" ".join(short))))
    digits = " ".join(one for one in numeric if not _FRACTIONS.search(one))
    in_numbers = len(digits) if _is_code_of_numbers(digits) else 0
    return longs + in_numbers, longs + in_numbers + shorts


def foreign_data(pieces: Iterable[str]) -> str:
    """Return what a text is of letters beyond ASCII that is no language, or "" if there is none."""
    found = (one for one in pieces if is_foreign(one[:_SAMPLE]) and not is_language(one[:_SAMPLE]))
    return next((f"{len(one)} letters of no language" for one in found), "")


def conceals(pieces: Iterable[str], explained: int, size: int) -> str:
    """Return what a script of ``size`` characters with these texts conceals, or "".

    ``explained``: characters that were decoded to something of a known kind.
    """
    long, whole = (max(0, count - explained) for count in unread(pieces))
    if long > _MAX_LONG + size // SHARE or whole > _MAX_ALL + size // SHARE:
        return f"{whole} characters of texts and numbers that nothing decodes"
    return ""


def _unreadable(text: str) -> Iterator[str]:
    """Yield the stretches of a text that are not readable."""
    plain = unquote(text) if text.count("%") * 20 > len(text) else text
    plain = _OUTLINES.sub(" ", plain) if "d=" in plain else plain
    plain = _RANGES.sub(" ", plain) if "\\u" in plain else plain
    plain = _ADDRESS.sub(" ", plain) if "//" in plain or "data:" in plain else plain
    for at in range(0, len(plain), _WINDOW):
        stretch = plain[at : at + _WINDOW]
        if len(stretch) > _WINDOW // 4 and not is_readable(stretch) and not _explains_itself(stretch):
            yield stretch


def _explains_itself(stretch: str) -> bool:
    """Return whether the greater part is readable once base64 is undone, or is numbers that mean something."""
    explained = sum(len(one) for one in _ENCODED.findall(stretch) if is_plain(base64_of(one)))
    return explained * 2 > len(stretch) or _are_measures(stretch)


def _are_measures(stretch: str) -> bool:
    """Return whether a stretch is numbers with signs between them, as the outlines of pictures and tables are.

    Bytes in digits are not: they have no fractions, and all the values that there are.
    """
    digits, signs = sum(map(stretch.count, string.digits)), sum(map(stretch.count, " .,-+"))
    if digits < 0.35 * len(stretch) or signs < 0.12 * len(stretch):
        return False
    tokens = _TOKEN.findall(stretch)
    whole = [one for one in tokens if len(one) in {2, 3, 8}]
    return (
        bool(_FRACTIONS.search(stretch))
        or len(whole) < 0.9 * len(tokens)
        or len(set(tokens)) < len(tokens) // 2
    )


def is_plain(data: bytes) -> bool:
    """Return whether bytes are readable text."""
    try:
        text = data.decode("utf-8", "strict" if len(data) < _LONG else "ignore")
    except UnicodeDecodeError:
        return False
    return text.isprintable() and is_readable(text)


def _is_code_of_numbers(text: str) -> bool:
    """Return whether numbers in a text, to whatever base, are bytes that look ciphered or packed."""
    tokens = re.findall(r"[0-9A-Fa-f]+", text)
    if len(text) >= _MAX_LONG and len(tokens) * 40 < len(text):
        return True  # an unbroken row of digits
    if len(tokens) < _NUMBERS:
        return False
    return any(
        are_opaque(values) for values in ([_number(one, base) for one in tokens] for base in (2, 10, 16))
    )


def _number(token: str, base: int) -> int:
    try:
        return int(token[:12], base)
    except ValueError:
        return 0


def are_opaque(values: list[int]) -> bool:
    """Return whether numbers are as many and as different as ciphered bytes, and no series of measurements."""
    values = values[:_SAMPLE]
    if len(values) < _NUMBERS or not _SPREAD <= len(set(values)) <= _MOST:
        return False
    return len({after - before for before, after in pairwise(values)}) >= _SPREAD
