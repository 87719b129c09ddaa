"""HTML smuggling: a page that builds the file in the reader's browser, so that the mail carries none.

The twin may be suspicious or banned wherever it holds a script; plain HTML must pass.
"""

import base64
import html
import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Final

from .mail import (
    ENCODED,
    attaching,
    base64_lines,
    entity,
    mixed,
    quoted_printable,
    single,
    text_part,
    variant,
)
from .variant import BANNED, NEVER, SUSPICIOUS, Build, Variant
from .writers.zips import zip_of

_ACTIVE: Final = SUSPICIOUS | BANNED
_SAVE: Final = "const a=document.createElement('a');a.href=URL.createObjectURL(new Blob([d]));a.download='notes.dat';a.click();"


def _page(body: str) -> bytes:
    return f"<!DOCTYPE html>\r\n<html><head><title>Notes</title></head><body>\r\n{body}\r\n</body></html>\r\n".encode()


def _scripted(code: str) -> bytes:
    return _page(f"<script>\r\n{code}\r\n{_SAVE}\r\n</script>")


def _b64(payload: bytes) -> str:
    return base64.b64encode(payload).decode("ascii")


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _percent(payload: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in payload)


def _link(uri: str) -> bytes:
    return _page(f'<p><a href="{uri}" download="notes.dat">Notes</a></p>')


def _octets(payload: bytes) -> str:
    return "data:application/octet-stream;base64," + _b64(payload)


def _split(payload: bytes) -> bytes:
    parts = "+".join(f"'{piece}'" for piece in _pieces(_b64(payload), 9))
    return _scripted(f"const d=atob({parts});")


def _split_variables(payload: bytes) -> bytes:
    parts = _pieces(_b64(payload), 24)
    lines = "".join(f"var p{at}='{piece}';" for at, piece in enumerate(parts))
    return _scripted(f"{lines}const d=atob({'+'.join(f'p{at}' for at in range(len(parts)))});")


def _joined(payload: bytes) -> bytes:
    return _scripted(f"const d=atob({json.dumps(_pieces(_b64(payload), 16))}.join(''));")


def _reversed(payload: bytes) -> bytes:
    return _scripted(f"const d=atob('{_b64(payload)[::-1]}'.split('').reverse().join(''));")


def _numbers(payload: bytes, form: str) -> str:
    return ",".join(format(byte, form) for byte in payload)


def _hex_list(payload: bytes) -> str:
    return ",".join(f"0x{byte:02x}" for byte in payload)


def _escaped(payload: bytes, form: str) -> str:
    return "".join(form.format(byte) for byte in payload)


def _template(payload: bytes) -> bytes:
    lines = "\\\r\n".join(_pieces(_b64(payload), 20))
    return _scripted(f"const d=atob(`{lines}`);")


def _xored(payload: bytes) -> bytes:
    listed = ",".join(str(byte ^ 0x5A) for byte in payload)
    return _scripted(f"const d=new Uint8Array([{listed}].map(b=>b^90));")


def _hidden(payload: bytes) -> bytes:
    return _page(
        f'<input type="hidden" id="n" value="{_b64(payload)}"><script>const d=atob(n.value);{_SAVE}</script>'
    )


def _attribute(payload: bytes) -> bytes:
    return _page(
        f'<div id="n" data-n="{_b64(payload)}"></div><script>const d=atob(n.dataset.n);{_SAVE}</script>'
    )


def _source_document(payload: bytes) -> bytes:
    inner = html.escape(_link(_octets(payload)).decode(), quote=True)
    return _page(f'<iframe srcdoc="{inner}"></iframe>')


def _picture(payload: bytes) -> bytes:
    text = f"<svg xmlns='http://www.w3.org/2000/svg'><script>const d=atob('{_b64(payload)}');{_SAVE}</script></svg>"
    return text.encode()


def _picture_foreign(payload: bytes) -> bytes:
    text = f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{_octets(payload)}'/></svg>"
    return text.encode()


def _zip_link(payload: bytes) -> bytes:
    return _link("data:application/zip;base64," + _b64(zip_of(payload)))


def _page_in_page(payload: bytes) -> bytes:
    return _link("data:text/html;base64," + _b64(_link(_octets(payload))))


def _wide(payload: bytes) -> bytes:
    return _link(_octets(payload)).decode().encode("utf-16")


