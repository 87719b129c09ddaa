"""File names that show one thing to the reader and another to the filter. The payload itself is plain base64."""

import base64
from collections.abc import Iterator
from typing import Final

from .mail import ENCODED, attaching, base64_lines, mixed, rows, text_part, variant
from .variant import BANNED, MALFORMED, NEVER, SUSPICIOUS, Build, Variant
from .writers.zips import zip_of

_KIND: Final = b"Content-Type: application/octet-stream"
_SHOWN: Final = b"Content-Disposition: attachment"
_ODD: Final = MALFORMED | BANNED | SUSPICIOUS
# RIGHT-TO-LEFT OVERRIDE: what follows it is shown in reverse.
_OVERRIDE: Final = "\u202e".encode()
_FOLDER: Final = b".{00000000-0000-0000-c000-000000000046}"


def _word(name: bytes, charset: bytes = b"utf-8") -> bytes:
    return b"=?" + charset + b"?B?" + base64.b64encode(name) + b"?="


def _percent(name: bytes) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in name)


# Slug, title, type field, disposition field, what the twin may be.
_NAMES: Final = (
    ("none", "no name", _KIND, _SHOWN, NEVER),
    ("empty", "an empty name", _KIND + b'; name=""', _SHOWN + b'; filename=""', NEVER),
    ("bare", "a name without quotes", _KIND + b"; name=notes.dat", _SHOWN + b"; filename=notes.dat", NEVER),
    ("bare-blanks", "a name of words without quotes", _KIND, _SHOWN + b"; filename=my notes.dat", MALFORMED),
    ("only-type", "a name in the type alone", _KIND + b"; name=notes.dat", _SHOWN, NEVER),
    ("conflict", "two different names", _KIND + b"; name=notes.exe", _SHOWN + b"; filename=notes.txt", _ODD),
    ("conflict-reversed", "two different names, the other way round", _KIND + b"; name=notes.txt", _SHOWN + b"; filename=notes.exe", _ODD),
    ("twice", "the name given twice", _KIND, _SHOWN + b"; filename=notes.txt; filename=notes.exe", _ODD),
    ("override", "right-to-left override", _KIND, _SHOWN + b'; filename="notes' + _OVERRIDE + b'txt.exe"', _ODD),
    ("override-word", "right-to-left override in an encoded word",
        _KIND, _SHOWN + b'; filename="' + _word(b"notes" + _OVERRIDE + b"txt.exe") + b'"', _ODD),
    ("override-2231", "right-to-left override by RFC 2231",
        _KIND, _SHOWN + b"; filename*=utf-8''notes" + _percent(_OVERRIDE) + b"txt.exe", _ODD),
    ("class-id", "a class id for extension", _KIND, _SHOWN + b'; filename="notes.txt' + _FOLDER + b'"', _ODD),
    ("dots", "trailing dots", _KIND, _SHOWN + b'; filename="notes.exe..."', _ODD),
    ("blanks", "trailing blanks", _KIND, _SHOWN + b'; filename="notes.exe   "', _ODD),
    ("double", "two extensions", _KIND, _SHOWN + b'; filename="notes.txt.exe"', _ODD),
    ("double-blanks", "blanks between the extensions", _KIND, _SHOWN + b'; filename="notes.txt' + b" " * 60 + b'.exe"', _ODD),
    ("stream", "an alternate data stream", _KIND, _SHOWN + b'; filename="notes.exe::$DATA"', _ODD),
    ("nul", "NUL in the name", _KIND, _SHOWN + b'; filename="notes.exe\0.txt"', _ODD),
    ("escaped", "backslashes in the name", _KIND, _SHOWN + b'; filename="no\\tes\\.dat"', MALFORMED),
    ("quotes", "a quoted quote", _KIND, _SHOWN + b'; filename="no\\"tes.dat"', NEVER),
    ("path", "a path for name", _KIND, _SHOWN + b'; filename="../../notes.dat"', MALFORMED | SUSPICIOUS),
    ("path-windows", "a path of Windows", _KIND, _SHOWN + b'; filename="C:\\\\notes.dat"', MALFORMED | SUSPICIOUS),
    ("long", "a name of 5000 characters", _KIND, _SHOWN + b'; filename="' + b"n" * 5000 + b'.dat"', MALFORMED | frozenset({"over-limit"})),
    ("word", "an encoded word", _KIND + b'; name="' + _word("nötes.dat".encode()) + b'"', _SHOWN, NEVER),
    ("word-split", "an encoded word in two", _KIND, _SHOWN + b'; filename="' + _word(b"notes") + b"\r\n " + _word(b".dat") + b'"', NEVER),
    ("word-bare", "an encoded word without quotes", _KIND, _SHOWN + b"; filename=" + _word(b"notes.dat"), MALFORMED),
    ("word-unknown", "an encoded word of unknown charset",
        _KIND, _SHOWN + b'; filename="' + _word(b"notes.dat", b"x-none") + b'"', MALFORMED),
    ("2231", "RFC 2231", _KIND, _SHOWN + b"; filename*=utf-8'de'n%C3%B6tes.dat", NEVER),
    ("2231-split", "RFC 2231 in pieces", _KIND, _SHOWN + b";\r\n filename*0=not; filename*1=es.; filename*2=dat", NEVER),
    ("2231-mixed", "RFC 2231 in pieces, some encoded", _KIND, _SHOWN + b"; filename*0*=utf-8''n%C3%B6; filename*1=tes.dat", NEVER),
    ("2231-disorder", "RFC 2231 in disorder", _KIND, _SHOWN + b"; filename*1=es.dat; filename*0=not", MALFORMED),
    ("2231-gap", "RFC 2231 with a gap", _KIND, _SHOWN + b"; filename*0=notes; filename*2=.dat", MALFORMED),
    ("2231-both", "RFC 2231 and plain, as many send it", _KIND, _SHOWN + b"; filename=notes.dat; filename*=utf-8''n%C3%B6tes.dat", NEVER),
    ("2231-conflict", "RFC 2231 and plain disagree", _KIND, _SHOWN + b"; filename=notes.txt; filename*=utf-8''notes.exe", _ODD),
    ("eight-bit", "a raw name in UTF-8", _KIND, _SHOWN + b'; filename="n\xc3\xb6tes.dat"', MALFORMED),
    ("latin", "a raw name in Latin 1", _KIND, _SHOWN + b'; filename="n\xf6tes.dat"', MALFORMED),
    ("inline", "shown inline", _KIND + b"; name=notes.dat", b"Content-Disposition: inline", NEVER),
    ("unknown", "an unknown disposition", _KIND + b"; name=notes.dat", b"Content-Disposition: other; filename=notes.dat", NEVER),
    ("junk", "a disposition with junk", _KIND + b"; name=notes.dat", b"Content-Disposition: ; filename=notes.dat", MALFORMED),
    ("picture", "a picture's name and type",
        b"Content-Type: image/png; name=notes.png", _SHOWN + b"; filename=notes.png", SUSPICIOUS | BANNED),
    ("text", "a text's name and type", b"Content-Type: text/plain; name=notes.txt", _SHOWN + b"; filename=notes.txt", NEVER),
)  # fmt: skip


def _with_names(title: str, kind: bytes, shown: bytes) -> Build:
    def build(payload: bytes) -> bytes:
        return mixed(title, text_part(), rows(kind, shown, ENCODED, b"") + base64_lines(payload))

    return build


def _table() -> Iterator[Variant]:
    for slug, title, kind, shown, may in _NAMES:
        yield variant(f"file-name.{slug}", title, _with_names(title, kind, shown), may)


def _zip_variant(slug: str, title: str, name: bytes) -> Variant:
    return attaching(
        f"file-name.zip-{slug}", title, lambda p: zip_of(p, name), b"a.zip", b"application/zip", may=_ODD
    )


VARIANTS: Final = (
    *_table(),
    _zip_variant("double", "two extensions in a zip", b"notes.txt.exe"),
    _zip_variant("override", "right-to-left override in a zip", b"notes" + _OVERRIDE + b"txt.exe"),
    _zip_variant("dots", "trailing dots in a zip", b"notes.exe..."),
)
