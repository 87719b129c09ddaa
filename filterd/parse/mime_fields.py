"""Header fields as bytes and as text: the lenient reading of a header, parameters, encoded words.

Sources: RFC 5322 3.2 and 4, RFC 2045 5.1, RFC 2047, RFC 2231. Nothing here uses the standard library's header
classes: reading one hostile header through them takes 17 s.
"""

import binascii
import re
import urllib.parse
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from .charsets import text_of

_MAX_HEAD: Final = 128 * 1024  # bytes of one entity's header that the lenient reading looks at
_MAX_KEPT: Final = 16 * 1024  # bytes of a header that is kept to be read again
_MAX_VALUE: Final = 64 * 1024  # characters of one value that are decoded
_MAX_PARAMETERS: Final = 100

# Without the start of the text, which would cost them their speed: that is tried by itself.
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\r(?!\n)|\n)(?:\r\n?+|\n)")
_FIRST_BLANK: Final = re.compile(rb"\r\n?+|\n")
_BLANKISH_LINE: Final = re.compile(rb"[\r\n][ \t]++(?:\r\n?+|\n)")
_FIRST_BLANKISH: Final = re.compile(rb"[ \t]++(?:\r\n?+|\n)")
_BLANK_ENDS: Final = (b" \r", b" \n", b"\t\r", b"\t\n")
_LINE: Final = re.compile(rb"([^\r\n]*+)(\r\n|\r|\n|\Z)")
# "Content-Type : x" and "Content-Transfer-Encoding base64" too; NULs and controls were taken out before.
_FIELD: Final = re.compile(
    rb"([!-9;-~]++)[ \t]*+:[ \t]*+(.*)|(content-[a-z-]++)[ \t]++(.*)", re.IGNORECASE | re.DOTALL
)
_CONTROLS: Final = bytes(set(range(32)) - {9, 10, 13}) + b"\x7f"
_WORD: Final = re.compile(r"=\?([^?\s]{0,75})\?\s?([bBqQ])\s?\?([^?]*+)\?=")
_BETWEEN_WORDS: Final = re.compile(r"(\?=)[ \t\r\n]++(?==\?)")
# RFC 5322 3.4, without comments, groups and routes: whatever else an author may be, he is not plainly one.
_AUTHOR: Final = re.compile(
    r"""(?:(?:"(?:[^"\\]|\\.)*+"|[^"<>@,;:()\\]*+)[ \t]*+<([a-z0-9!#$%&'*+/=?^_`{|}~.-]++@[a-z0-9.-]++)>"""
    r"|([a-z0-9!#$%&'*+/=?^_`{|}~.-]++@[a-z0-9.-]++))"
)
_LIKE_ADDRESS: Final = re.compile(r"""[^\s<>"'(),;@]*+@[^\s<>"'(),;]*+""")
_MAX_COMMENTS: Final = 20  # a parenthesis that stays open is searched to the end
_COMMENT: Final = re.compile(
    r"""(?:(?<=[\s;"])|\A)\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*+\))*+\)(?=[\s;]|\Z)""", re.DOTALL
)
_OPENING: Final = re.compile(r'["(]')
_NOISE: Final = {
    '"': (re.compile(r'"(?:[^"\\]|\\.)*+', re.DOTALL), '"'),
    "(": (re.compile(r"\((?:[^()\\]|\\.)*+", re.DOTALL), ")"),
}
# The look behind keeps it linear: a long token is tried from its first character only.
_PARAMETER: Final = re.compile(r'(?<![^\s=;"(),:<>\\])([^\s=;"(),:<>\\]++)\s*+=\s*+')
_NAMING: Final = frozenset({"filename", "name"})
_GLUED: Final = re.compile(r"[^\s;(]{1,100}")  # what stands right behind the closing quote


class Head(Struct, frozen=True, kw_only=True):
    """The lenient reading of a header: lower-case names and unfolded values; where a body may begin, in bytes."""

    fields: tuple[tuple[str, str], ...]
    bodies: tuple[int, ...]

    def values(self, name: str) -> list[str]:
        """Return the values of all fields of that name."""
        return [value for known, value in self.fields if known == name]


