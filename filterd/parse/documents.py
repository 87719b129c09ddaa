"""Opens what documents of several formats share: encryption, OneNote's files, ActiveMime; and their hostile targets."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msoffcrypto
from msoffcrypto.exceptions import DecryptionError, FileFormatError, InvalidKeyError, ParseError

from . import native, passwords
from .harvest import Content, Harvest

# A target that opening a document fetches from the Internet, or from another's file server.
FETCHED: Final = re.compile(r"\b(?:https?|ftps?|mhtml|mk|x-usc|ms-[a-z-]+)\s*:\s*[/!\\\w@]", re.IGNORECASE)
SHARED: Final = re.compile(r"\\\\[\w.@-]+\\|file:/{4,5}\w|file:/{2}(?![/A-Za-z]:)\w[\w.-]*/", re.IGNORECASE)
# Excel opens workbooks under this one without asking.
_CUSTOMARY: Final = ("VelvetSweatshop",)
# Each try hashes a hundred thousand times: a tenth of a second.
_MAX_TRIED: Final = 8
# What readers of binary formats raise where a file lies about itself.
BROKEN: Final = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    struct.error,
    OverflowError,
)
_ERRORS: Final = (
    *BROKEN,
    DecryptionError,
    FileFormatError,
    InvalidKeyError,
    ParseError,
    NotImplementedError,
)
_FILE_OBJECT: Final = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")  # MS-ONESTORE 2.6.13
_FILE_HEAD: Final = 36


def open_encrypted(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield an encrypted Office document as a password opens it; report it as encrypted if none does."""
    native.note()  # it uses OpenSSL and expat
    for password in (*_CUSTOMARY, *passwords.candidates(harvest, _MAX_TRIED)):
        harvest.budget.take_time()
        try:
            office = msoffcrypto.OfficeFile(io.BytesIO(content.data))
            office.load_key(password=password, verify_password=True)
            plain = io.BytesIO()
            office.decrypt(plain)
        except _ERRORS:
            continue
        harvest.note("document.password-in-body", content)
        data = plain.getvalue()
        harvest.budget.take_bytes(len(data))
        yield content.inner(1, data, "decrypted", name=content.name)
        return
    harvest.note("document.encrypted", content)


def open_onenote(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the files that a OneNote section holds."""
    number, at = 0, content.data.find(_FILE_OBJECT)
    while at != -1 and at + _FILE_HEAD <= len(content.data):
        harvest.budget.take_entry()
        size = struct.unpack_from("<Q", content.data, at + 16)[0]
        data = content.data[at + _FILE_HEAD : at + _FILE_HEAD + min(size, len(content.data))]
        harvest.budget.take_bytes(len(data))
        harvest.note("document.embedded-object", content)
        number += 1
        yield content.inner(number, data, "onenote")
        at = content.data.find(_FILE_OBJECT, at + _FILE_HEAD)


def open_sheet_text(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Report a sheet as text (CSV, SYLK) with a formula that starts a program, a SYLK sheet with Excel 4 macros."""
    if _CALL.search(content.data) and _FORMULA.search(content.data):
        harvest.note("document.dde", content)
    if content.kind == "sylk":
        if _SYLK_AUTO.search(content.data):
            harvest.note("document.macro-autorun", content, "Excel 4 macro that opens itself")
        elif _SYLK_MACRO.search(content.data):
            harvest.note("document.macro", content, "Excel 4 macro")
    yield from ()


# Records of SYLK: NN defines a name, O;E says that the sheet is one of macros, E is a cell's formula.
_SYLK_AUTO: Final = re.compile(rb"[\r\n][ \t]*+NN;(?:[^\r\n]*;)?N[ ]*+Auto_?Open", re.IGNORECASE)
_SYLK_MACRO: Final = re.compile(
    rb"[\r\n][ \t]*+O;(?:[^\r\n]*;)?E[ \t]*+(?=[;\r\n]|\Z)"
    rb"|;E[^;\r\n(]{0,100}(?<![A-Z])(?:EXEC|CALL|REGISTER|RUN|FOPEN)[ ]*+\(",
    re.IGNORECASE,
)
_PROGRAM: Final = (
    rb"(?:cmd|mshta|powershell|rundll32|regsvr32|[cw]script|msiexec|certutil)(?:\.exe)?[ ]{0,20}\|"
)
_CALL: Final = re.compile(_PROGRAM, re.IGNORECASE)  # what hardly a sheet has is looked for first
# A formula may also calculate before it calls: then what it asks for, behind the bang, shows that it is one.
_FORMULA: Final = re.compile(
    rb"(?:^|[,;\t\"'])[ ]{0,20}(?:(?:[=+@-][ ]{0,20}|E)%b|[=+@-][^|;\t\"'\r\n]{0,100}[(+*/&^=<>-]%b[^|\r\n]{1,500}!)"
    % (_PROGRAM, _PROGRAM),
    re.IGNORECASE | re.MULTILINE,
)


def open_active_mime(content: Content, harvest: Harvest) -> Iterator[Content]:
    """Yield the OLE file in an ActiveMime part (Word's editdata.mso): zlib data behind a short header."""
    for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", content.data[:1024]):
        unpacker = zlib.decompressobj()
        try:
            first = unpacker.decompress(content.data[match.start() :], 8)
        except zlib.error:
            continue
        if first:
            data = harvest.budget.read_all(_rest(first, unpacker), len(content.data))
            yield content.inner(1, data, "activemime")
            return


def _rest(first: bytes, unpacker: "zlib._Decompress") -> Iterator[bytes]:
    yield first
    while unpacker.unconsumed_tail and not unpacker.eof:
        try:
            yield unpacker.decompress(unpacker.unconsumed_tail, 1 << 18)
        except zlib.error:
            return
