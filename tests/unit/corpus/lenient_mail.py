"""A reader of mail that takes everything for what it might mean: each function yields what some client would show.

It proves that a variant can be read at all, so it is written apart from the product and knows no limits.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")
_RUN = re.compile(rb"(?:[A-Za-z0-9+/]{16,}={0,2}(?:[ \t]*\r?\n[ \t>]*)?)+[A-Za-z0-9+/]*={0,2}")
_FIELD = re.compile(rb"[ \t]|[!-9;-~\x80-\xff]+[ \t]*[: ]")
_BEGIN = re.compile(rb"^(?:> )?begin(-base64)? [0-7]+ .*$", re.MULTILINE)
_XX = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HQX = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_B64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def lines_of(blob: bytes) -> list[bytes]:
    """Lines, whatever ends them; NUL, form feed and vertical tab are nothing."""
    return re.split(rb"\r\n|\r|\n", re.sub(rb"[\0\x0b\x0c]", b"", blob))


def base64_of(text: bytes) -> bytes:
    """All of the text that is base64; padding may stand anywhere."""
    pieces = re.split(rb"=+", _NOT_BASE64.sub(b"", text))
    return b"".join(base64.b64decode(piece[: len(piece) - (len(piece) % 4 == 1)] + b"==") for piece in pieces)


def base64_run(blob: bytes) -> Iterator[bytes]:
    """Base64 that nobody has declared."""
    for run in _RUN.findall(blob):
        yield base64_of(run)


def _decoded(body: bytes, encodings: bytes) -> Iterator[bytes]:
    if b"base64" in encodings:
        yield base64_of(body)
        yield base64_of(body.translate(bytes.maketrans(b"-_", b"+/")))
        # A first line of noise, or lines that are no base64 behind it.
        yield from base64_run(body)
    if b"quoted" in encodings or re.search(rb"=[ \t]*(\r|\n)|(=[0-9A-Fa-f]{2}){4}", body):
        joined = re.sub(rb"=[ \t]*(\r\n|\r|\n)", b"", body)
        yield quopri.decodestring(joined)
    if b"uu" in encodings:
        yield uu_of(lines_of(body))


def parts(blob: bytes) -> Iterator[bytes]:
    """Split at every line that could be a delimiter; take every encoding that a header names."""
    if not re.search(rb"(?i)content-|^from[ :]", blob[:20_000], re.MULTILINE):
        return
    kept = re.split(rb"(?:^|\r\n|\r|\n)--[^\r\n]*", blob)
    for section in (blob, *kept):
        for head, body in _split(section):
            yield body
            yield from _decoded(body, head.lower())


def _split(section: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Where the header may end: at the first empty line, at the first line of blanks, before the first non-field."""
    text = re.sub(rb"[\0\x0b\x0c]", b"", section)
    for end in (rb"(?:\r\n|\r|\n)(?:\r\n|\r|\n)", rb"(?:\r\n|\r|\n)[ \t]*(?:\r\n|\r|\n)"):
        if found := re.search(end, text):
            yield (
                text[: found.start()],
                section[-(len(text) - found.end()) :] if text == section else text[found.end() :],
            )
    lines = lines_of(text.lstrip(b"\r\n"))
    fields = next((at for at, line in enumerate(lines) if not _FIELD.match(line)), len(lines))
    yield b"\n".join(lines[:fields]), b"\r\n".join(lines[fields:])


def uu_of(lines: list[bytes]) -> bytes:
    """Decode data lines; each tells its length, what lacks at its end is blanks."""
    out = b""
    for line in lines:
        if not line or line == b"end":
            continue
        length = (line[0] - 32) & 63
        values = [(byte - 32) & 63 for byte in line[1:].ljust(length * 2, b" ")]
        out += _groups(values)[:length]
    return out


def _groups(values: list[int]) -> bytes:
    out = bytearray()
    for at in range(0, len(values) - 3, 4):
        a, b, c, d = values[at : at + 4]
        out += bytes((a << 2 & 255 | b >> 4, b << 4 & 255 | c >> 2, c << 6 & 255 | d))
    return bytes(out)


def begun(blob: bytes) -> Iterator[bytes]:
    """Uuencode, its base64 form and xxencode, behind their begin line."""
    for found in _BEGIN.finditer(blob.replace(b"\r\n", b"\n")):
        lines = [
            line.removeprefix(b"> ") for line in lines_of(blob.replace(b"\r\n", b"\n")[found.end() + 1 :])
        ]
        ends = [at for at, line in enumerate(lines) if line in (b"end", b"====", b"`", b" ", b"", b"+")]
        data = lines[: min(ends, default=len(lines))]
        if found.group(1):
            yield base64_of(b"".join(data))
            continue
        yield uu_of(data)
        if all(set(line) <= set(_XX) for line in data):
            yield b"".join(_xx(line) for line in data)


def _xx(line: bytes) -> bytes:
    values = [_XX.index(byte) for byte in line]
    return _groups(values[1:])[: values[0]]


def yenc(blob: bytes) -> Iterator[bytes]:
    """All yEnc parts, in their order."""
    out, within = b"", False
    for line in blob.split(b"\r\n"):
        if line.startswith(b"=y"):
            within = not line.startswith(b"=yend")
        elif within:
            plain = re.sub(
                rb"=(.)", lambda found: bytes(((found.group(1)[0] - 64) % 256,)), line, flags=re.DOTALL
            )
            out += bytes((byte - 42) % 256 for byte in plain)
    if out:
        yield out


def binhex(blob: bytes) -> Iterator[bytes]:
    """The data fork of BinHex 4.0."""
    found = re.search(rb"BinHex 4\.0\)\s*:([^:]*):", blob)
    if not found:
        return
    text = re.sub(rb"\s", b"", found.group(1)).translate(bytes.maketrans(_HQX, _B64))
    data = binascii.a2b_base64(text + b"=" * (-len(text) % 4)).replace(b"\x90\0", b"\x90")
    name = data[0]
    size = int.from_bytes(data[name + 12 : name + 16], "big")
    yield data[name + 22 : name + 22 + size]


def charsets(blob: bytes) -> Iterator[bytes]:
    """Text as a client saves it: in ASCII."""
    for charset in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp500"):
        try:
            text = blob.decode(charset)
            plain = text.encode("ascii", "ignore")
        except UnicodeError:
            continue
        if plain != blob and len(plain) * 3 > len(text):
            yield plain


def unfolded(blob: bytes) -> Iterator[bytes]:
    """Calendar entries and cards: folds joined, the values of inline files."""
    if blob.startswith(b"BEGIN:V"):
        for value in re.findall(rb"(?:BASE64|=b)[^:\r\n]*:(\S+)", re.sub(rb"\r\n[ \t]", b"", blob)):
            yield base64_of(value)
