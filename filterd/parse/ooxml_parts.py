"""Looks at the XML parts of Office Open XML and OpenDocument files, each as a member of its zip or by itself."""

import html
import re
from collections.abc import Iterator
from typing import Final

from .documents import FETCHED, SHARED
from .documents_cards import from_base64
from .harvest import Content, Harvest
from .html import built_by
from .xml_tags import Element, decoded, elements
from .xml_text import as_page, flattened

_FLAT: Final = "flat"  # how what flattened() gives was found
_PACKED: Final = frozenset({"zip"})  # how members of packages were found
_MAX_PART: Final = 16 << 20
# Relations that are followed when the document is opened. Hyperlinks and pictures are not among them.
_FOLLOWED: Final = frozenset(
    {
        "attachedtemplate",
        "oleobject",
        "frame",
        "subdocument",
        "package",
        "control",
        "afchunk",
        "ctrlprop",
        "mailmergesource",
    }
)
# A server without a public name: the firm's own, where no sender from elsewhere can put a template.
_INTRANET: Final = re.compile(
    r"https?://(?:[\w-]+|[\w.-]+\.(?:local|lan|internal|intranet|corp|localdomain))(?::\d+)?/", re.IGNORECASE
)
_DDE: Final = re.compile(r"\bDDE(?:AUTO)?\b", re.IGNORECASE)
# Word's QUOTE makes text of the numbers of characters.
_QUOTED: Final = re.compile(r"\bQUOTE((?:\s+\d{1,7})+)", re.IGNORECASE)
_PROGRAM: Final = re.compile(
    r"cmd|mshta|powershell|rundll32|regsvr32|[cw]script|msiexec|certutil", re.IGNORECASE
)
_AUTO_OPEN: Final = re.compile(r"\s*(?:_xlnm\.)?Auto_?Open", re.IGNORECASE)
# OpenDocument, any prefix: what names a program to talk to, and the macros.
_SOURCES: Final = ("dde-source", "dde-connection-decl", "dde-link")
_SCRIPTS: Final = "http://openoffice.org/2000/script"
_MODULE: Final = re.compile(
    r"<(?:[^\s<>/:\"'=]++:)?module(?=[\s>])[^<>]*+>(.*?)(?:</(?:[^\s<>/:\"'=]++:)?module\s*+>|\Z)", re.DOTALL
)
_EVENTS: Final = frozenset({"load", "load-finished", "new", "onload", "mouseover", "mouseenter"})


