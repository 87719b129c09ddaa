"""HTML: what its reader sees, what it does, and every content that it would build at the reader's."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import Final

from .charsets import text_of, transcoded
from .harvest import Content, Harvest
from .html_payloads import (
    Payload,
    addresses_in,
    base64_bytes,
    concealed,
    dangerous_name,
    deciphered,
    decodings,
    entities_in,
    from_address,
    is_small_text,
    is_worth_offering,
    sensible,
)
from .html_tree import LONG_WORD, Page, is_word, read_page
from .html_verdict import IS_PART, Verdict
from .script_codes import of_invisible, of_script, reveals_builder
from .script_masks import starts_like_a_file
from .script_residue import is_outline
from .script_sinks import builds
from .script_watch import UNBOUND, ScriptTooLongError, Watch
from .smuggling import LIBRARY, Constants, constants
from .xml_text import flattened

_CHARSET: Final = re.compile(
    rb"<(?:meta|\?xml)\b[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE
)
_HEAD: Final = 2048  # bytes in which a document declares its charset (HTML 13.2.3.2: 1024)
_WIDE: Final = re.compile(rb"\xff\xfe|\xfe\xff|\0\0\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0]")
_MARKUP: Final = re.compile(
    r"<(?:script|html|iframe|object|embed|a|img|form|svg|meta|body)[\s/>]", re.IGNORECASE
)
_LEADS_AWAY: Final = re.compile(r"[^/?#\\]*:|[/\\]{2}")  # of relative addresses nothing is to be said
_NAME: Final = re.compile(r"[\w\s.,:;/()&=+#-]*")  # names and paths of programs, which no file consists of
_MAX_PAYLOADS: Final = 1000  # one document's; a page of a hundred inline pictures has a tenth
_MAX_SMALL: Final = 200  # short texts of scripts that are offered one by one; further ones together
_MAX_WRITTEN: Final = 200  # texts of a script that builds files, offered as they are
_LEAST_WRITTEN: Final = 64
_LONGEST: Final = 5  # texts and lists that are decoded of a script that was read in part
_MAX_SCRIPT: Final = 4 * 1024 * 1024  # bytes of a script by itself
_MANY_TOKENS: Final = 200_000  # it is they that cost time: of a script with more only the start is read
_MAX_DENSE: Final = 1024 * 1024
_NESTED: Final = 3  # scripts that scripts hold as texts, within each other
_LEAST_NESTED: Final = 40
_CODE: Final = re.compile(r"['\"`]\s*[+,]\s*['\"`]|atob|unescape|fromCharCode|eval\(|Uint8Array|\\x")
_UNSEEN: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_HEX_LISTS: Final = re.compile(
    r"\bhex(?:\([0-9a-f]\))?:((?:[0-9a-f]{2},?(?:\\\r?\n\s*)?){12,})", re.IGNORECASE
)


def visible_text(html: str) -> str:
    """Return what a reader sees of a document: no hidden elements, comments, styles, scripts; a line a block.

    Linear; a document that would cost its parser too much is stripped of its tags by force.
    """
    return read_page(html).text


def open_html(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what a document carries or would build, and report what is active in it (rules html.…).

    What it does by itself is noted first; the files that it builds are known when all of them were yielded.
    """
    numbers = count(1)
    charset = content.charset or declared_charset(content.data)
    if charset != content.charset:
        for name, plain in transcoded(content.data, charset):
            yield content.inner(next(numbers), plain, f"charset {name}", claimed="text/html")
    if _WIDE.match(content.data):
        return  # as it stands it is nothing that a browser reads; the transcoded text comes by itself
    source = text_of(content.data, charset)
    if "<" not in source and b"<" in content.data:
        source = text_of(content.data, "utf-8")
    if "<!ENTITY" in source:
        source = flattened(source)  # a browser that takes it for XML writes them out
    page = read_page(source)
    _report(page, content, harvest)
    for nested in page.nested:
        yield content.inner(next(numbers), nested.encode("utf-8", "replace"), "html", claimed="text/html")
    watch = harvest.budget.scripts
    verdict = Verdict(watch)
    payloads = watch.metered(_payloads(page, source, verdict))
    yield from _carried(payloads, verdict, content, harvest, numbers)
    verdict.report(content, harvest)


def _carried(
    payloads: Iterator[Payload],
    verdict: "Verdict",
    content: Content,
    harvest: Harvest,
    numbers: Iterator[int],
) -> Iterator[Content]:
    """Yield what a page carries, each by itself; of its short texts the later ones together."""
    number, small = 0, list[bytes]()
    for payload in payloads:
        harvest.budget.take_time()
        harvest.budget.take_bytes(len(payload.data))
        verdict.take(payload)
        if is_small_text(payload):
            small.append(payload.data)
            if len(small) > _MAX_SMALL:
                continue
        number += 1
        if number > _MAX_PAYLOADS:
            harvest.note("html.payloads", content, f"more than {_MAX_PAYLOADS}")
            break
        yield content.inner(next(numbers), payload.data, "html", name=payload.name, claimed=payload.claimed)
    if len(small) > _MAX_SMALL:
        together = b"\n".join(dict.fromkeys(small[_MAX_SMALL:]))
        yield content.inner(next(numbers), together, "html")


