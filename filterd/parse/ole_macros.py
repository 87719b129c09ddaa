"""Macros in OLE files: oletools finds and unpacks the sources and judges them; here it is bounded.

olevba unpacks (MS-OVBA 2.4.1), MacroRaptor says what starts by itself and acts. What they leave open is done here:
a kilobyte of packed source may stand for megabytes, and words in comments and messages are no calls.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from msgspec import Struct, field
from oletools import olevba
from oletools.mraptor import MacroRaptor

# What oletools raises on hostile files, beside its own errors.
ERRORS: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    struct.error,
    olevba.OlevbaBaseException,
)
_MOST: Final = 4 << 20  # bytes of source in one file: a second to unpack; few honest projects have a tenth
_CALL: Final = (
    512  # what a module or a try to unpack one counts at least, so that their number is bounded too
)
_COPYING: Final = 16  # a byte that is only copied counts so many times less
_CHUNK: Final = 4096  # bytes that a chunk may unpack to (MS-OVBA 2.4.1.1.5)
_LEAST_CODE: Final = 200  # bytes of a module's stream that are compiled code, not just the head of a table
_SUPPORT: Final = re.compile(r"dir|_vba_project|__srp_\w+|project|projectwm|\x03vbframe|f|o", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"^[ \t]*Attribute [^\r\n]*", re.MULTILINE)
_IDENTIFIER: Final = re.compile(rb"[A-Za-z]\w{3,63}")
# Brackets and words in quotes are kept: objects are made by name. Sentences and comments do nothing.
_PROSE: Final = re.compile(
    r"(\[[^\]\[\r\n]{0,255}\]|\"(?:[^\"\s]|\"\")*\")|\"(?:[^\"\r\n]|\"\")*\"?|'[^\r\n]*|^[ \t]*Rem\b[^\r\n]*",
    re.IGNORECASE | re.MULTILINE,
)
# Calls that MacroRaptor takes for dangerous by their name alone, and that can do no harm. A click is no start by itself.
_HONEST: Final = re.compile(
    r"\bCreateObject\s*\(\s*\"(?:Scripting\.Dictionary|System\.Collections\.(?:ArrayList|SortedList|Hashtable|Queue|Stack)"
    r"|VBScript\.RegExp|ADODB\.(?:Connection|Recordset))\"\s*\)"
    r"|\bCall\b(?=[ \t]+[A-Za-z])|\bApplication\.Run[ \t]*\(?[ \t]*\"\w+(?:\.\w+)?\"|\b\w{1,255}_Click\b"
    r"|\bDeclare[ \t]+(?:PtrSafe[ \t]+)?(?:Function|Sub)[ \t]+(?:Sleep|GetTickCount(?:64)?|timeGetTime|GetSystemMetrics"
    r"|QueryPerformance\w+)[ \t]+Lib[ \t]+\"(?:kernel32|user32|winmm)(?:\.dll)?\"(?![ \t]+Alias)",
    re.IGNORECASE,
)
# MacroRaptor looks for these and, from each of them, for another word up to the end of the line.
_SEARCHING: Final = re.compile(r"\b(?:Open|Declare)\b", re.IGNORECASE)
_MAX_SEARCHES: Final = 4  # in one line
_CALCULATED: Final = re.compile(r"\bWorksheet_Calculate\b", re.IGNORECASE)


class Macros(Struct, kw_only=True):
    """What one OLE file has of macros. ``stomped``: the first module whose compiled code is there without its source.

    ``full``: there is more than the bound lets through. ``broken``: why oletools stopped early, or "".
    """

    sources: list[str] = field(default_factory=list)
    stomped: str = ""
    full: bool = False
    broken: str = ""

    @property
    def code(self) -> str:
        """Return all sources without the headers that every module has; blank where there is no code."""
        return "\n".join(_ATTRIBUTE.sub("", source) for source in self.sources)


class _Meter:
    """olevba's function that unpacks a container, with a bound on what all of its calls make."""

    def __init__(self, unbounded: Any) -> None:  # noqa: ANN401 - a function of a library without types
        self._unbounded = unbounded
        self._room = _MOST

    @property
    def full(self) -> bool:
        """Return whether the bound was met."""
        return self._room < 0

    def take(self, count: int) -> None:
        """Count what was done beside unpacking."""
        self._room -= count + _CALL

    def __call__(self, container: bytes) -> bytes:
        """Return what the container holds; nothing once the bound is met. Raises ValueError where it is broken."""
        self.take(len(container) // _COPYING)
        if not self.full:
            self.take(_unpacked_size(container))
        return b"" if self.full else bytes(self._unbounded(container))


def _unpacked_size(container: bytes) -> int:
    """Return how many bytes a compressed container unpacks to, up to its first broken chunk. Raises ValueError."""
    total, at = 0, 1
    while at + 2 <= len(container):
        head = container[at] | container[at + 1] << 8
        if head >> 12 & 7 != 3:
            break
        end = min(at + (head & 0x0FFF) + 3, len(container))
        size = _chunk_size(container[at + 2 : end]) if head >> 15 else end - at - 2
        if size > _CHUNK:
            raise ValueError("a chunk that unpacks to more than 4096 bytes")
        total, at = total + size, end
    return total


def _chunk_size(packed: bytes) -> int:
    """Return how many bytes one chunk's tokens stand for; more than 4096 as soon as it is that (MS-OVBA 2.4.1.3.19)."""
    size, at = 0, 0
    while at < len(packed) and size <= _CHUNK:
        flags, at = packed[at], at + 1
        if not flags:
            step = min(8, len(packed) - at)
            size, at = size + step, at + step
            continue
        for bit in range(8):
            if at >= len(packed):
                break
            if flags >> bit & 1:
                token = int.from_bytes(packed[at : at + 2], "little")
                size += (token & 0xFFFF >> max(4, (max(size, 1) - 1).bit_length())) + 3
                at += 2
            else:
                size, at = size + 1, at + 1
    return size


@contextmanager
def _bounded() -> Iterator[_Meter]:
    """Have olevba unpack by a meter: it takes its own function by this name, and offers no bound."""
    meter = _Meter(olevba.decompress_stream)
    olevba.decompress_stream = meter
    try:
        yield meter
    finally:
        olevba.decompress_stream = meter._unbounded  # noqa: SLF001 - its own class, in this file


# What PowerPoint packs is opened by ole_slides.py, within the budget; olevba's own reader unpacks without a bound.
_Parser: Final = type("_Parser", (olevba.VBA_Parser,), {"open_ppt": lambda _: None})


def read_macros(data: bytes) -> Macros:
    """Return the macros of an OLE file. ``data`` must be what olefile opens; whatever else it is, this returns."""
    macros = Macros()
    with _bounded() as meter:
        try:
            parser: Any = _Parser("", data=data, relaxed=True, disable_pcode=True)
            # Streams that hang on no storage are read by no office program, and may be without number.
            parser.ole_file.direntries = [
                entry or parser.ole_file.root for entry in parser.ole_file.direntries
            ]
            read = _extract(parser, meter, macros)
            macros.stomped = "" if meter.full else _stomped(parser.ole_file, read, macros.code)
        except ERRORS as error:
            macros.broken = f"{type(error).__name__}: {error}"
    macros.full = meter.full
    return macros


def _extract(parser: Any, meter: _Meter, macros: Macros) -> set[str]:  # noqa: ANN401 - an object without types
    """Fill ``macros`` with what olevba extracts. Returns the names, in lower case, of the streams that had a source."""
    read: set[str] = set()
    try:
        for _, path, _, code in parser.extract_macros():
            meter.take(_size(parser.ole_file, path) // _COPYING)
            if meter.full:
                break
            if code and code.strip("\0 \t\r\n"):
                macros.sources.append(code)
                read.add(path.rpartition("/")[2].lower())
    except ERRORS as error:
        macros.broken = f"{type(error).__name__}: {error}"
    return read


def _size(ole: Any, path: str | None) -> int:  # noqa: ANN401 - an object of a library without types
    return int(ole.get_size(path)) if path and ole.exists(path) else 0


def _stomped(ole: Any, read: set[str], code: str) -> str:  # noqa: ANN401 - as above
    """Return the name of a module that has compiled code but no source, or "".

    Office runs the compiled code where its version fits, and shows no source. A source that was replaced by an
    empty module is told by the names in the compiled project: procedures that start by themselves and act.
    """
    for path in ole.listdir(streams=True, storages=False):
        if len(path) < 2 or path[-2].upper() != "VBA":
            continue
        name = path[-1]
        if path[-1].upper() == "_VBA_PROJECT" and not code.strip():
            table = ole.openstream(path).read(_MOST)
            # Names stand there in either width (MS-OVBA 2.3.4.1 leaves the form to each version).
            names = (*_IDENTIFIER.findall(table), *_IDENTIFIER.findall(table.replace(b"\0", b"")))
            if runs_and_acts(b"\n".join(names).decode("ascii", "replace")):
                return "the whole project"
        elif not _SUPPORT.fullmatch(name) and name.lower() not in read and ole.get_size(path) > _LEAST_CODE:
            return str(name)
    return ""


def runs_and_acts(code: str) -> bool:
    """Return whether VBA code is started by an event and then starts programs, writes files or fetches code."""
    code = _HONEST.sub(" ", olevba.vba_collapse_long_lines(_PROSE.sub(_kept, code)))
    raptor = MacroRaptor("\n".join(map(_few_searches, code.splitlines())))
    raptor.scan()
    starts = raptor.autoexec or _CALCULATED.search(code) is not None
    return bool(starts and (raptor.execute or raptor.write))


def _kept(found: re.Match[str]) -> str:
    return found[1] or " "


def _few_searches(line: str) -> str:
    """Return a line without all but the first words from which MacroRaptor searches on: it would be quadratic."""
    if len(line) < 1024:
        return line
    pieces = _SEARCHING.split(line, maxsplit=_MAX_SEARCHES)
    head = line[: len(line) - len(pieces[-1])]
    return head + _SEARCHING.sub(" ", pieces[-1])
