"""What a script makes a file at the reader's with, and under which name."""

import re
import sys
from collections.abc import Iterator
from typing import Final

_BUILDS: Final = re.compile(
    r"createObjectURL|\bBlob\b|msSave(?:OrOpen)?Blob|new\s+File\s*\(|showSaveFilePicker|\bsaveAs\s*\(|\.download\b"
    r"|[\"']download[\"']|\bdownload\b=|ADODB\.Stream|FileSystemObject|(?:location|href)\b[^;\n]{0,40}data:"
    r"|open\(\s*[\"']data:|HTMLAnchorElement|createWritable|requestFileSystem|\.blob\(\)|data:application/(?:octet|x-|zip)"
)
SINKS: Final = frozenset({"download", "Blob", "createObjectURL", "msSaveBlob", "msSaveOrOpenBlob"})
_NAMES: Final = (
    re.compile(r"\bdownload(?:[\"']\s*\])?\s*=\s*([\"'`])([^\"'`]{1,200})\1"),
    re.compile(r"[\"']download[\"']\s*,\s*([\"'`])([^\"'`]{1,200})\1"),
    re.compile(
        r"(?:new\s+File|\bsaveAs|msSave(?:OrOpen)?Blob)\s*\([^;\"'`]{0,200}([\"'`])([^\"'`]{1,200})\1"
    ),
)
_CODE: Final = r"(?:0[xX][0-9a-fA-F]{1,4}+|\d{1,5}+)"
_CODES: Final = re.compile(
    rf"(?:fromCharCode|fromCodePoint)\s*+\(\s*+({_CODE}(?:\s*+,\s*+{_CODE}){{1,40}}+)\s*+\)"
)


def builds(text: str) -> bool:
    """Return whether a script, or its texts, name what makes a file at the reader's."""
    return _BUILDS.search(text) is not None


def short_codes(code: str) -> Iterator[str]:
    """Yield short texts that a script writes in numbers, as names of what it calls are."""
    for found in _CODES.finditer(code):
        numbers = (int(one, 16 if "x" in one.lower() else 10) for one in found[1].split(","))
        yield "".join(chr(min(one, sys.maxunicode)) for one in numbers)


def name_of(code: str, texts: list[str]) -> str:
    """Return the name under which a script saves its file, or "" if it is not written out."""
    for pattern in _NAMES:
        if found := pattern.search(code):
            return found[2]
    named = (one.removeprefix("download") for one in texts if one.startswith("download") and "." in one)
    return next(named, "")
