"""File names: every reading of the parameters that carry one, the one that most programs show first.

Sources: RFC 2183 2.3, RFC 2231, RFC 2047 (which forbids encoded words there; all programs read them).
"""

import re
import unicodedata
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Final

from .charsets import text_of
from .kinds import extension_of
from .mime_fields import Parameter, bytes_of, decode_words, parameters

_MAX_READINGS: Final = 24
_MAX_NAME: Final = 1000
_MAX_DESCRIPTIONS: Final = 4
_EXTENSION: Final = re.compile(r"\S\.[A-Za-z0-9]{1,8}[\s.]*\Z")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
# Where a program finds a name: RFC 2231 before plain, disposition before type, "name" in both.
_ORDER: Final = {"continued": 0, "extended": 1, "quoted": 2, "plain": 2}


def names_of(dispositions: list[str], types: list[str], descriptions: Sequence[str] = ()) -> tuple[str, ...]:
    """Return all readings of the name that the fields' values give, without repetition, at most 24.

    A Content-Description (RFC 2045 8) is one where no other stands, and where it ends as file names do.
    """
    readings: dict[str, None] = {}
    for values, wanted in ((dispositions, ("filename", "name")), (types, ("name", "filename"))):
        found = [one for value in values for one in parameters(value) if one.name in wanted]
        found.sort(key=lambda one: (wanted.index(one.name), _ORDER[one.form]))
        for one in found:
            for reading in _readings(one):
                if reading:
                    readings.setdefault(reading[:_MAX_NAME])
    if not readings:
        shown = [decode_words(value)[:_MAX_NAME].strip() for value in descriptions[:_MAX_DESCRIPTIONS]]
        readings |= dict.fromkeys(name for name in shown if _EXTENSION.search(name))
    return tuple(readings)[:_MAX_READINGS]


def _readings(one: Parameter) -> Iterator[str]:
    text = text_of(bytes_of(one.value), "utf-8")
    if "=?" in text:
        yield decode_words(text)
    yield text
    if one.form == "plain" and re.search(r"\s", text):
        yield text.split()[0]
    if text[:1] == "'" == text[-1:] and one.form == "plain":
        yield text[1:-1]
    if not text.isascii() and extension_of(wide := unicodedata.normalize("NFKC", text)) != extension_of(text):
        yield wide  # as programs that know no Unicode save it: wide letters and dots become ASCII
    if _PERCENT.search(text):
        yield text_of(urllib.parse.unquote_to_bytes(bytes_of(text)), "utf-8")
    # Within quotes a backslash before the last quote takes that away from its end (RFC 2045 5.1).
    bare = text.rstrip('/\\" \t')
    if bare != text:
        yield bare
    for sign in ("/", "\\"):
        if sign in bare:
            yield bare.rpartition(sign)[2]
