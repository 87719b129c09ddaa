"""Reads XML as text and tags, however they are spelled: any prefix, either quote, blanks, references, any encoding.

Source: XML 1.0 2.3, 3.1, 4.3.3 and appendix F; Namespaces in XML 3. Broken XML is read as far as it goes: programs
that repair a document do the same.
"""

import codecs
import html
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct

from .charsets import text_of

_ATTRIBUTE: Final = re.compile(
    r"(?<![^\s\"'<>/=])([^\s=<>\"'/]++)\s*+=\s*+(?:\"([^\"<]*+)|'([^'<]*+))", re.DOTALL
)
_MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8"),
)
_PATTERNS: Final = (
    (re.compile(rb"[\t\r\n ]*+<\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0[\t\r\n <]"), "utf-32-be"),
    (re.compile(rb"[\t\r\n <]\0"), "utf-16-le"),
    (re.compile(rb"\0[\t\r\n <]"), "utf-16-be"),
    # EBCDIC: "<?xm" and what else may begin a document.
    (re.compile(rb"[\x05\x0d\x25\x40]*+\x4c\x6f\xa7\x94"), "cp037"),
)
_DECLARED: Final = re.compile(rb"\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})", re.IGNORECASE)


class Element(Struct, frozen=True, kw_only=True):
    """One start or end tag. ``name`` has no prefix; ``end``: where the tag ends in the text."""

    name: str
    closes: bool
    attributes: dict[str, str]
    end: int


def elements(text: str, *names: str) -> Iterator[Element]:
    """Yield the tags of those names without regard to prefixes, in order; attributes without prefixes and references."""
    for found in _tags(names).finditer(text):
        yield Element(name=found[2], closes=bool(found[1]), attributes=attributes(found[3]), end=found.end())


def attributes(tag: str) -> dict[str, str]:
    """Return the attributes within a tag: names without prefixes, values with their references written out."""
    return {
        found[1].rpartition(":")[2]: html.unescape(found[2] if found[2] is not None else found[3] or "")
        for found in _ATTRIBUTE.finditer(tag)
    }


@lru_cache(maxsize=32)
def _tags(names: tuple[str, ...]) -> re.Pattern[str]:
    # No tag goes on behind the next "<", which keeps the search linear.
    return re.compile(
        rf"<\s*+(/?)\s*+(?:[^\s<>/:\"'=]++:)?({'|'.join(map(re.escape, names))})(?=[\s/>])"
        r"((?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+'|[\"'])*+)>?"
    )


def decoded(data: bytes) -> tuple[str, bool]:
    """Return an XML file as text, and whether it could be decoded: by its mark, its NULs, or what it declares."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _text(data[len(mark) :], codec)
    for pattern, codec in _PATTERNS:
        if pattern.match(data):
            return _text(data, codec)
    declared = _DECLARED.match(data)
    if declared is None:
        return _text(data, "utf-8")
    name = declared[1].decode("ascii", "replace")
    try:
        known = codecs.lookup(name).name
    except LookupError:
        return text_of(data, "utf-8"), False
    if known.startswith(("utf-16", "utf-32")):  # what is read here as ASCII is not that
        known = "utf-8"
    return text_of(data, known), True


def _text(data: bytes, codec: str) -> tuple[str, bool]:
    text = data.decode(codec, "replace")
    # A broken letter is one thing, noise another.
    return text, text.count("\ufffd") * 10 <= len(text)
