"""Takes the macros out of an Office document of the zip kind (OOXML; ECMA-376 part 2)."""

import io
import re
import zipfile
import zlib
from typing import Final

_TYPES: Final = "[Content_Types].xml"
# What holds macros or belongs to them, under any directory.
_MACROS: Final = re.compile(
    r"(?:^|/)(?:vbaProject(?:Signature(?:Agile|V3)?)?\.bin|vbaData\.xml|vbaProject\.bin\.rels)$",
    re.IGNORECASE,
)
# Macros of Excel 4 stand in sheets of their own, which the workbook needs: they cannot be cut out like this.
_SHEETS: Final = re.compile(r"(?:^|/)(?:macrosheets|intlmacrosheets|dialogsheets)/", re.IGNORECASE)
_ACTIVE: Final = re.compile(r"(?:^|/)(?:activeX|embeddings)/", re.IGNORECASE)
_ELEMENT: Final = re.compile(
    rb"<(?:Override|Relationship|Default)\b[^<>]*>(?:\s*</(?:Override|Relationship)>)?"
)
_ABOUT_MACROS: Final = re.compile(rb"vbaProject|vbaData|wordVbaData", re.IGNORECASE)
_MAX_MEMBERS: Final = 10_000
_MAX_BYTES: Final = 256 * 1024 * 1024


def without_macros(document: bytes) -> bytes | None:
    """Return the document without its VBA project and all that refers to it, or None if that cannot be done.

    None also for a document that has no VBA project: what made it dangerous is then something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(document)) as old:
            return _rewritten(old)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
        # RuntimeError: a member is encrypted.
        return None


def _rewritten(old: zipfile.ZipFile) -> bytes | None:
    members = old.infolist()
    names = [member.filename for member in members]
    if (
        _TYPES not in names
        or len(set(names)) != len(names)
        or len(names) > _MAX_MEMBERS
        or sum(member.file_size for member in members) > _MAX_BYTES
        or any(_SHEETS.search(name) or _ACTIVE.search(name) for name in names)
        or not any(_MACROS.search(name) for name in names)
    ):
        return None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in members:
            if _MACROS.search(member.filename):
                continue
            content = old.read(member)
            if member.filename == _TYPES or member.filename.lower().endswith(".rels"):
                content = _ELEMENT.sub(_unless_macros, content)
                if _ABOUT_MACROS.search(content):
                    return None
            fresh = zipfile.ZipInfo(member.filename, date_time=member.date_time)
            fresh.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(fresh, content)
    return out.getvalue()


def _unless_macros(element: re.Match[bytes]) -> bytes:
    return b"" if _ABOUT_MACROS.search(element[0]) else element[0]
