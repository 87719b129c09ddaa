"""Codes in text that are damaged as mail and people damage them; text in rare sets; text behind bytes that are none."""

import base64
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from .mail import CRLF, ENCODED, WORDS, attaching, base64_lines, entity, mixed, single, text_part, variant
from .variant import BANNED, ENCRYPTED, MALFORMED, NEVER, OVER_LIMIT, SUSPICIOUS, Build, Content, Variant
from .writers.der import opaque_signed
from .writers.oldarchives import apple_single, lha, mac_binary
from .writers.pack import pack
from .writers.textcodes import binhex, uu_lines, uuencode, xxencode, yencode
from .writers.zips import zip_of

_PLAIN: Final = b"Content-Type: text/plain; charset=us-ascii"
_FLOWED: Final = b"Content-Type: text/plain; format=flowed; delsp=yes"
_HTML: Final = b"Content-Type: text/html"
_ANY: Final = MALFORMED | BANNED | OVER_LIMIT | SUSPICIOUS


def _pieces(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def _before_lines(mark: bytes, text: bytes) -> bytes:
    return b"".join(mark + line + CRLF for line in text.splitlines())


def _paged(payload: bytes) -> bytes:
    lines = uuencode(payload).split(CRLF)
    return CRLF.join((*lines[:2], b"", b"Page 2 of the mail", b"", *lines[2:]))


def _miscounted(payload: bytes) -> bytes:
    lines = [uu_lines(piece).splitlines()[0] for piece in _pieces(payload, 30)]
    return CRLF.join((b"begin 644 notes.dat", *(b"M" + line[1:] for line in lines), b"`", b"end", b""))


def _signed(text: bytes) -> bytes:
    """Text under an OpenPGP signature may have dashes before any line (RFC 9580 7.1)."""
    end = b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQA=\r\n-----END PGP SIGNATURE-----\r\n"
    return b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n" + _before_lines(b"- ", text) + end


def _json(text: bytes) -> bytes:
    return b'{"file": "' + text + b'"}\r\n'


def _tagged(payload: bytes) -> bytes:
    return b"<bold>" + payload[:10] + b"</bold>" + payload[10:30] + b"<italic></italic>" + payload[30:] + CRLF


def _flowing(payload: bytes, mark: bytes = b"") -> bytes:
    return b" \r\n".join(mark + piece for piece in _pieces(payload, 20)) + CRLF


# Slug, title, what stands in the text, type, what the twin may be.
_TEXT: Final = (
    ("uu-two-blanks", "uuencode with two blanks for a mode", lambda p: uuencode(p).replace(b"begin 644 ", b"begin  "), _PLAIN, NEVER),
    ("uu-no-mode", "uuencode without a mode", lambda p: uuencode(p).replace(b"begin 644 ", b"begin "), _PLAIN, NEVER),
    ("uu-upper", "uuencode in capitals", lambda p: uuencode(p).replace(b"begin", b"BEGIN").replace(b"end", b"END"), _PLAIN, NEVER),
    ("uu-spaced", "uuencode with empty lines", lambda p: uuencode(p).replace(CRLF, CRLF * 2), _PLAIN, NEVER),
    ("uu-paged", "uuencode on two pages", _paged, _PLAIN, NEVER),
    ("uu-indented", "indented uuencode", lambda p: _before_lines(b"   ", uuencode(p)), _PLAIN, NEVER),
    ("uu-quoted-tight", "uuencode quoted without blanks", lambda p: _before_lines(b">", uuencode(p)), _PLAIN, NEVER),
    ("uu-quoted-twice", "uuencode quoted twice", lambda p: _before_lines(b">> ", uuencode(p)), _PLAIN, NEVER),
    ("uu-counts", "uuencode with wrong counts", _miscounted, _PLAIN, NEVER),
    ("uu-mode-decimal", "uuencode with a decimal mode", lambda p: uuencode(p, mode=b"999"), _PLAIN, NEVER),
    ("uu-form-feed", "uuencode on a new page", lambda p: b"\x0c" + uuencode(p), _PLAIN, NEVER),
    ("xx-spaced", "xxencode with empty lines", lambda p: xxencode(p).replace(CRLF, CRLF * 2), _PLAIN, NEVER),
    ("yenc-quoted", "yEnc in a quotation", lambda p: _before_lines(b"> ", yencode(p)), _PLAIN, NEVER),
    ("yenc-indented", "indented yEnc", lambda p: b" " + yencode(p), _PLAIN, NEVER),
    ("binhex-quoted", "BinHex in a quotation", lambda p: _before_lines(b"> ", binhex(p)), _PLAIN, NEVER),
    ("base64-signed", "base64 under a signature", lambda p: _signed(base64_lines(p)), _PLAIN, ENCRYPTED),
    ("uu-signed", "uuencode under a signature", lambda p: _signed(uuencode(p)), _PLAIN, ENCRYPTED),
    ("json-lines", "base64 in JSON, in lines", lambda p: _json(base64_lines(p, 40).replace(CRLF, b"\\n")), _PLAIN, NEVER),
    ("json-escapes", "base64 in JSON, escaped",
        lambda p: _json(b"".join(b"\\u%04x" % byte for byte in base64.b64encode(p))), _PLAIN, NEVER),
    ("flowed", "flowed text", _flowing, _FLOWED, NEVER),
    ("flowed-stuffed", "flowed text, stuffed", lambda p: _flowing(p, b" "), _FLOWED, NEVER),
    ("flowed-quoted", "flowed text, quoted", lambda p: _flowing(p, b"> "), _FLOWED, NEVER),
    ("enriched", "text/enriched", _tagged, b"Content-Type: text/enriched", NEVER),
    ("richtext", "text/richtext", _tagged, b"Content-Type: text/richtext", NEVER),
)  # fmt: skip

# Slug, file whose base64 stands in a text without a label.
_FILES: Final[tuple[tuple[str, Content], ...]] = (
    ("cms", lambda p: opaque_signed(zip_of(p))),
    ("tar-z", lambda p: pack(p, "ustar", through="compress")),
    ("z", lambda p: pack(p, "raw", through="compress")),
    ("lz4", lambda p: pack(p, "raw", through="lz4")),
    ("lzip", lambda p: pack(p, "raw", through="lzip")),
    ("lha", lambda p: lha(p, 1)),
    ("lzma", lambda p: lzma.compress(p, lzma.FORMAT_ALONE)),
    ("zlib", lambda p: zlib.compress(p, 1)),
    ("applesingle", lambda p: apple_single(zip_of(p))),
    ("macbinary", lambda p: mac_binary(zip_of(p))),
    ("utf-16-be", lambda p: p.decode("ascii").encode("utf-16-be")),
)

# Slug, bytes before a text that make it look like another kind.
_BEFORE: Final = (
    ("control", b"\x01\x02 Hello\r\n"), ("nul", b"Hello\0\r\n"), ("mmdf", b"\1\1\1\1\r\n"), ("escape", b"\x1b[1mHi\x1b[0m\x07\r\n"),
    ("postscript", b"%!PS\r\n"), ("gif", b"GIF89a\r\n"), ("photoshop", b"8BPS\r\n"), ("program", b"MZ\x90\0\r\n"),
    ("jpeg", b"\xff\xd8\xff\r\n"), ("zip-end", b"PK\5\6\r\n"), ("png", b"\x89PNG\r\n\x1a\n\r\n"), ("flash", b"FWS\x05aaaaa\r\n"),
    ("font", b"OTTO\0\r\n"), ("pdf", b"%PDF-1.4\r\n"), ("noise", b"Good morning.\r\n" * 250 + bytes(range(4)) * 20 + CRLF),
)  # fmt: skip


def _seven(payload: bytes) -> bytes:
    """UTF-7 with a letter that is no ASCII, so that nobody guesses it."""
    text = ("\u00fc" + payload.decode("ascii")).encode("utf-16-be")
    return b"+" + base64.b64encode(text).rstrip(b"=") + b"-"


def _wide(codec: str) -> Content:
    return lambda payload: ("\u4e2d" * 40 + payload.decode("ascii")).encode(codec)


def _shifted(shift: bytes, start: bytes = b"") -> Content:
    return lambda payload: start + shift.join(_pieces(payload, 5))


def _ibm_1047(payload: bytes) -> bytes:
    text = payload.decode("ascii").encode("cp037")
    return text.translate(bytes.maketrans(b"\xba\xbb\xb0", b"\xad\xbd\x5f"))


# Slug, parameter, encoder.
_CHARSETS: Final[tuple[tuple[str, bytes, Content], ...]] = (
    ("utf-7-2231", b"charset*=us-ascii''utf-7", _seven),
    ("utf-7-pieces", b"charset*0=utf; charset*1=-7", _seven),
    ("utf-7-second", b"charset=us-ascii; charset=utf-7", _seven),
    ("utf-7-escaped", b'charset="utf\\-7"', _seven),
    ("utf-7-comment", b"charset=(c)utf-7", _seven),
    ("utf-7-registered", b"charset=csUnicode11UTF7", _seven),
    ("utf-7-old", b"charset=x-unicode-2-0-utf-7", _seven),
    ("utf-16-unmarked-be", b"charset=utf-16", _wide("utf-16-be")),
    ("utf-16-unmarked-le", b"charset=utf-16", _wide("utf-16-le")),
    ("utf-16-fffe", b"charset=unicodeFFFE", _wide("utf-16-be")),
    ("utf-16-unicode", b"charset=unicode", _wide("utf-16-le")),
    ("ucs-2", b"charset=ISO-10646-UCS-2", _wide("utf-16-be")),
    ("ucs-4", b"charset=ISO-10646-UCS-4", _wide("utf-32-be")),
    ("iso-2022-jp-2231", b"charset*=''iso-2022-jp", _shifted(b"\x1b(B")),
    ("iso-2022-jp-ms", b"charset=x-iso-2022-jp-ms", _shifted(b"\x1b(B")),
    ("iso-2022-jp-50220", b"charset=cp50220", _shifted(b"\x1b(B")),
    ("iso-2022-kr", b"charset=iso-2022-kr", _shifted(b"\x0e\x0f", b"\x1b$)C")),
    ("iso-2022-cn", b"charset=iso-2022-cn", _shifted(b"\x0e\x0f")),
    ("iso-2022-unsaid", b"charset=us-ascii", _shifted(b"\x1b(B")),
    ("ebcdic-1047", b"charset=ibm1047", _ibm_1047),
    ("ebcdic-old", b"charset=x-ebcdic-unitedstates", lambda p: p.decode("ascii").encode("cp037")),
    ("nul-between", b"charset=us-ascii", lambda p: b"\0".join(_pieces(p, 1))),
)


def _text(title: str, code: Content, kind: bytes) -> Build:
    return lambda payload: single(title, WORDS + CRLF + code(payload) + b"\r\nKind regards\r\n", kind)


def _part(title: str, code: Content, kind: bytes = _PLAIN) -> Build:
    return lambda payload: mixed(title, text_part(), entity(base64_lines(code(payload)), kind, ENCODED))


def _scripted(before: bytes) -> Content:
    def page(payload: bytes) -> bytes:
        pieces = b"'+'".join(_pieces(base64.b64encode(payload), 9))
        return before + b"<html><body><script>x=atob('" + pieces + b"')</script></body></html>\r\n"

    return page


def _coded(before: bytes) -> Content:
    return lambda payload: before + WORDS + uuencode(payload)


def _inline(file: Content) -> Content:
    return lambda payload: _json(base64.b64encode(file(payload)))


def _lines(file: Content) -> Content:
    return lambda payload: base64_lines(file(payload))


def _table() -> Iterator[Variant]:
    for slug, title, code, kind, may in _TEXT:
        yield variant(f"text-embedded.{slug}", title, _text(title, code, kind), may)
    forms: tuple[tuple[str, Callable[[Content], Content]], ...] = (("lines", _lines), ("inline", _inline))
    for slug, file in _FILES:
        for form, write in forms:
            title = f"base64 of {slug}, {form}"
            yield variant(f"text-embedded.base64-{form}-{slug}", title, _text(title, write(file), _PLAIN))
    for slug, before in _BEFORE:
        title = f"uuencode behind {slug}"
        yield variant(f"text-embedded.behind-{slug}", title, _part(title, _coded(before)), _ANY)
        title = f"a page behind {slug}"
        yield variant(f"html-smuggling.behind-{slug}", title, _part(title, _scripted(before), _HTML), _ANY)
    for slug, parameter, encode in _CHARSETS:
        title = f"text in {slug}"
        kind = b"Content-Type: text/plain; " + parameter
        yield variant(f"text-embedded.set-{slug}", title, _part(title, encode, kind), MALFORMED)


VARIANTS: Final = (
    *_table(),
    variant(
        "text-embedded.yenc-zip",
        "a zip in yEnc in base64",
        _part("yEnc", lambda p: WORDS + yencode(zip_of(p))),
    ),
    attaching("text-embedded.yenc-file", "a zip in a file of yEnc", lambda p: yencode(zip_of(p))),
)