# Slug, title, page, what the twin may be.
_PAGES: Final = (
    ("data-base64", "a data: link in base64", lambda p: _link(_octets(p)), _ACTIVE),
    ("data-percent", "a data: link in percent signs", lambda p: _link("data:application/octet-stream," + _percent(p)), _ACTIVE),
    ("data-quoted", "a data: link with a little escaped", lambda p: _link("data:," + urllib.parse.quote(p)), _ACTIVE),
    ("data-case", "a data: link in odd cases", lambda p: _link(_octets(p).replace("data:", "DaTa:").replace("base64", "BASE64")), _ACTIVE),
    ("data-blanks", "a data: link on several lines", lambda p: _link("\r\n ".join(_pieces(_octets(p), 30))), _ACTIVE),
    ("data-entities", "a data: link in entities", lambda p: _link("".join(f"&#{ord(one)};" for one in _octets(p))), _ACTIVE),
    ("data-parameters", "a data: link with parameters",
        lambda p: _link(_octets(p).replace(";base64", ";charset=utf-8;name=a.txt;base64")), _ACTIVE),
    ("data-base64-escaped", "base64 itself in percent signs", lambda p: _link("data:;base64," + _percent(base64.b64encode(p))), _ACTIVE),
    ("data-image", "a data: picture that is none", lambda p: _page(f'<img src="data:image/png;base64,{_b64(p)}">'), _ACTIVE),
    ("data-style", "a data: picture in a style",
        lambda p: _page(f'<p style="background:url(data:image/png;base64,{_b64(p)})">Notes</p>'), _ACTIVE),
    ("data-object", "a data: object", lambda p: _page(f'<object data="{_octets(p)}"></object>'), _ACTIVE),
    ("data-embed", "a data: embed without quotes", lambda p: _page(f"<embed src={_octets(p)}>"), _ACTIVE),
    ("data-refresh", "a data: refresh", lambda p: _page(f'<meta http-equiv="refresh" content="0;url={_octets(p)}">'), _ACTIVE),
    ("data-zip", "a data: link to a zip", _zip_link, _ACTIVE),
    ("data-page", "a data: page in a page", _page_in_page, _ACTIVE),
    ("atob", "atob", lambda p: _scripted(f"const d=atob('{_b64(p)}');"), _ACTIVE),
    ("atob-double", "atob of double quotes", lambda p: _scripted(f'const d=window["atob"]("{_b64(p)}");'), _ACTIVE),
    ("atob-twice", "atob of atob", lambda p: _scripted(f"const d=atob(atob('{_b64(base64.b64encode(p))}'));"), _ACTIVE),
    ("atob-split", "atob of a sum", _split, _ACTIVE),
    ("atob-variables", "atob of a sum of variables", _split_variables, _ACTIVE),
    ("atob-join", "atob of a joined list", _joined, _ACTIVE),
    ("atob-reversed", "atob of a reversed text", _reversed, _ACTIVE),
    ("atob-template", "atob of a template of several lines", _template, _ACTIVE),
    ("atob-hidden", "atob of a hidden field", _hidden, _ACTIVE),
    ("atob-attribute", "atob of an attribute", _attribute, _ACTIVE),
    ("array", "Uint8Array of decimals", lambda p: _scripted(f"const d=new Uint8Array([{_numbers(p, 'd')}]);"), _ACTIVE),
    ("array-hex", "Uint8Array of hexadecimals", lambda p: _scripted(f"const d=Uint8Array.from([{_hex_list(p)}]);"), _ACTIVE),
    ("array-xor", "Uint8Array under exclusive or", _xored, _ACTIVE),
    ("char-code", "fromCharCode", lambda p: _scripted(f"const d=String.fromCharCode({_numbers(p, 'd')});"), _ACTIVE),
    ("char-code-hex", "fromCharCode of hexadecimals", lambda p: _scripted(f"const d=String.fromCharCode({_hex_list(p)});"), _ACTIVE),
    ("unescape", "unescape", lambda p: _scripted(f"const d=unescape('{_percent(p)}');"), _ACTIVE),
    ("unescape-wide", "unescape of %u", lambda p: _scripted(f"const d=unescape('{_escaped(p, '%u{:04x}')}');"), _ACTIVE),
    ("decode-uri", "decodeURIComponent", lambda p: _scripted(f"const d=decodeURIComponent('{_percent(p)}');"), _ACTIVE),
    ("literal-hex", "escapes \\x in a literal", lambda p: _scripted(f"const d='{_escaped(p, chr(92) + 'x{:02x}')}';"), _ACTIVE),
    ("literal-unicode", "escapes \\u in a literal", lambda p: _scripted(f"const d='{_escaped(p, chr(92) + 'u{:04x}')}';"), _ACTIVE),
    ("literal-octal", "octal escapes in a literal", lambda p: _scripted(f"const d='{_escaped(p, chr(92) + '{:03o}')}';"), _ACTIVE),
    ("hex-text", "a text of hexadecimal digits",
        lambda p: _scripted(f"const d=Uint8Array.from('{p.hex()}'.match(/../g),h=>parseInt(h,16));"), _ACTIVE),
    ("srcdoc", "a data: link in srcdoc", _source_document, _ACTIVE),
    ("noscript", "a data: link in noscript", lambda p: _page(f'<noscript><a href="{_octets(p)}">Notes</a></noscript>'), _ACTIVE),
    ("comment", "base64 in a comment", lambda p: _page(f"<p>Notes</p><!-- {_b64(p)} -->"), NEVER),
    ("comment-condition", "a conditional comment", lambda p: _page(f'<!--[if mso]><img src="{_octets(p)}"><![endif]-->'), _ACTIVE),
    ("hidden-text", "base64 in a hidden paragraph", lambda p: _page(f'<p style="display:none">{_b64(p)}</p>'), NEVER),
    ("text", "the file as the page's text", lambda p: _page(f"<pre>{html.escape(p.decode())}</pre>"), NEVER),
    ("text-entities", "the file as entities", lambda p: _page(f"<pre>{_escaped(p, '&#x{:x};')}</pre>"), NEVER),
    ("text-tags", "the file between tags", lambda p: _page("<b></b>".join(html.escape(one) for one in p.decode())), NEVER),
)  # fmt: skip