def declared_charset(data: bytes) -> str:
    """Return the charset that a document itself names near its start, or ""."""
    found = _CHARSET.search(data, 0, _HEAD)
    return found[1].decode("ascii") if found else ""


def _report(page: Page, content: Content, harvest: Harvest) -> None:
    if page.too_costly:
        harvest.note("html.cost", content, page.too_costly)
    for rule, detail in page.facts.items():
        harvest.note(rule, content, detail)
    for text, target in page.links:
        if _LEADS_AWAY.match(target):
            harvest.add_link(content, text, target)


def open_script(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield what a script of any language carries in its texts and lists; reports nothing."""
    text = text_of(content.data[:_MAX_SCRIPT], content.charset)
    if len(content.data) > _MAX_SCRIPT:
        harvest.note("html.payloads", content, f"a script of more than {_MAX_SCRIPT} bytes")
    if sum(map(text.count, ("'", '"', ",", "`"))) > _MANY_TOKENS and len(text) > _MAX_DENSE:
        harvest.note("html.payloads", content, f"a script of more than {_MANY_TOKENS} texts and numbers")
        text = text[:_MAX_DENSE]
    watch = harvest.budget.scripts
    for number, data in enumerate(_within(built_by(text, watch), watch, content, harvest), 1):
        if number > _MAX_PAYLOADS:
            harvest.note("html.payloads", content, f"more than {_MAX_PAYLOADS}")
            return
        harvest.budget.take_time()
        harvest.budget.take_bytes(len(data))
        yield content.inner(number, data, "script")


def _within(items: Iterator[bytes], watch: Watch, content: Content, harvest: Harvest) -> Iterator[bytes]:
    """Yield the items as long as there is time for scripts, and report when there is none."""
    try:
        yield from watch.metered(items)
    except ScriptTooLongError:
        harvest.note("html.script-long", content, IS_PART)


def built_by(script: str, watch: Watch = UNBOUND) -> Iterator[bytes]:
    """Yield what the texts and lists of numbers of a script are, decoded.

    Raises ScriptTooLongError when the time of ``watch`` is spent.
    """
    found = constants(script, watch)
    for payload in _from_script(found, Verdict(watch)):
        yield payload.data
    if found.is_part:
        raise ScriptTooLongError
    for row in _HEX_LISTS.finditer(script):
        yield bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", row[1]))


def _payloads(page: Page, source: str, verdict: Verdict) -> Iterator[Payload]:
    """Yield what a page carries, as far as the time for scripts lets it be sought, and judge its scripts."""
    found = constants("\n".join(page.scripts), verdict.watch) if page.scripts else Constants()
    found.builds = found.builds or any(target[:5].lower() == "data:" for _, target in page.downloads)
    verdict.builds = found.builds
    try:
        yield from _sought(page, source, found, verdict)
    except ScriptTooLongError:
        verdict.is_part = True
        yield from _longest(found, verdict)
    verdict.is_part = verdict.is_part or found.is_part
    verdict.judge(found, page)


def _longest(found: Constants, verdict: Verdict) -> Iterator[Payload]:
    """Yield what the longest texts and lists of a script are in the commonest codes: a file of some size is there."""
    texts = sorted({*found.pieces, *found.texts}, key=len)[-_LONGEST:]
    for data in (*sorted(found.lists, key=len)[-_LONGEST:], *map(base64_bytes, texts)):
        if len(data) >= _LEAST_WRITTEN and is_worth_offering(data):
            yield Payload(data=data, script=True, name=verdict.name)


def _sought(page: Page, source: str, found: Constants, verdict: Verdict) -> Iterator[Payload]:
    verdict.builds = found.builds = reveals_builder(found, verdict.watch)
    verdict.size = len(found.code)
    # In the many texts of a library names of files mean nothing.
    names_of_texts = found.texts if verdict.size < LIBRARY else ()
    verdict.name = dangerous_name([*(name for name, _ in page.downloads), found.named, *names_of_texts])
    names = {target: name for name, target in page.downloads}
    for address, opened in page.addresses.items():
        for one in from_address(address, opened=opened):
            yield Payload(
                data=one.data,
                claimed=one.claimed,
                name=names.get(address) or one.name,
                script=address in names,
                opened=opened,
            )
    for address in dict.fromkeys(addresses_in(source)):
        if address not in page.addresses:
            yield from from_address(address)
    yield from _from_words(page, source, found, verdict.watch)
    if "concat(" in source and ":stylesheet" in source:
        yield from (Payload(data=data) for data in built_by(source, verdict.watch))
    yield from _from_script(found, verdict)
    if verdict.builds:
        yield from (Payload(data=data, script=True, name=verdict.name) for data in of_invisible(source))
        words = chain(page.words, ("".join(one) for one in page.pieces.values()))
        yield from _recovered(found, words, verdict)


def _recovered(found: Constants, words: Iterable[str], verdict: Verdict) -> Iterator[Payload]:
    """Yield what a script that builds a file, or ``words`` of its page, hold in codes of their author's own."""
    for data in of_script(found, words, verdict.watch):
        if data is None:
            verdict.give_up("more texts in no usual code than are tried")
        else:
            yield Payload(data=data, script=True, name=verdict.name)


def _from_words(page: Page, source: str, found: Constants, watch: Watch) -> Iterator[Payload]:
    """Yield what is in texts that no reader is meant to read; a script of the page may fetch them."""
    for text in entities_in(source):
        yield Payload(data=text.encode("utf-8", "replace"))
        if text[:5].lower() == "data:":
            yield from from_address(text)
    shown = page.wrapped.translate(_UNSEEN)
    lines = (line for line in shown.split("\n") if len(line) >= LONG_WORD and is_word(line))
    for pieces in page.pieces.values():
        if len(pieces) > 1:
            for data in sensible("".join(pieces)):
                yield Payload(data=data)
    for word in watch.over(dict.fromkeys(chain(page.words, lines))):
        decoded = list(decodings(word, reverses=found.reverses))
        if not decoded and not _NAME.fullmatch(word):
            decoded = [word.strip().encode("utf-8", "replace")]
        for data in decoded:
            yield from _with_ciphers(data, found, script=found.builds)


def _from_script(found: Constants, verdict: Verdict, level: int = 0) -> Iterator[Payload]:
    yield from _from_texts(found, verdict)
    if level < _NESTED:
        for text in verdict.watch.over(found.texts):
            verdict.watch.look()
            yield from _from_nested(text, found, verdict, level + 1)
    elif any(_CODE.search(text) and builds(text) for text in found.texts):
        verdict.give_up(f"scripts in texts of scripts, more than {_NESTED} deep")
    for text in found.escaped:
        yield from _with_ciphers(_bytes(text), found, script=True, name=verdict.name)
    for data in verdict.watch.over(found.lists):
        for reading in (data, data[::-1]) if found.reverses else (data,):
            if is_worth_offering(reading) or found.keys or found.key_texts or found.shifts:
                yield from _with_ciphers(reading, found, script=True, name=verdict.name)


def _from_nested(text: str, found: Constants, verdict: Verdict, level: int) -> Iterator[Payload]:
    """Yield what a text builds that is a script itself, as it stands or decoded."""
    if len(text) < _LEAST_NESTED:
        return
    scripts = [text] if text[:5].lower() != "data:" else []
    scripts += [data.decode("latin-1") for data in decodings(text, reverses=found.reverses, layers=1)]
    for code in scripts:
        if (code is text or code.isascii()) and _CODE.search(code):
            inner = constants(code, verdict.watch)
            verdict.is_part = verdict.is_part or inner.is_part
            inner.builds = inner.builds or found.builds
            verdict.builds = verdict.builds or inner.builds
            yield from _from_script(inner, verdict, level)
            if inner.builds:
                yield from _recovered(inner, (), verdict)


def _from_texts(found: Constants, verdict: Verdict) -> Iterator[Payload]:
    room = _MAX_WRITTEN if found.builds else 0
    rest: list[str] = []
    for text in verdict.watch.over(found.texts):
        verdict.watch.look()
        if text[:5].lower() == "data:":
            yield from from_address(text, script=True)
            continue
        decoded = list(decodings(text, reverses=found.reverses))
        for data in decoded:
            yield from _with_ciphers(data, found, script=True, name=verdict.name)
        for data in concealed(text, found) if not decoded else ():
            yield Payload(data=data, script=True, name=verdict.name)
        if _MARKUP.search(text):
            yield Payload(data=text.encode("utf-8", "replace"), claimed="text/html")
        elif not decoded:
            if not is_word(text) and not (found.builds and len(text) >= _LEAST_WRITTEN):
                continue
            if _may_wait(text, room):
                rest.append(text)
                continue
            room = max(0, room - 1)
            yield from _with_ciphers(_bytes(text), found, script=found.builds, name=verdict.name)
    if rest:
        yield Payload(data=_bytes("\n".join(rest)))


def _may_wait(text: str, room: int) -> bool:
    """Return whether a text need not be offered by itself: outlines, and whatever comes too late and is no long word."""
    return is_outline(text) or not (is_word(text) or room or starts_like_a_file(_bytes(text[:16])))


def _with_ciphers(data: bytes, found: Constants, *, script: bool, name: str = "") -> Iterator[Payload]:
    yield Payload(data=data, script=script, name=name)
    for plain in deciphered(data, found):
        yield Payload(data=plain, script=script, name=name)


def _bytes(text: str) -> bytes:
    """Return the bytes of a text that a script treats as bytes, as far as it is that."""
    return text.encode("latin-1" if max(text, default="") <= "\xff" else "utf-8", "replace")
