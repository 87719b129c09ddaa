"""Opens OLE compound files (MS-CFB): old Office documents, Outlook messages, installers. Every stream is offered."""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import olefile

from . import ole_sheets
from .documents import BROKEN, FETCHED, SHARED, open_encrypted
from .harvest import Content, Harvest, LimitReachedError
from .ole_macros import read_macros, runs_and_acts
from .ole_objects import ole10_native
from .ole_slides import storages

# What olefile raises on hostile files; it goes round in a storage that holds itself.
ERRORS: Final = (*BROKEN, RecursionError)
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
        self.may_have_macros = False

    def read(self) -> Iterator[Content]:
        """Yield what is inside."""
        self._bound_sizes()
        paths = self.ole.listdir(streams=True, storages=False)
        encrypted = any(path[-1] in {"EncryptedPackage", "EncryptedSummary"} for path in paths)
        for path in paths:
            self.harvest.budget.take_entry()
            self.harvest.budget.take_depth(self.content.depth + 1)
            with suppress(*ERRORS):
                yield from self._stream(path)
            encrypted = encrypted or self._is_encrypted
        if self.may_have_macros:
            yield from self._macros()
        if encrypted:
            yield from self._numbered(open_encrypted(self.content, self.harvest))

    _is_encrypted = False

    def _bound_sizes(self) -> None:
        """Bound the declared size of each stream: in a chain of sectors that goes round, olefile reads all of it."""
        most = len(self.content.data)
        for entry in self.ole.direntries:
            if entry and entry.size > most:
                self.note("document.broken", "a stream that is larger than its file")
                entry.size = most

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
        elif last in {"Workbook", "Book"}:
            yield from self._workbook(data)
        elif last == "PowerPoint Document":
            for storage in storages(data, self.harvest.budget):
                yield from self._offer(storage, "ppt")
        else:
            self._look(last, data)
        if b"Attribut" in data or _VBA.search("/".join(path[:-1])):
            self.may_have_macros = True

    def _look(self, name: str, data: bytes) -> None:
        """Report what a stream says of the document."""
        if name == "\x01Ole":
            self._link(data)
        elif name == "Equation Native" or (name == "\x01CompObj" and _EQUATION in data):
            self.note("document.equation")
        elif name == "WordDocument":
            self._is_encrypted = len(data) > 12 and bool(data[11] & _WORD_ENCRYPTED)
            if _word_dde(data):
                self.note("document.dde")
        elif name == "Current User":
            self._is_encrypted = data[12:16] == _PPT_ENCRYPTED

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

    def _workbook(self, data: bytes) -> Iterator[Content]:
        book = ole_sheets.Workbook(data)
        self._is_encrypted = book.encrypted
        if not book.macro_sheets:
            return
        text = ole_sheets.formulas(data)
        # Excel 4 sheets that open themselves are made by nobody but senders of malware any more.
        hostile = book.auto_open or ole_sheets.runs_and_acts(text)
        self.note("document.macro-autorun" if hostile else "document.macro", "Excel 4 macro sheet")
        yield from self._offer(text.encode("utf-8", "replace"), "macro")

    def _macros(self) -> Iterator[Content]:
        """Yield the sources of the macros, and report what they do."""
        self.harvest.budget.take_time()
        macros = read_macros(self.content.data)
        if macros.full:
            raise LimitReachedError("limit.leaf", "more source of macros than is looked at")
        if macros.broken:
            self.note("document.broken", macros.broken)
        if macros.stomped:
            self.note("document.macro-stomped", macros.stomped)
        code = macros.code
        if code.strip():
            self.note("document.macro-autorun" if runs_and_acts(code) else "document.macro")
        for source in macros.sources:
            self.harvest.budget.take_entry()
            self.harvest.budget.take_bytes(len(source))
            yield from self._offer(source.encode("utf-8", "replace"), "macro")


_FIELD: Final = re.compile(rb"\x13\0?\s*\0?\s*\0?d\0?d\0?e(?:\0?a\0?u\0?t\0?o)?\0?[ \"]", re.IGNORECASE)


def _word_dde(data: bytes) -> bool:
    """Return whether the text has a DDE field (MS-DOC: 0x13 begins a field)."""
    return bool(_FIELD.search(data))
