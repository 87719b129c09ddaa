"""Opens RTF: the objects in it, read as leniently as Word reads hexadecimal digits among other words."""

import re
from collections.abc import Iterator
from typing import Final

from .documents import FETCHED
from .harvest import Content, Harvest
from .ole_objects import object_1, package

_OBJECT: Final = re.compile(
    rb"\\(objdata|datastore|themedata|datafield|svb|pict)(?:-?\d{1,10}|(?![A-Za-z0-9]))", re.IGNORECASE
)
# In the order of precedence: raw bytes, groups to ignore, control words, braces, digits, anything else.
_TOKEN: Final = re.compile(
    rb"\\bin(?P<raw>\d{1,10}) ?|(?P<skip>\{\\\*)|\\'[0-9A-Fa-f]{2}|\\[A-Za-z]{1,64}-?\d{0,10} ?|\\[^A-Za-z]"
    rb"|(?P<open>\{)|(?P<close>\})|(?P<digits>[0-9A-Fa-f]+)|[^\\{}0-9A-Fa-f]+",
)
_DDE: Final = re.compile(
    rb"\\fldinst[^\\{}]{0,40}(?:[\s{}]|\\[a-z]+\d* ?){0,60}dde(?:auto)?\b", re.IGNORECASE
)
_MAX_SHOWN: Final = 4 * 1024 * 1024
_HEAD: Final = 4096
_HTML_TAG: Final = re.compile(rb"\{\\\*\\htmltag\d{0,4} ?")
# Groups that are never shown, without groups in them.
_HIDDEN_GROUP: Final = re.compile(rb"\{\\(?:\*|fonttbl|colortbl|stylesheet|info|pict)[^{}]*+\}")
_WORD: Final = re.compile(rb"\\'([0-9A-Fa-f]{2})|\\([a-z]{1,32})-?\d{0,10} ?|\\([^a-z])|[{}]")
_TEMPLATE: Final = re.compile(rb"\\\*\s*\\template(?![a-z])([^}]{1,20000})", re.IGNORECASE)
_LETTER: Final = re.compile(
    rb"\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})? ?|\\.|.", re.DOTALL
)
_MOST_FALLBACK: Final = 20


def open_rtf(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the objects of an RTF file: as they stand, and the files in them."""
    data, number, at = content.data, 0, 0
    if _DDE.search(data):
        harvest.note("document.dde", content)
    if (template := _TEMPLATE.search(data)) and FETCHED.search(_plain(template[1])):
        harvest.note("document.external-template", content, _plain(template[1])[:100])
    if shown := shown_text(data[:_MAX_SHOWN]):
        harvest.budget.take_bytes(len(shown))
        number += 1
        html = rb"\fromhtml" in data[:_HEAD]
        yield content.inner(number, shown, "rtf", claimed="text/html" if html else "text/plain")
    while match := _OBJECT.search(data, at):
        harvest.budget.take_entry()
        blob, at = _hexadecimal(data, match.end(), harvest)
        harvest.budget.take_bytes(len(blob))
        is_object = match[1].lower() != b"pict"
        for names, inner in _objects(blob, content, harvest, is_object=is_object):
            number += 1
            one = content.inner(number, inner, "rtf")
            one.names = names
            yield one


def shown_text(data: bytes) -> bytes:
    """Return what the file shows as text, or the HTML that it encapsulates ([MS-OXRTFEX] 2.1.3), roughly."""
    text = _HTML_TAG.sub(rb"{", _without_rtf(data)) if rb"\fromhtml" in data[:_HEAD] else data
    text = _HIDDEN_GROUP.sub(b"", text).replace(b"\r", b"").replace(b"\n", b"")
    return _WORD.sub(_shown, text).strip()


def _without_rtf(data: bytes) -> bytes:
    """Return the file without what stands there for readers of RTF alone: from "htmlrtf" to "htmlrtf0"."""
    first, *rest = data.split(rb"\htmlrtf")
    return b"".join((first, *(piece[1:].removeprefix(b" ") for piece in rest if piece[:1] == b"0")))


def _shown(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes((int(found[1], 16),))
    if found[2]:
        return b"\r\n" if found[2] in {b"par", b"line"} else b"\t" if found[2] == b"tab" else b""
    return found[3] or b""


def _plain(text: bytes) -> str:
    """Return the text of a group's words: letters by their numbers, without what stands for readers of one byte."""
    letters: list[str] = []
    at, skipped, fallback = 0, 0, 1  # RTF 1.9.1: \\uN is followed by as many letters as \\ucN said last
    while found := _LETTER.match(text, at):
        at = found.end()
        if found["word"]:
            number = int(found["number"] or 0)
            if found["word"] == b"uc":
                fallback = min(max(number, 0), _MOST_FALLBACK)
            elif found["word"] == b"u":
                letters.append(chr(number & 0xFFFF))
                skipped = fallback
        elif skipped:
            skipped -= 1
        elif found["hex"]:
            letters.append(bytes.fromhex(found["hex"].decode()).decode("latin-1"))
        elif found[0] not in b"\r\n{}":
            letters.append(found[0][-1:].decode("latin-1"))
    # Letters beyond 16 bits are two halves; a half alone is none.
    return "".join(letters).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _hexadecimal(data: bytes, at: int, harvest: Harvest) -> tuple[bytes, int]:
    """Return the bytes that the digits from ``at`` to the end of the group make, and where that is."""
    done, digits, depth, skipped, count = bytearray(), bytearray(), 0, 0, 0
    while token := _TOKEN.match(data, at):
        count += 1
        if count % 4096 == 0:
            harvest.budget.take_time()
        at = token.end()
        if token["close"]:
            depth -= 1
            skipped = skipped if depth >= skipped else 0
            if depth < 0:
                break
        elif token["open"] or token["skip"]:
            depth += 1
            skipped = skipped or (depth if token["skip"] else 0)
        elif token["raw"] is not None:
            end = at + int(token["raw"])
            done += _bytes(digits) + data[at:end]
            digits, at = bytearray(), end
        elif token["digits"] and not skipped:
            digits += token["digits"]
    return bytes(done + _bytes(digits)), at


def _bytes(digits: bytearray) -> bytes:
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))


def _objects(
    blob: bytes, content: Content, harvest: Harvest, *, is_object: bool
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Yield names and bytes of what one objdata holds, the whole of it first."""
    if blob:
        yield (), blob
    found = object_1(blob) if is_object else None
    if found is None:
        return
    harvest.note("document.embedded-object", content, found.name)
    if found.name.lower().startswith("equation"):
        harvest.note("document.equation", content)
    if FETCHED.search(found.topic):
        harvest.note("document.external-template", content, found.topic[:100])
    if found.data:
        yield (), found.data
        packed = package(found.data) or package(found.data[4:])
        if packed:
            yield packed.names, packed.data
