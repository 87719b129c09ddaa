"""Looks at the XML parts of Office Open XML and OpenDocument files, each as a member of its zip or by itself."""

import html
import re
from collections.abc import Iterator
from typing import Final

from .documents import FETCHED, SHARED
from .documents_cards import from_base64
from .harvest import Content, Harvest
from .html import built_by
from .xml_text import as_page, flattened

_FLAT: Final = "flat"  # how what flattened() gives was found
_MAX_PART: Final = 16 << 20
_RELATION: Final = re.compile(r"<(?:\w+:)?Relationship\b([^<]{1,8000})")
_ATTRIBUTE: Final = re.compile(r"([\w:]{1,40})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
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
_INSTRUCTION: Final = re.compile(
    r"<w:instrText[^>]{0,200}>([^<]{0,4000})</w:instrText>|w:instr=\"([^\"]{0,4000})\""
)
# A server without a public name: the firm's own, where no sender from elsewhere can put a template.
_INTRANET: Final = re.compile(
    r"https?://(?:[\w-]+|[\w.-]+\.(?:local|lan|internal|intranet|corp|localdomain))(?::\d+)?/", re.IGNORECASE
)
_DDE: Final = re.compile(r"\bDDE(?:AUTO)?\b", re.IGNORECASE)
_DDE_SERVICE: Final = re.compile(
    r"ddeService\s*=\s*[\"'][^\"']{0,200}?(?:cmd|mshta|powershell|rundll32|regsvr32|[cw]script|msiexec|certutil)",
    re.IGNORECASE,
)
_AUTO_OPEN: Final = re.compile(
    r"<(?:\w+:)?definedName[^>]{1,400}name=[\"'](?:_xlnm\.)?Auto_?Open", re.IGNORECASE
)
# In the manifest of an OpenDocument file (ODF 1.3 part 2, 4.8).
_ENCIPHERED: Final = re.compile(r"<(?:\w+:)?encryption-data\b[^>]{0,400}checksum")
_BASIC: Final = re.compile(r"<script:module[^>]{0,400}>(.*?)</script:module>", re.DOTALL)
# Flat forms of Office and OpenDocument files keep their binary parts as text.
_BINARY: Final = re.compile(r"<(?:\w+:)?(?:binaryData|binData|binary-data)\b[^>]{0,400}>([^<]+)<")
_ON_LOAD: Final = re.compile(
    r"event-name=\"(?:dom:load|office:load-finished|office:new|OnLoad|dom:mouseover|dom:mouseenter)\"[^>]{0,400}"
    r"vnd\.sun\.star\.script:",
)


def open_xml(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Report what an XML part makes an office program do; yield macros, binary parts, and other readings of it."""
    text = _decoded(content.data[:_MAX_PART])
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
    if "instr" in text and _DDE.search("".join(one or two for one, two in _INSTRUCTION.findall(text))):
        harvest.note("document.dde", content)
    if "ddeService" in text and _DDE_SERVICE.search(text):
        harvest.note("document.dde", content)
    if "definedName" in text and _AUTO_OPEN.search(text):
        harvest.note("document.macro-autorun", content, "Excel 4 macro that opens itself")
    if "event-name" in text and _ON_LOAD.search(text):
        harvest.note("document.macro-autorun", content, "OpenDocument event")
    if _ENCIPHERED.search(text):
        harvest.note("document.encrypted", content, "OpenDocument")


def _carried(text: str, content: Content, harvest: Harvest) -> Iterator[bytes]:
    """Yield the macros and binary parts that stand in the text, and what a style sheet puts together."""
    for basic in _BASIC.finditer(text):
        harvest.note("document.macro", content)
        yield html.unescape(basic[1]).encode()
    for binary in _BINARY.finditer(text):
        yield from_base64(binary[1].encode("ascii", "ignore"))
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


def _decoded(data: bytes) -> str:
    for mark, codec in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return data[2:].decode(codec, "replace")
    if data[:2] == b"<\0":
        return data.decode("utf-16-le", "replace")
    return data.decode("utf-8", "replace")


def _look_at_relations(text: str, content: Content, harvest: Harvest) -> None:
    for relation in _RELATION.finditer(text):
        values = {
            found[1].lower(): html.unescape(found[2] if found[2] is not None else found[3])
            for found in _ATTRIBUTE.finditer(relation[1])
        }
        kind = values.get("type", "").rpartition("/")[2].lower()
        target = values.get("target", "")
        if values.get("targetmode", "").lower() != "external" or kind not in _FOLLOWED:
            continue
        if FETCHED.match(target) and not _INTRANET.match(target):
            harvest.note("document.external-template", content, target[:100])
        elif SHARED.search(target) or FETCHED.match(target):
            harvest.note("document.external-share", content, target[:100])