def lenient_head(entity: bytes) -> Head:
    """Read a header as the most forgiving reader would: any line end, blanks before colons, stray lines skipped."""
    window = entity[:_MAX_HEAD]
    strict = _FIRST_BLANK.match(window) or _BLANK_LINE.search(window)
    blankish = _blankish_line(window)
    bodies = [found.end() for found in (strict, blankish) if found]
    stop = strict.end() if strict else len(window)
    fields, behind_fields = (_fields_again if stop <= _MAX_KEPT else _fields)(window[:stop])
    if not bodies or behind_fields < stop - 2:
        bodies.append(behind_fields)
    return Head(fields=fields, bodies=tuple(dict.fromkeys(bodies)))


def _fields(window: bytes) -> tuple[tuple[tuple[str, str], ...], int]:
    """Return the fields, and where the last line ends before which all are fields."""
    fields: list[tuple[str, str]] = []
    at = behind_fields = 0
    stray = False
    while at < len(window) and (line := _LINE.match(window, at)):
        if line.end() == at:
            break
        at = line.end()
        text = line[1].translate(None, _CONTROLS)
        found = _FIELD.match(text.lstrip(b" \t") if not fields else text)
        if found:
            fields.append(
                (
                    (found[1] or found[3]).decode("ascii").lower(),
                    (found[2] or found[4] or b"").decode("latin-1"),
                )
            )
        elif text[:1] in b" \t" and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + text.decode("latin-1"))
        elif text.strip():
            stray = True
        if not stray and text.strip():
            behind_fields = at
    return tuple(fields), behind_fields


# The same header is read for the author, among the pieces and, in a mail that is a file, once more.
_fields_again: Final = lru_cache(maxsize=8)(_fields)


def _blankish_line(window: bytes) -> re.Match[bytes] | None:
    """Return the first line of blanks alone, with its end."""
    last = max(window.rfind(b" "), window.rfind(b"\t")) + len(" \r\n")
    if not any(window.find(end, 0, last) >= 0 for end in _BLANK_ENDS):
        return None
    return _FIRST_BLANKISH.match(window) or _BLANKISH_LINE.search(window, 0, last)


def unfolded(value: str) -> str:
    """Return a value without its folds and without blanks round it."""
    return value[:_MAX_VALUE].replace("\n", "").replace("\r", "").strip(" \t")


def bytes_of(value: str) -> bytes:
    """Return the bytes of a value that the standard library holds with surrogates for its 8-bit characters."""
    return value.encode("utf-8", "surrogateescape")


def readable(value: str) -> str:
    """Return a value, unfolded, encoded words (RFC 2047) decoded, raw 8-bit read as UTF-8 or Latin 1."""
    text = text_of(bytes_of(unfolded(value)), "utf-8")
    return decode_words(text) if "=?" in text else text


def decode_words(text: str) -> str:
    """Return ``text`` with every encoded word decoded, blanks between two words dropped; broken ones stay."""
    if "=?" not in text:
        return text
    joined = _BETWEEN_WORDS.sub(r"\1", text)
    result: list[str] = []
    at = 0
    pending, charset = b"", ""  # a character may be cut between two words of one set
    for found in _WORD.finditer(joined):
        if pending and (found.start() > at or found[1].lower() != charset):
            result.append(text_of(pending, charset))
            pending = b""
        result.append(joined[at : found.start()])
        charset = found[1].partition("*")[0].lower()
        pending += _word_bytes(found[2], found[3])
        at = found.end()
    if pending:
        result.append(text_of(pending, charset))
    result.append(joined[at:])
    return "".join(result)


