"""Macros in OLE files: VBA sources (MS-OVBA 2.4.1) and Excel 4 macro sheets; what they do. Pure."""

import re
import struct
from collections.abc import Iterator
from typing import Final

_MAX_SOURCE: Final = 4 << 20
# A compressed module begins with its signature, a chunk's size and "Attribut": the text that every module has first.
_MODULE: Final = re.compile(rb"\x01..\0Attribut", re.DOTALL)
_CHUNK: Final = 3
_AUTORUN: Final = re.compile(
    r"\b(?:auto_?(?:open|exec|close|exit|new|activate|deactivate)|document_?(?:open|close|new|beforeclose|change)"
    r"|workbook_?(?:open|activate|close|beforeclose|beforesave|addininstall|sheetactivate)|worksheet_(?:activate|change"
    r"|calculate)|[a-z]\w{0,40}_(?:layout|painted|painting|gotfocus|mousemove|mousehover|resize|initialize"
    r"|onconnecting|beforenavigate2|documentcomplete|titlechange|sheetcalculate))\s*\(",
    re.IGNORECASE,
)
# What starts programs, fetches code, or builds it from pieces. A plain CreateObject of a dictionary is in many an
# honest workbook, so CreateObject counts with what it makes, or where that is not said in plain text.
_HOSTILE: Final = re.compile(
    r"\bshell(?:execute\w*)?\b\s*\(?\s*[\"\w(]|wscript\.shell|shell\.application|powershell|\bcmd(?:\.exe)?\s*/[ck]\b"
    r"|mshta|rundll32|regsvr32|certutil|bitsadmin|urldownloadtofile|winhttp|xmlhttp|internetexplorer\.application"
    r"|adodb\.stream|savetofile|winmgmts|win32_process|virtualalloc|createremotethread|rtlmovememory|createthread"
    r"|\bcallbyname\b|\bmacscript\b|applescripttask|executeexcel4macro|\bpopen\b|\bsystem\s*\(|getobject\s*\(\s*[^\")]"
    r"|createobject\s*\(\s*(?!\"[\w.]+\"\s*\))|\bdeclare\s+(?:ptrsafe\s+)?(?:function|sub)\b|schtasks|\bunescape\b",
    re.IGNORECASE,
)
_BOUND_SHEET, _NAME, _FILE_PASS, _END = 0x85, 0x18, 0x2F, 0x0A  # MS-XLS 2.3
_MACRO_SHEET: Final = 1
_BUILT_IN: Final = 0x20
_AUTO_OPEN: Final = 1


def sources(stream: bytes) -> Iterator[str]:
    """Yield the VBA sources that a stream of a VBA storage holds."""
    for match in _MODULE.finditer(stream):
        yield decompressed(stream, match.start()).decode("latin-1")


def decompressed(stream: bytes, start: int) -> bytes:
    """Return what the compressed container at ``start`` holds, up to its first broken chunk."""
    done, at = bytearray(), start + 1
    while at + 2 <= len(stream) and len(done) < _MAX_SOURCE:
        head = struct.unpack_from("<H", stream, at)[0]
        end = min(at + (head & 0x0FFF) + 3, len(stream))
        if head >> 12 & 7 != _CHUNK:
            break
        if head >> 15:
            done += _chunk(stream[at + 2 : end])
        else:
            done += stream[at + 2 : end]
        at = end
    return bytes(done)


def _chunk(packed: bytes) -> bytes:
    """Return one chunk: eight tokens to a byte of flags, each a letter or a copy of what came before."""
    done, at = bytearray(), 0
    while at < len(packed):
        flags, at = packed[at], at + 1
        for bit in range(8):
            if at >= len(packed):
                break
            if not flags >> bit & 1:
                done.append(packed[at])
                at += 1
                continue
            if at + 2 > len(packed) or not done:
                return bytes(done)
            token = struct.unpack_from("<H", packed, at)[0]
            at += 2
            # The longer the chunk so far, the more bits of a token tell the distance (2.4.1.3.19.1).
            width = max(4, (len(done) - 1).bit_length())
            distance, length = (token >> 16 - width) + 1, (token & 0xFFFF >> width) + 3
            if distance > len(done):
                return bytes(done)
            for _ in range(length):
                done.append(done[-distance])
    return bytes(done)


def runs_by_itself(source: str) -> bool:
    """Return whether a macro has a procedure that the application calls without being asked."""
    return bool(_AUTORUN.search(source))


def is_hostile(source: str) -> bool:
    """Return whether a macro does what an honest one seldom does."""
    return bool(_HOSTILE.search(source))


class Workbook:
    """What the records of an old workbook's stream say before the first sheet."""

    def __init__(self, stream: bytes) -> None:
        self.macro_sheets = 0
        self.auto_open = False
        self.encrypted = False
        at = 0
        while at + 4 <= len(stream):
            kind, size = struct.unpack_from("<HH", stream, at)
            body = stream[at + 4 : at + 4 + size]
            if kind == _BOUND_SHEET and len(body) > 5:
                self.macro_sheets += body[5] == _MACRO_SHEET
            elif kind == _FILE_PASS:
                self.encrypted = True
            elif kind == _NAME and len(body) > 15:
                self._name(body)
            elif kind == _END:
                return
            at += 4 + size

    def _name(self, body: bytes) -> None:
        flags, length = struct.unpack_from("<H", body)[0], body[3]
        text = body[14:]
        if (flags & _BUILT_IN and text[1:2] == bytes((_AUTO_OPEN,))) or (
            b"auto_open" in text[: length * 2 + 1].replace(b"\0", b"").lower()
        ):
            self.auto_open = True
