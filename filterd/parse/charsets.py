"""Bytes to text: the character sets that mail readers know, and text that hides in another set than it says."""

import codecs
import re
from collections.abc import Iterator
from typing import Final

# The codecs that are character sets of mail. Others (punycode, unicode_escape, idna) are slow or no character sets.
_KNOWN: Final = re.compile(
    r"ascii|utf-?(8|8-sig|7|16|16-le|16-be|32|32-le|32-be)|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rtu]|big5(hkscs)?|"
    r"gb2312|gbk|gb18030|hz|euc_\w+|euc\w+|shift_jis\w*|johab|mac-\w+|tis-620|ptcp154|kz1048|latin.?1"
)
_UTF7: Final = re.compile(rb"\+[A-Za-z0-9+/]{3,}-?")
_MOST: Final = 4 * 1024 * 1024  # bytes of one text that are read in another set


def text_of(data: bytes, charset: str) -> str:
    """Return the text of ``data``. An unknown or wrong charset is read as UTF-8, else as Windows' Latin 1."""
    for name in (charset, "utf-8"):
        if known := _codec(name):
            try:
                return data.decode(known)
            except (UnicodeError, ValueError):
                continue
    return data.decode("cp1252", "replace")


def _codec(name: str) -> str:
    try:
        found = codecs.lookup(name.strip("\"' \t")).name
    except (LookupError, ValueError):
        return ""
    return found if _KNOWN.fullmatch(found) else ""


def transcoded(data: bytes, charset: str) -> Iterator[tuple[str, bytes]]:
    """Yield (set, bytes) of what a text is for a reader that follows its charset or guesses it, as 8-bit bytes.

    UTF-16 and UTF-32 by mark, by charset or by their NULs; UTF-7; ISO 2022, HZ by charset. Nothing for usual text.
    """
    head = data[:64]
    names: dict[str, None] = {}
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        names["utf-32"] = None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        names["utf-16"] = None
    if b"\0" in head:
        names.update(dict.fromkeys(("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")))
    if data.startswith(b"\xef\xbb\xbf"):
        names["utf-8-sig"] = None
    known = _codec(charset)
    if known and not known.startswith(("utf-8", "ascii", "iso8859", "cp125")):
        names[known] = None
    if known != "utf-7" and _UTF7.search(data, 0, _MOST) and _is_utf7(data[:_MOST]):
        names["utf-7"] = None
    for name in names:
        text = data[:_MOST].decode(name, "ignore")
        plain = text.encode("latin-1" if text[:64].isascii() else "utf-8", "ignore")
        if plain and plain != data:
            yield name, plain


def _is_utf7(data: bytes) -> bool:
    """Tell UTF-7 from other text with plus signs: that decodes to rare letters, if at all."""
    try:
        return data.decode("utf-7").isascii()
    except UnicodeError:
        return False