def _word_bytes(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def plain_author(values: list[str]) -> str:
    """Return the address in From, in lower case: ``values`` is the one field, and nothing else there is like an address.

    Else "": two readers may then take two for the author, and a signature that fits one proves nothing of the other.
    """
    text = unfolded(values[0]).lower() if len(values) == 1 else ""
    found = _AUTHOR.fullmatch(text)
    if found is None:
        return ""
    address = found[1] or found[2]
    # The shown name is decoded as well: some readers look for an address there.
    shown = _LIKE_ADDRESS.findall(text) + _LIKE_ADDRESS.findall(readable(values[0]).lower())
    return address if {one.removesuffix(".") for one in shown} == {address} else ""


class Parameter(Struct, frozen=True, kw_only=True):
    """One reading of one parameter: lower-case name without RFC 2231's stars, value, how it was written.

    ``form``: "plain", "quoted", "extended" (name*=), "continued" (name*0=).
    """

    name: str
    value: str
    form: str


def parameters(value: str) -> list[Parameter]:
    """Return all readings of all parameters behind a field's first semicolon, in order, RFC 2231 ones joined."""
    plain: list[Parameter] = []
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, text, quoted in _raw_parameters(value):
        base, star, rest = name.partition("*")
        if not star:
            plain.append(Parameter(name=base, value=text, form="quoted" if quoted else "plain"))
        elif not rest:
            plain.append(Parameter(name=base, value=_extended(text), form="extended"))
        elif rest.rstrip("*").isdecimal() and len(rest) < 6:  # RFC 2231: sections are few
            pieces.setdefault(base, {})[int(rest.rstrip("*"))] = text, rest.endswith("*")
    joined = [
        Parameter(name=base, value=_continued(numbered), form="continued")
        for base, numbered in pieces.items()
    ]
    return plain + joined


def _raw_parameters(value: str) -> Iterable[tuple[str, str, bool]]:
    """Yield (lower-case name, value, was it quoted) as they are written, wherever in the value they stand."""
    text = unfolded(value)
    at = 0
    for _ in range(_MAX_PARAMETERS):
        found = _PARAMETER.search(text, at)
        if not found:
            return
        name = found[1].lower()
        at = found.end()
        if text[at : at + 1] == '"':
            end = at + 1
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            raw = text[at + 1 : end]
            yield name, re.sub(r"\\(.)", r"\1", raw), True
            if "\\" in raw:
                yield name, raw, True
                # Programs that write paths as they are take no backslash for a sign of quoting.
                yield name, text[at + 1 : text.find('"', at + 1)], True
            if name in _NAMING and (rest := _GLUED.match(text, end + 1)):
                # There are programs, Python's library among them, that take all up to the semicolon.
                yield name, raw + rest[0], True
            at = end + 1
        else:
            end = text.find(";", at)
            raw = text[at : end if end >= 0 else len(text)]
            at += len(raw)
            yield name, raw.strip(), False


def without_comments(value: str) -> str:
    """Return a field's value without the comments that stand between blanks, quotes and semicolons (RFC 2045 5.1).

    What is in parentheses within a word or quotes is no comment to any reader.
    """
    if not 0 < value.count("(") <= _MAX_COMMENTS:
        return value
    return _cut(value, lambda start: _comment_end(value, start))


def without_noise(value: str) -> str:
    """Return a field's value without quoted strings and innermost comments (RFC 5322 3.2.2, 3.2.4)."""
    return _cut(value, None)


def _comment_end(value: str, start: int) -> int:
    found = _COMMENT.match(value, start)
    return found.end() if found else start


def _cut(value: str, comment_end: Callable[[int], int] | None) -> str:
    """Return ``value`` without its comments: a blank each where ``comment_end`` tells where they end, quotes stay.

    Else innermost comments and quotes go without a trace. What stays open is tried once: from every sign of the same
    sort within it, the search would come to the same end.
    """
    kept: list[str] = []
    at, barren = 0, {'"': 0, "(": 0}
    for opening in _OPENING.finditer(value):
        start, sign = opening.start(), opening[0]
        if start < max(at, barren[sign]):
            continue
        if sign == "(" and comment_end is not None:
            if (end := comment_end(start)) > start:
                kept += (value[at:start], " ")
                at = end
            continue
        pattern, close = _NOISE[sign]
        found = pattern.match(value, start)
        end = found.end() if found else start
        if not value.startswith(close, end):
            barren[sign] = end
            continue
        kept.append(value[at : start if comment_end is None else end + 1])
        at = end + 1
    return "".join((*kept, value[at:]))


def _extended(text: str) -> str:
    """Return the text of charset'language'percent-encoded (RFC 2231 4)."""
    charset, _, rest = text.partition("'")
    _, mark, encoded = rest.partition("'")
    if not mark:
        charset, encoded = "", text
    return text_of(urllib.parse.unquote_to_bytes(bytes_of(encoded)), charset or "utf-8")


def _continued(pieces: dict[int, tuple[str, bool]]) -> str:
    """Return the joined pieces of one parameter (RFC 2231 3), in the order of their numbers."""
    ordered = [pieces[number] for number in sorted(pieces)]
    charset = ""
    data = b""
    for number, (text, encoded) in enumerate(ordered):
        rest = text
        if encoded and number == 0 and text.count("'") >= 2:  # charset'language'text
            charset, _, rest = text.split("'", 2)
        data += urllib.parse.unquote_to_bytes(bytes_of(rest)) if encoded else bytes_of(rest)
    return text_of(data, charset or "utf-8")
