"""Excel 4 macro sheets in old workbooks (MS-XLS 2.3): found by their records, judged by oletools. Pure."""

import struct
from typing import Final

from oletools.mraptor import MacroRaptor
from oletools.thirdparty.oledump.plugin_biff import cBIFF

from .ole_macros import ERRORS

_BOUND_SHEET, _NAME, _FILE_PASS, _END = 0x85, 0x18, 0x2F, 0x0A
_MACRO_SHEET: Final = 1
_BUILT_IN: Final = 0x20
_AUTO_OPEN: Final = 1
_MOST: Final = 256 << 10  # bytes of a workbook whose formulas are written out: of these it takes a second
_OPTIONS: Final = ("-o BOUNDSHEET", "-o LABEL -r LN", "-c -r LN")  # as olevba calls it


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


def formulas(stream: bytes) -> str:
    """Return the names and formulas of a workbook's macro sheets as text, as far as oletools reads them."""
    lines: list[str] = []
    for options in _OPTIONS:
        try:
            lines += map(str, cBIFF(name=["Workbook"], stream=stream[:_MOST], options=options).Analyze())
        except ERRORS:
            continue
    return "\n".join(lines)


def runs_and_acts(text: str) -> bool:
    """Return whether the formulas start by themselves, and then programs or the like."""
    raptor = MacroRaptor(text)
    raptor.scan()
    return bool(raptor.suspicious)
