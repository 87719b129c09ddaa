"""Bytes to text: the character sets that mail readers know, and text that hides in another set than it says."""

import codecs
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# The codecs that are character sets of mail. Others (punycode, unicode_escape, idna) are slow or no character sets.
_KNOWN: Final = re.compile(
    r"ascii|utf-?(8|8-sig|7|16|16-le|16-be|32|32-le|32-be)|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rtu]|big5(hkscs)?|"
    r"gb2312|gbk|gb18030|hz|euc_\w+|euc\w+|shift_jis\w*|johab|mac-\w+|tis-620|ptcp154|kz1048|latin.?1"
)
# Names that mail uses and the codecs do not know.
_ALIASES: Final = {
    "unicodefffe": "utf-16-be", "unicode": "utf-16-le", "csunicode": "utf-16-be", "ucs-2": "utf-16-be",
    "iso-10646-ucs-2": "utf-16-be", "iso-10646-ucs-4": "utf-32-be", "ucs-4": "utf-32-be", "csucs4": "utf-32-be",
    "csunicode11utf7": "utf-7", "x-unicode-2-0-utf-7": "utf-7", "x-utf-7": "utf-7", "unicode-2-0-utf-7": "utf-7",
    "x-iso-2022-jp-ms": "iso2022_jp", "cp50220": "iso2022_jp", "cp50221": "iso2022_jp", "cp50222": "iso2022_jp",
    "x-ebcdic-unitedstates": "cp037", "ebcdic-us": "cp037", "ibm1047": "cp037", "cp1047": "cp037",
}  # fmt: skip
# The escapes and shifts of ISO 2022 (ECMA-35 14), which readers of Japanese, Korean and Chinese mail follow unasked.
_SHIFTS: Final = re.compile(rb"\x1b(?:\$[()*+]?|[()*+,./-])[@-Z]|[\x0e\x0f]")
# Where IBM 1047 differs from code page 37: brackets and the caret.
_OF_1047: Final = bytes.maketrans(b"\xad\xbd\x5f\xba\xbb\xb0", b"\xba\xbb\xb0\xad\xbd\x5f")
_USUAL: Final = ("utf-8", "ascii", "iso8859", "cp125")
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


@lru_cache(maxsize=256)
def _codec(name: str) -> str:
    plain = name.strip("\"' \t")
    try:
        found = codecs.lookup(_ALIASES.get(plain.lower(), plain)).name
    except (LookupError, ValueError):
        return ""
    return found if _KNOWN.fullmatch(found) else ""


def is_exotic(name: str) -> bool:
    """Return whether a charset is known here and is none in which ASCII stands as it is."""
    known = _codec(name)
    return bool(known) and not known.startswith(_USUAL)


def transcoded(data: bytes, charset: str) -> Iterator[tuple[str, bytes]]:
    """Yield (set, bytes) of what a text is for a reader that follows its charset or guesses it, as 8-bit bytes.

    UTF-16 and UTF-32 by mark, by charset or by their NULs; UTF-7; ISO 2022, HZ by charset. Nothing for usual text.
    """
    start = data[:_MOST]
    if (b"\x1b" in start or b"\x0e" in start) and (bare := _SHIFTS.sub(b"", start)) != start:
        yield "iso-2022", bare
    names = _sets(data, charset)
    if "1047" in charset:
        start = start.translate(_OF_1047)
    for name in names:
        # The last unit may have lost its last byte, which was NUL.
        unit = 2 if name.startswith("utf-16") else 4 if name.startswith("utf-32") else 1
        text = (start + bytes(-len(start) % unit)).decode(name, "ignore")
        plain = text.encode("latin-1" if text[:64].isascii() else "utf-8", "ignore")
        if plain and plain != data:
            yield name, plain


def _sets(data: bytes, charset: str) -> list[str]:
    """Return the sets in which a text may be, other than those in which ASCII stands as it is."""
    names: dict[str, None] = {}
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        names["utf-32"] = None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        names["utf-16"] = None
    if b"\0" in data[:64]:
        names.update(dict.fromkeys(("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")))
    if data.startswith(b"\xef\xbb\xbf"):
        names["utf-8-sig"] = None
    known = _codec(charset)
    if known and not known.startswith(_USUAL):
        names[known] = None
    if known in {"utf-16", "utf-32"}:
        names.update(dict.fromkeys((f"{known}-le", f"{known}-be")))
    if known != "utf-7" and _UTF7.search(data, 0, _MOST) and _is_utf7(data[:_MOST]):
        names["utf-7"] = None
    return list(names)


def _is_utf7(data: bytes) -> bool:
    """Tell UTF-7 from other text with plus signs: that decodes to rare letters, if at all."""
    try:
        return data.decode("utf-7").isascii()
    except UnicodeError:
        return False