def _as_body(title: str, page: Callable[[bytes], bytes]) -> Build:
    def build(payload: bytes) -> bytes:
        fields = (b"Content-Type: text/html; charset=utf-8", b"Content-Transfer-Encoding: quoted-printable")
        return single(title, quoted_printable(page(payload)), *fields)

    return build


def _wide_body(payload: bytes) -> bytes:
    fields = (b"Content-Type: text/html; charset=utf-16", ENCODED)
    return mixed("HTML in UTF-16", text_part(), entity(base64_lines(_wide(payload)), *fields))


def _seven_body(payload: bytes) -> bytes:
    page = _link(_octets(payload)).replace(b"+", b"+-").replace(b"<", b"+ADw-").replace(b">", b"+AD4-")
    return single("HTML in UTF-7", page, b"Content-Type: text/html; charset=utf-7")


def _table() -> Iterator[Variant]:
    for slug, title, page, may in _PAGES:
        yield variant(f"html-smuggling.{slug}", title, _as_body(title, page), may)


_SVG: Final = b"image/svg+xml"
_HTML: Final = b"text/html"

VARIANTS: Final = (
    *_table(),
    variant("html-smuggling.utf-16", "HTML in UTF-16", _wide_body, _ACTIVE),
    variant("html-smuggling.utf-7", "HTML in UTF-7", _seven_body, _ACTIVE),
    attaching(
        "html-smuggling.file", "an attached page", lambda p: _link(_octets(p)), b"a.html", _HTML, may=_ACTIVE
    ),
    attaching("html-smuggling.file-atob", "an attached page with atob", _split, b"a.htm", _HTML, may=_ACTIVE),
    attaching("html-smuggling.file-octets", "a page of no type", _split, b"a.html", may=_ACTIVE),
    attaching(
        "html-smuggling.file-xhtml",
        "a page as XHTML",
        _split,
        b"a.xhtml",
        b"application/xhtml+xml",
        may=_ACTIVE,
    ),
    attaching("html-smuggling.svg", "a script in SVG", _picture, b"a.svg", _SVG, may=_ACTIVE),
    attaching(
        "html-smuggling.svg-image", "a data: picture in SVG", _picture_foreign, b"a.svg", _SVG, may=_ACTIVE
    ),
)
