"""Packed bytes without a container: compressed RTF of Outlook, streams of Hangul documents, Flash; texts of shortcuts.

Sources: [MS-OXRTFCP] 2.1 and 3.1 (LZFu), the HWP 5.0 format note (raw deflate), SWF 19 (chapter 2), [MS-SHLLINK].
"""

import re
from collections.abc import Iterator
from typing import Final

from .harvest import Content, Harvest
from .inflate import RAW, inflated

_START: Final = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArial"
    rb"Times New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_WINDOW: Final = 4096
_LEAST: Final = 16
_FLASH_HEAD: Final = 8
_WIDE_TEXT: Final = re.compile(rb"(?:[\t\r\n -~]\0){16,}+")
_TEXT: Final = re.compile(rb"[\t\r\n -~]{16,}+")
_MAX_TEXTS: Final = 200


def is_packed_rtf(content: Content) -> bool:
    """Return whether these are the bytes of PidTagRtfCompressed."""
    return content.data[8:12] == b"LZFu"


def open_packed_rtf(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the RTF."""
    data = harvest.budget.read_all(_unpacked_rtf(content.data), len(content.data))
    yield content.inner(1, data, "rtf")


def _unpacked_rtf(data: bytes) -> Iterator[bytes]:
    """Yield the pieces: of each eight tokens a bit says whether it is a letter or a place and length before."""
    window, place, at = bytearray(_START.ljust(_WINDOW, b" ")), len(_START), 16
    while at < len(data):
        flags, at, done = data[at], at + 1, bytearray()
        for bit in range(8):
            if at >= len(data):
                break
            if flags >> bit & 1:
                token = int.from_bytes(data[at : at + 2], "big")
                at += 2
                start, length = token >> 4, (token & 15) + 2
                if start == place:
                    yield bytes(done)
                    return
            else:
                start, length = -1, 1
            for step in range(length):
                byte = data[at] if start < 0 else window[(start + step) % _WINDOW]
                done.append(byte)
                window[place] = byte
                place = (place + 1) % _WINDOW
            at += start < 0
        yield bytes(done)


def may_be_deflated(content: Content) -> bool:
    """Return whether a stream of a compound file is of no known kind: Hangul documents pack theirs."""
    return content.via == "ole" and content.kind == "unknown"


def open_deflated(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield a stream that is raw deflate from its first byte to its last."""
    data = harvest.budget.read_all(inflated(content.data, RAW), len(content.data))
    if len(data) >= _LEAST:
        yield content.inner(1, data, "deflate")


def open_flash(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the body of a Flash file under zlib."""
    if content.data.startswith(b"CWS"):
        data = harvest.budget.read_all(inflated(content.data[_FLASH_HEAD:]), len(content.data))
        yield content.inner(1, data, "swf")


def open_texts(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the texts in a shortcut: its arguments, and scripts that a host finds behind it."""
    texts = [found[0].replace(b"\0", b"") for found in _WIDE_TEXT.finditer(content.data)]
    texts += [found[0] for found in _TEXT.finditer(content.data)]
    for number, text in enumerate(texts[:_MAX_TEXTS], 1):
        harvest.budget.take_entry()
        yield content.inner(number, text, "text", claimed="text/html" if b"<" in text else "")