def open_xml(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Report what an XML part makes an office program do; yield macros, binary parts, and other readings of it."""
    text, readable = decoded(content.data[:_MAX_PART])
    if not readable and content.via in _PACKED:
        harvest.note("document.broken", content, "XML in an unknown encoding")
    _look_at(text, content, harvest)
    number = 0
    # First as a page: what is opened as HTML is opened as XML too.
    readings = () if content.via == _FLAT else (("text/html", as_page(text)), ("", flattened(text)))
    for claimed, reading in readings:
        if reading and reading != text:
            harvest.budget.take_bytes(len(reading))
            number += 1
            yield content.inner(number, reading.encode("utf-8", "replace"), _FLAT, claimed=claimed)
    for data in _carried(text, content, harvest):
        harvest.budget.take_entry()
        number += 1
        yield content.inner(number, data, "xml")


def _look_at(text: str, content: Content, harvest: Harvest) -> None:
    """Report what the part makes a program do."""
    if "Relationship" in text:
        _look_at_relations(text, content, harvest)
    if "instr" in text and _DDE.search(_instructions(text)):
        harvest.note("document.dde", content)
    if ("ddeService" in text or "dde-" in text) and _talks_to_program(text):
        harvest.note("document.dde", content)
    if "definedName" in text and any(
        _AUTO_OPEN.match(one.attributes.get("name", "")) for one in elements(text, "definedName")
    ):
        harvest.note("document.macro-autorun", content, "Excel 4 macro that opens itself")
    if "event-name" in text and any(map(_runs_itself, elements(text, "event-listener", "event"))):
        harvest.note("document.macro-autorun", content, "OpenDocument event")
    # In the manifest of an OpenDocument file (ODF 1.3 part 2, 4.8).
    if any("checksum" in one.attributes for one in elements(text, "encryption-data")):
        harvest.note("document.encrypted", content, "OpenDocument")


def _instructions(text: str) -> str:
    """Return the instructions of Word's fields, put together from their pieces (ECMA-376 part 1, 17.16)."""
    pieces: list[str] = []
    for one in elements(text, "instrText", "fldSimple", "fldChar"):
        if one.name == "instrText" and not one.closes:
            pieces.append(html.unescape(_text_behind(text, one)))
        elif one.name == "fldChar":
            pieces.append(" ")
        elif not one.closes:
            pieces.append(f" {one.attributes.get('instr', '')} ")
    return _QUOTED.sub(lambda found: " " + "".join(map(_letter, found[1].split())), "".join(pieces))


def _text_behind(text: str, tag: Element) -> str:
    end = text.find("<", tag.end)
    return text[tag.end : end if end >= 0 else len(text)]


def _letter(number: str) -> str:
    return chr(min(int(number), 0x10FFFF))


def _talks_to_program(text: str) -> bool:
    """Return whether a link of DDE is to a program that runs others."""
    return any(
        _PROGRAM.search(one.attributes.get(name, ""))
        for one in elements(text, "ddeLink", *_SOURCES)
        for name in ("ddeService", "dde-application", "application")
    )


def _runs_itself(one: Element) -> bool:
    event = one.attributes.get("event-name", "").rpartition(":")[2].strip().lower()
    return event in _EVENTS and any("vnd.sun.star.script:" in text for text in one.attributes.values())


def _carried(text: str, content: Content, harvest: Harvest) -> Iterator[bytes]:
    """Yield the macros and binary parts that stand in the text, and what a style sheet puts together."""
    if _SCRIPTS in text or "<script:module" in text:
        for basic in _MODULE.finditer(text):
            harvest.note("document.macro", content)
            yield html.unescape(basic[1]).encode("utf-8", "replace")
    # Flat forms of Office and OpenDocument files keep their binary parts as text.
    for binary in elements(text, "binaryData", "binData", "binary-data"):
        data = "" if binary.closes else _text_behind(text, binary)
        if data.strip():
            yield from_base64(html.unescape(data).encode("ascii", "ignore"))
    if ":stylesheet" in text and "concat(" in text:
        yield from built_by(text)


def open_macro_sheet(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Report an Excel 4 macro sheet, known by its place in the package."""
    harvest.note("document.macro", content, "Excel 4 macro sheet")
    yield from ()


def open_binary_workbook(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Report a workbook of the binary form (xlsb) with a name that opens itself."""
    lower = content.data.lower()
    if any(name.encode("utf-16-le") in lower for name in ("auto_open", "autoopen")):
        harvest.note("document.macro-autorun", content, "Excel 4 macro that opens itself")
    yield from ()


def is_macro_sheet(name: str) -> bool:
    """Return whether a member's name is that of a macro sheet."""
    return bool(re.search(r"(?:^|/)macrosheets/[^/]+\.(?:xml|bin)$", name, re.IGNORECASE))


def is_binary_workbook(name: str) -> bool:
    """Return whether a member's name is that of a binary workbook."""
    return bool(re.search(r"(?:^|/)xl/workbook\.bin$", name, re.IGNORECASE))


def _look_at_relations(text: str, content: Content, harvest: Harvest) -> None:
    for relation in elements(text, "Relationship"):
        values = {name.lower(): value.strip() for name, value in relation.attributes.items()}
        kind = values.get("type", "").rpartition("/")[2].lower()
        target = values.get("target", "")
        if values.get("targetmode", "").lower() != "external" or kind not in _FOLLOWED:
            continue
        if FETCHED.match(target) and not _INTRANET.match(target):
            harvest.note("document.external-template", content, target[:100])
        elif SHARED.search(target) or FETCHED.match(target):
            harvest.note("document.external-share", content, target[:100])
