"""What a script that builds a file holds in codes of its author's own: every text and list of it, tried in every way."""

import codecs
import itertools
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from .html_payloads import decodings
from .script_alphabets import Alphabets, alphabets_of
from .script_figures import from_foreign, from_rows
from .script_letters import (
    base64_of,
    big_numbers,
    from_invisible,
    from_tokens,
    numbers_as_bytes,
    recovered,
)
from .script_masks import combined, is_recovered, may_be_masked, starts_like_a_file, unmasked
from .script_residue import is_outline, is_plainly_readable, is_words
from .script_sinks import builds
from .script_watch import Watch
from .smuggling import LIBRARY, Constants

_LEAST: Final = 20
_LEAST_OF_LIBRARY: Final = (
    64  # characters: of shorter ones a library has thousands, and no file but a few lines fits
)
_MOST: Final = 400  # texts and lists that are tried: a second's work
_MOST_OF_LIBRARY: Final = 1200
_COLUMNS: Final = range(1, 9)  # letters that stand before each piece
_FEW: Final = 6
_SAMPLE: Final = 4000  # characters by which a text is known as words
_NIBBLE: Final = 16
_MOST_SIGNS: Final = 256
_PAIRS: Final = 64


def reveals_builder(found: Constants, watch: Watch) -> bool:
    """Return whether a script makes a file, though the names of what it calls are in some code."""
    if found.builds:
        return True
    words = " ".join(found.texts)
    if builds(words[::-1]) or builds(codecs.encode(words, "rot13")):
        return True
    short = (one for one in found.texts if len(one) % 4 == 0 or len(one) > _LEAST)
    return any(
        builds(data.decode("latin-1"))
        for one in watch.over(short)
        for data in (*decodings(one, layers=2), base64_of(one[:400]), base64_of(one[:400][::-1]))
    )


def of_invisible(source: str) -> Iterator[bytes]:
    """Yield the files that the invisible characters of a page are."""
    if not source.isascii():
        yield from from_invisible(source)


def of_script(found: Constants, words: Iterable[str], watch: Watch) -> Iterator[bytes | None]:
    """Yield the files in the texts and lists of a script and the ``words`` of its page; None if more is there.

    What the usual codes give is not sought here.
    """
    is_library = len(found.code) >= LIBRARY
    least, tries = (_LEAST_OF_LIBRARY, _MOST_OF_LIBRARY) if is_library else (_LEAST, _MOST)
    alphabets = alphabets_of(found.code, dict.fromkeys((*found.pieces, *found.texts)))
    texts = [one for one in dict.fromkeys((*found.texts, *_long(found.pieces), *words)) if len(one) >= least]
    texts += list(_without_prefixes(found.pieces))
    foreign = (data for text in watch.over(texts) if not text.isascii() for data in from_foreign(text))
    yield from dict.fromkeys(chain(foreign, from_rows(found.code)))
    for source in watch.over(chain(_from_numbers(found, alphabets), map(_Text, texts))):
        if isinstance(source, bytes):
            yield source
            continue
        if not source or _says_itself(source[:_SAMPLE]):
            continue
        if not tries:
            yield None
            return
        tries -= 1
        watch.look()
        yield from recovered(source, alphabets)
    yield from _pairs(found, texts)


def _says_itself(text: str) -> bool:
    """Return whether a text is what it seems: words, joined or not, or the outline of a picture."""
    return is_outline(text) or (is_plainly_readable(text) and (not text.isalnum() or is_words(text)))


class _Text(str):
    """A text that is to be tried."""

    __slots__ = ()


def _long(pieces: list[str]) -> list[str]:
    return [one for one in pieces if len(one) >= _LEAST]


def _without_prefixes(pieces: list[str]) -> Iterator[str]:
    """Yield what pieces of one length are, joined, without what stands before or behind each: numbers, as keys have."""
    rows = [list(run) for _, run in itertools.groupby(pieces, len)]
    for row, following in itertools.pairwise([*rows, [""]]):
        if len(row) < _FEW or len(row[0]) < 2:
            continue
        # The last piece is what was left.
        whole = row + (following[:1] if len(following[0]) < len(row[0]) else [])
        for cut in _COLUMNS:
            for joined in ("".join(one[cut:] for one in whole), "".join(one[:-cut] for one in whole)):
                if starts_like_a_file(base64_of(joined[:48])) or starts_like_a_file(
                    joined[:16].encode("latin-1", "replace")
                ):
                    yield joined


def _from_numbers(found: Constants, alphabets: Alphabets) -> Iterator[bytes | str]:
    """Yield the files that lists of numbers are, and the texts that they are when looked up."""
    lists = {
        *found.lists,
        *chain.from_iterable(numbers_as_bytes(row) for row in found.numbers if len(row) >= _LEAST),
    }
    for data in (*lists, *(one[::-1] for one in lists if found.reverses)):
        if is_recovered(data):
            yield data
        if may_be_masked(data[:_NIBBLE]) or len(lists) < _PAIRS:
            yield from unmasked(data)
    for data in (*chain.from_iterable(map(from_tokens, found.rows)), *big_numbers(found.code)):
        if starts_like_a_file(data) and is_recovered(data):
            yield data
        yield from unmasked(data)
    for numbers in found.numbers if len(found.numbers) < _MOST else ():
        if len(numbers) >= _LEAST and min(numbers) >= 0 and max(numbers) < _MOST_SIGNS:
            for text in dict.fromkeys((*alphabets.texts, *_joined(found.pieces))):
                if max(numbers) < len(text):
                    yield "".join(text[at] for at in numbers)


def _joined(pieces: list[str]) -> list[str]:
    return [one for one in pieces if 8 <= len(one) < _MOST_SIGNS and len(set(one)) * 2 > len(one)][:_PAIRS]


def _pairs(found: Constants, texts: list[str]) -> Iterator[bytes]:
    """Yield the files that two lists or texts of one length make: key and cipher, or the halves of bytes."""
    lists = [bytes(row) for row in found.numbers if min(row) >= 0 and max(row) < _MOST_SIGNS]
    lists += [data for text in texts[:_PAIRS] for data in (base64_of(text), *decodings(text, layers=1))]
    lists += found.lists
    by_size: dict[int, list[bytes]] = {}
    for one in lists:
        by_size.setdefault(len(one), []).append(one)
    for size, row in by_size.items():
        for first, second in itertools.combinations(dict.fromkeys(row[:_FEW]), 2) if size >= _LEAST else ():
            both = [combined(first, second)]
            if max(first) < _NIBBLE and max(second) < _NIBBLE:
                halves = [(first, second), (second, first)]
                both += [bytes(high << 4 | low for high, low in zip(*pair, strict=True)) for pair in halves]
            yield from (data for data in both if starts_like_a_file(data) and is_recovered(data))
