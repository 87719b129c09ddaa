"""A reader of HTML that does by hand what a browser would do with the corpus' pages."""

import html
import re
import urllib.parse
from collections.abc import Iterator

from tests.unit.corpus.lenient_mail import base64_of

_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`", re.DOTALL)


def pages(blob: bytes) -> Iterator[bytes]:
    """Whatever a page says, shows or builds."""
    if not re.search(rb"(?i)<(html|svg|pre|body|script|a |b>|p>)", blob):
        return
    text = blob.decode("latin-1")
    plain = html.unescape(text)
    for one in (text, plain):
        yield from _uris(one)
    yield html.unescape(re.sub(r"<[^>]*>", "", text)).strip().encode("latin-1", "ignore")
    yield plain.encode("latin-1", "ignore") if plain != text else b""
    for script in re.findall(r"(?s)<script>(.*?)</script>", plain):
        yield from _script(script)


def _uris(text: str) -> Iterator[bytes]:
    for head, data in re.findall(r"(?i)data:([^,\"'<>()]*),([^\"'<>)]*)", re.sub(r"\s*\n\s*", "", text)):
        raw = urllib.parse.unquote_to_bytes(data)
        yield base64_of(raw) if "base64" in head.lower() else raw


def _script(script: str) -> Iterator[bytes]:
    before = script.partition("const a=")[0]
    literals = [a or b or c for a, b, c in _LITERAL.findall(before)]
    for text in (*literals, "".join(literals)):
        joined = re.sub(r"\\\r?\n", "", text)
        yield base64_of(joined.encode("latin-1", "ignore"))
        yield base64_of(joined[::-1].encode("latin-1", "ignore"))
        yield urllib.parse.unquote_to_bytes(joined)
        yield _codes(r"%u([0-9a-f]{4})", joined, 16)
        yield _codes(r"\\x([0-9a-f]{2})", joined, 16)
        yield _codes(r"\\u([0-9a-f]{4})", joined, 16)
        yield _codes(r"\\([0-7]{3})", joined, 8)
        if re.fullmatch(r"(?:[0-9a-f]{2})+", joined):
            yield bytes.fromhex(joined)
    for listed in re.findall(r"[\[(]((?:(?:0x)?[0-9a-f]+,){9,}(?:0x)?[0-9a-f]+)", before):
        values = [int(one, 0) for one in listed.split(",")]
        yield bytes(value & 255 for value in values)
        for mask in re.findall(r"\^(\d+)", before):
            yield bytes((value ^ int(mask)) & 255 for value in values)


def _codes(pattern: str, text: str, base: int) -> bytes:
    return bytes(int(code, base) & 255 for code in re.findall(pattern, text))
