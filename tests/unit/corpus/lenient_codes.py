"""Readers of what is cut up or written in a code: each undoes one trick and yields the whole, for the others to read."""

import base64
import binascii
import bz2
import contextlib
import html
import itertools
import re
import struct
import zlib
from collections.abc import Iterator

from tests.unit.corpus.lenient_mail import base64_of, uu_of

_ENCODING = re.compile(rb"(?im)^(content-transfer-encoding:)[ \t]*([^\r\n]*)")
_WORD = re.compile(rb"(?i)=\?[^?]*\?(b|q)\?([^?]*)\?=")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|([0-7]{3})|(.))", re.DOTALL)
_LITERAL = re.compile(rb"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_NUMBER = re.compile(rb"\b(?:0x[0-9a-f]+|0o[0-7]+|0b[01]+|\d+)\b")
_REPLACED = re.compile(rb"(?:replace|replaceAll)\((?:/(.*?)/g|'(.*?)'),'(.*?)'\)")
_HIDDEN = re.compile(rb"(?:data-n|class)=\"([^\"]*)\"|<i hidden>([^<]*)|<template id=t>([^<]*)")


def fields(blob: bytes) -> Iterator[bytes]:
    """The encoding without comments, encoded words decoded; names of one letter written out."""
    plain = _ENCODING.sub(_plain_encoding, blob)
    if plain != blob:
        yield plain


def _plain_encoding(found: re.Match[bytes]) -> bytes:
    value = _WORD.sub(
        lambda word: base64.b64decode(word[2]) if word[1] in b"bB" else _escapes(word[2]), found[2]
    )
    value = re.sub(rb"\([^)]*\)", b"", value)
    return found[1] + b" " + {b"b": b"base64", b"q": b"quoted-printable"}.get(value, value)


def _escapes(text: bytes) -> bytes:
    return binascii.a2b_qp(text, header=True)


def loose_lines(blob: bytes) -> Iterator[bytes]:
    """Lines without what stands before them, without empty ones; uuencode by the lengths of its lines."""
    lines = blob.replace(b"\r\n", b"\n").split(b"\n")
    bare = [re.sub(rb"\A(?:- |[>|]+ ?|[ \t]{1,4}|\d+: )", b"", line) for line in lines]
    if any(b"begin" in line or b"=ybegin" in line or b"BinHex" in line for line in lines):
        kept = [line for line in bare if line and not line.startswith(b"Page ")]
        yield b"\r\n".join(kept)
        yield b"\r\n".join(bare)
        starts = [at for at, line in enumerate(kept) if line.startswith(b"begin")]
        for start in starts:
            data = [line for line in kept[start + 1 :] if len(line) > 1 and line != b"end"]
            yield b"".join(uu_of([bytes((32 + (len(line) - 1) * 3 // 4,)) + line[1:]]) for line in data)
    numbered = [line for line, old in zip(bare, lines, strict=True) if re.match(rb"(?:\d+: |- )", old)]
    yield base64_of(b"".join(numbered))
    yield base64_of(re.sub(rb"<br>|\s", b"", b"".join(re.findall(rb"[A-Za-z0-9+/=]+<br>", blob))))


def xx_lines(blob: bytes) -> Iterator[bytes]:
    """Lines of xxencode without begin."""
    alphabet = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    out = b""
    for line in blob.replace(b"\r\n", b"\n").split(b"\n"):
        if len(line) > 4 and set(line) <= set(alphabet) and len(line) % 4 == 1:
            values = bytes(alphabet.index(byte) + 32 for byte in line)
            out += uu_of([values])
    if out:
        yield out


def texts(blob: bytes) -> Iterator[bytes]:
    """Text as it is shown: flowed lines joined, folds and tags and shifts left out, in ASCII."""
    for pattern in (
        rb"(?: \r\n(?:> | )?)|^(?:> | )", rb"\r\n[ \t]", rb"<[^<>]*>", rb"\x1b\$?[()]?[@-Z]|[\x0e\x0f]", rb"\0",
        rb"[ \t\r\n]+",
    ):  # fmt: skip
        plain = re.sub(pattern, b"", blob, flags=re.MULTILINE)
        if plain != blob and len(plain) < 20_000:
            yield plain
    if b"ENCODING=QUOTED-PRINTABLE" in blob:
        yield binascii.a2b_qp(blob)
    if blob[:1] > b"\x7f" or b"\xe2\xf3" in blob or len(blob) < 200:
        text = blob.decode("cp037").encode("ascii", "ignore")
        yield text
        yield (
            blob.translate(bytes.maketrans(b"\xad\xbd\x5f", b"\xba\xbb\xb0"))
            .decode("cp037")
            .encode("ascii", "ignore")
        )


def open_pgp(blob: bytes) -> Iterator[bytes]:
    """A compressed packet of either form, armoured or not."""
    if found := re.search(rb"-----BEGIN PGP MESSAGE[^\n]*\n\s*([A-Za-z0-9+/=\s]+)", blob):
        yield base64_of(found[1])
    body = blob[1:] if blob[:1] == b"\xa3" else blob[2:] if blob[:1] == b"\xc8" else b""
    if body[:1] in {b"\1", b"\2"}:
        yield zlib.decompressobj(-15 if body[:1] == b"\1" else 15).decompress(body[1:])
    elif body[:1] == b"\3":
        yield bz2.decompress(body[1:])


def packed(blob: bytes) -> Iterator[bytes]:
    """LZFu that copies nothing, raw deflate, hexadecimal groups and escapes of RTF."""
    if blob[8:12] == b"LZFu":
        yield b"".join(blob[at + 1 : at + 9] for at in range(16, len(blob), 9))
    if len(blob) < 4000:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(-15).decompress(blob)
    if blob.startswith(b"{\\rt"):
        yield re.sub(rb"\\'([0-9a-f]{2})", lambda found: bytes((int(found[1], 16),)), blob)
        yield re.sub(rb"\{\\\*\\htmltag64 |\}", b"", blob)
        yield from (
            bytes.fromhex(found[1].decode()) for found in re.finditer(rb" ((?:[0-9a-f]{2}){40,})", blob)
        )


def xml(blob: bytes) -> Iterator[bytes]:
    """XML with its cuts, references and entities undone, and what a style sheet joins."""
    if not blob.lstrip().startswith(b"<?xml"):
        return
    named = dict(re.findall(rb"<!ENTITY (\w) [\"'](.*?)[\"']>", blob))
    text = re.sub(rb"&(\w);", lambda found: named.get(found[1], found[0]), blob)
    text = re.sub(rb"<!--.*?-->|<!\[CDATA\[|\]\]>", b"", text)
    yield re.sub(rb"&#x?[0-9a-f]+;", lambda found: html.unescape(found[0].decode()).encode(), text)
    yield b"".join(b"".join(pair) for pair in re.findall(rb"concat\('(.*?)','(.*?)'\)", text))


def pdf_streams(blob: bytes) -> Iterator[bytes]:
    """Streams of a PDF with the predictors undone, all joined; its script's strings."""
    whole = b""
    for head, data in re.findall(rb"(?s)<<([^\n]*?)>>\s*stream\n(.*?)\nendstream", blob):
        try:
            plain = zlib.decompressobj().decompress(data.lstrip())
        except zlib.error:
            continue
        whole += plain
        yield plain
        for start in (0, 1) if b"DecodeParms" in head else ():
            yield bytes(total & 255 for total in itertools.accumulate(plain[start:]))
    yield whole
    if b"/JS" in blob:
        yield b"".join(re.findall(rb"'([A-Za-z0-9+/=]+)'", blob))


def scripts(blob: bytes) -> Iterator[bytes]:
    """Literals of a script, unescaped, joined forwards and backwards, marks taken out; the texts of hidden elements."""
    if len(blob) > 100_000 or not any(mark in blob for mark in (b"'", b'"', b"echo ")):
        return
    found = [_ESCAPE.sub(_unescaped, one[1] or one[2] or b"") for one in _LITERAL.finditer(blob)]
    yield from (one for one in found if len(one) > 40)
    letters = [one for one in found if re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}\n?|=", one)]
    for pieces in (letters, [one for one in letters if len(one) > 3 or one is letters[-1]], letters[::-1]):
        yield base64_of(b"".join(pieces))
        for size in {len(one) for one in pieces}:
            same = [
                one
                for at, one in enumerate(pieces)
                if len(one) == size or (at and len(pieces[at - 1]) == size)
            ]
            yield base64_of(b"".join(same))
            yield base64_of(b"".join(same[::-1]))
            backwards = [one for one in letters if len(one) <= size]
            yield base64_of(b"".join(backwards[::-1]))
    for pattern, text, other in _REPLACED.findall(blob):
        yield blob.replace(pattern or text, other)
    for hidden in zip(*_HIDDEN.findall(blob), strict=True) if _HIDDEN.search(blob) else ():
        yield base64_of(b"".join(hidden))
    yield base64_of(b"".join(re.findall(rb"echo ([A-Za-z0-9+/=]+) ?>>", blob)))


def _unescaped(found: re.Match[bytes]) -> bytes:
    if digits := found[1] or found[2]:
        return bytes((int(digits, 16) & 255,))
    return (
        bytes((int(found[3], 8) & 255,))
        if found[3]
        else {b"n": b"\n", b"r": b"", b"\n": b""}.get(found[4], found[4])
    )


def numbers(blob: bytes) -> Iterator[bytes]:
    """Lists of numbers as bytes, as words; turned round, moved, complemented; what stands under a key or packed."""
    for listed in (*re.findall(rb"\[((?:[0-9a-fxob]+,){9,}[^\]]+)\]", blob), *re.findall(rb"x = ((?:Chr.*)+)", blob),
                   *re.findall(rb"\]\$x = (.*)", blob), *re.findall(rb"(?s)hex:(.*)", blob)):  # fmt: skip
        form = 16 if b"hex:" in blob else 0
        values = [int(one, form) for one in re.findall(rb"\b[0-9a-f]{2}\b" if form else _NUMBER, listed)]
        if max(values) > 255:
            yield b"".join(struct.pack("<H" if max(values) < 1 << 16 else "<I", one) for one in values)
            continue
        for moved in (0, -7, 3):
            yield bytes((one + moved) & 255 for one in values)
        yield bytes(values[::-1])
        yield bytes(one ^ 255 for one in values)
    if b"^90" in blob:
        yield from (
            bytes(byte ^ 90 for byte in base64_of(one)) for one in re.findall(rb"atob\('(.*?)'\)", blob)
        )
    for style in re.findall(rb"url\(([^)]*)\)", blob):
        yield re.sub(rb"\\([0-9a-f]{6})", lambda found: bytes((int(found[1], 16),)), style)
