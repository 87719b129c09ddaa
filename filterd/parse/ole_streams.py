"""Opens OLE compound files (MS-CFB): old Office documents, Outlook messages, installers. Every stream is offered."""

import io
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import olefile

from . import ole_macros
from .documents import FETCHED, SHARED, open_encrypted
from .harvest import Content, Harvest
from .ole_objects import ole10_native

# What olefile raises on hostile files.
ERRORS: Final = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    struct.error,
    OverflowError,
)
_VBA: Final = re.compile(r"(?:^|/)(?:vba|_vba_project_cur|macros)(?:/|$)", re.IGNORECASE)
_EQUATION: Final = bytes.fromhex("02ce020000000000c000000000000046")
_URL_MONIKER: Final = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b")
_FILE_MONIKER: Final = bytes.fromhex("0303000000000000c000000000000046")
_WORD_ENCRYPTED: Final = 0x01  # MS-DOC 2.5.2: bit 8 of the flags at 10
_PPT_ENCRYPTED: Final = b"\xdf\xc4\xd1\xf3"  # MS-PPT 2.3.2: headerToken
# MS-OXMSG: a file's bytes and its names (long, short), wide and narrow.
_ATTACHED: Final = "__substg1.0_37010102"
_ATTACHED_NAMES: Final = (
    "__substg1.0_3707001F",
    "__substg1.0_3707001E",
    "__substg1.0_3704001F",
    "__substg1.0_3704001E",
)
_MAX_LINKED: Final = 4096


def open_ole(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the streams of a compound file, the files in them, and the sources of its macros."""
    try:
        with olefile.OleFileIO(io.BytesIO(content.data)) as ole:
            yield from _Ole(content, harvest, ole).read()
    except ERRORS as error:
        harvest.note("document.broken", content, f"{type(error).__name__}: {error}")


class _Ole:
    """One compound file while it is read."""

    def __init__(self, content: Content, harvest: Harvest, ole: "olefile.OleFileIO") -> None:
        self.content = content
        self.harvest = harvest
        self.ole = ole
        self.number = 0
        self.has_macro = self.autorun = self.hostile = False

    def read(self) -> Iterator[Content]:
        """Yield what is inside."""
        paths = self.ole.listdir(streams=True, storages=False)
        encrypted = any(path[-1] in {"EncryptedPackage", "EncryptedSummary"} for path in paths)
        for path in paths:
            self.harvest.budget.take_entry()
            self.harvest.budget.take_depth(self.content.depth + 1)
            with suppress(*ERRORS):
                yield from self._stream(path)
            encrypted = encrypted or self._is_encrypted
        if self.has_macro:
            hostile = self.autorun and self.hostile
            self.note("document.macro-autorun" if hostile else "document.macro")
        if encrypted:
            yield from self._numbered(open_encrypted(self.content, self.harvest))

    _is_encrypted = False

    def note(self, rule: str, detail: str = "") -> None:
        """Report ``rule`` for this file."""
        self.harvest.note(rule, self.content, detail)

    def _numbered(self, found: Iterator[Content]) -> Iterator[Content]:
        for inner in found:
            self.number += 1
            inner.path = f"{self.content.path}!{self.number}"
            yield inner

    def _offer(self, data: bytes, via: str, names: tuple[str, ...] = ()) -> Iterator[Content]:
        if data:
            self.number += 1
            inner = self.content.inner(self.number, data, via)
            inner.names = names
            yield inner

    def _stream(self, path: list[str]) -> Iterator[Content]:
        size = self.ole.get_size(path)
        self.harvest.budget.take_bytes(size)
        data = self.ole.openstream(path).read()
        last = path[-1]
        yield from self._offer(data, "ole", self._names(path) if last == _ATTACHED else ())
        if last.lower() == "\x01ole10native":
            yield from self._native(data)
        elif last == "\x01Ole":
            self._link(data)
        elif last == "Equation Native" or (last == "\x01CompObj" and _EQUATION in data):
            self.note("document.equation")
        elif last == "WordDocument":
            self._is_encrypted = len(data) > 12 and bool(data[11] & _WORD_ENCRYPTED)
        elif last == "Current User":
            self._is_encrypted = data[12:16] == _PPT_ENCRYPTED
        elif last in {"Workbook", "Book"}:
            self._workbook(data)
        if last == "WordDocument" and _word_dde(data):
            self.note("document.dde")
        if b"Attribut" in data or _VBA.search("/".join(path[:-1])):
            yield from self._macro(data)

    def _native(self, data: bytes) -> Iterator[Content]:
        found = ole10_native(data)
        self.note("document.embedded-object", found.names[0] if found and found.names else "")
        if found:
            yield from self._offer(found.data, "package", found.names)
        elif len(data) > 4:
            yield from self._offer(data[4:], "package")

    def _link(self, data: bytes) -> None:
        """Report an object that is fetched when the document is opened (MS-OLEDS 2.3.3)."""
        for moniker in (_URL_MONIKER, _FILE_MONIKER):
            at = data.find(moniker)
            if at != -1:
                target = data[at + 16 : at + _MAX_LINKED]
                plain = target.replace(b"\0", b"").decode("latin-1")
                if FETCHED.search(plain):
                    self.note("document.external-template", plain[:100])
                elif SHARED.search(plain):
                    self.note("document.external-share", plain[:100])

    def _names(self, path: list[str]) -> tuple[str, ...]:
        names = []
        for last in _ATTACHED_NAMES:
            beside = [*path[:-1], last]
            if self.ole.exists(beside):
                raw = self.ole.openstream(beside).read()[:2048]
                names.append(
                    raw.decode("utf-16-le" if last.endswith("F") else "latin-1", "replace").rstrip("\0")
                )
        return tuple(dict.fromkeys(names))

    def _workbook(self, data: bytes) -> None:
        book = ole_macros.Workbook(data)
        self._is_encrypted = book.encrypted
        if book.macro_sheets:
            # Excel 4 sheets that open themselves are made by nobody but senders of malware any more.
            self.note("document.macro-autorun" if book.auto_open else "document.macro", "Excel 4 macro sheet")

    def _macro(self, data: bytes) -> Iterator[Content]:
        for source in ole_macros.sources(data):
            # The headers that every module has are no code.
            code = "\n".join(line for line in source.splitlines() if not line.startswith("Attribute "))
            if code.strip():
                self.has_macro = True
                self.autorun = self.autorun or ole_macros.runs_by_itself(code)
                self.hostile = self.hostile or ole_macros.is_hostile(code)
                yield from self._offer(source.encode("latin-1"), "macro")


_FIELD: Final = re.compile(rb"\x13\0?\s*\0?\s*\0?d\0?d\0?e(?:\0?a\0?u\0?t\0?o)?\0?[ \"]", re.IGNORECASE)


def _word_dde(data: bytes) -> bool:
    """Return whether the text has a DDE field (MS-DOC: 0x13 begins a field)."""
    return bool(_FIELD.search(data))
