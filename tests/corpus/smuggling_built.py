"""Scripts that put their file together from pieces, in pages and in files of their own; pages that begin like others."""

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from .mail import attaching, quoted_printable, single, variant
from .variant import BANNED, MALFORMED, NEVER, SUSPICIOUS, Build, Variant
from .writers.zips import deflate

ACTIVE: Final = SUSPICIOUS | BANNED
SAVE: Final = "const a=document.createElement('a');a.href=URL.createObjectURL(new Blob([d]));a.download='notes.dat';a.click();"
_LINK: Final = b"L\0\0\0\x01\x14\x02\0" + bytes(68)  # a shortcut's header (MS-SHLLINK 2.1)


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def cut(text: str, size: int = 9) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def sum_of(payload: bytes, sign: str = "+") -> str:
    return sign.join(f"'{piece}'" for piece in cut(b64(payload)))


def page_of(code: str, body: str = "") -> bytes:
    return (
        f"<!DOCTYPE html><html><body>{body}<script>\r\n{code}\r\n{SAVE}</script></body></html>\r\n".encode()
    )


def numbers(values: list[int], form: str = "{}") -> str:
    return ",".join(form.format(value) for value in values)


def _each(payload: bytes, form: str) -> str:
    return "".join(form.format(piece) for piece in cut(b64(payload)))


def _numbered(payload: bytes, form: str) -> str:
    return "".join(form.format(at, piece) for at, piece in enumerate(cut(b64(payload), 12)))


def _functions(payload: bytes) -> str:
    count = len(cut(b64(payload), 12))
    return (
        _numbered(payload, "function f{0}(){{return '{1}'}}")
        + "const d=atob("
        + "+".join(f"f{at}()" for at in range(count))
        + ");"
    )


def escapes(text: str) -> str:
    return "".join(f"\\x{ord(one):02x}" for one in text)


def _xored(payload: bytes) -> str:
    return f"const d=[...atob('{b64(bytes(byte ^ 90 for byte in payload))}')].map(c=>String.fromCharCode(c.charCodeAt(0)^90)).join('');"


def bits_of(payload: bytes, off: str, on: str) -> str:
    return "".join(on if bit == "1" else off for byte in payload for bit in f"{byte:08b}")


# Slug, title, script.
_SCRIPTS: Final[tuple[tuple[str, str, Callable[[bytes], str]], ...]] = (
    ("marker", "a mark taken out of base64", lambda p: f"const d=atob('{'#'.join(cut(b64(p), 5))}'.replace(/#/g,''));"),
    ("marker-letters", "letters taken out of base64", lambda p: f"const d=atob('{'_x_'.join(cut(b64(p), 5))}'.replaceAll('_x_',''));"),
    ("marker-split", "base64 split and joined", lambda p: f"const d=atob('{'~~'.join(cut(b64(p), 5))}'.split('~~').join(''));"),
    ("letter", "a letter of base64 replaced", lambda p: f"const d=atob('{b64(p).replace('A', '@')}'.replace(/@/g,'A'));"),
    ("list-reversed", "a list turned round", lambda p: f"const d=new Uint8Array([{numbers([*p[::-1]])}].reverse());"),
    ("pieces-reversed", "pieces turned round", lambda p: f"const d=atob({json.dumps(cut(b64(p), 8)[::-1])}.reverse().join(''));"),
    ("subtracted", "a number subtracted", lambda p: f"const d=new Uint8Array([{numbers([byte + 7 for byte in p])}].map(b=>b-7));"),
    ("added", "a number added",
        lambda p: f"const d=String.fromCharCode(...[{numbers([byte - 3 for byte in p])}].map(function(x){{return x+3}}));"),
    ("xor-base64", "base64 under exclusive or", _xored),
    ("complement", "the complement of bytes", lambda p: f"const d=new Uint8Array([{numbers([byte ^ 255 for byte in p])}].map(b=>~b));"),
    ("deflate", "raw deflate", lambda p: f"const d=pako.inflateRaw(atob('{b64(deflate(p))}'));"),
    ("deflate-sum", "raw deflate in a sum", lambda p: f"const d=pako.inflateRaw(atob({sum_of(deflate(p))}));"),
    ("words", "words of two bytes", lambda p: f"const d=new Uint16Array([{numbers([*struct.unpack('<34H', p)], '0x{:04x}')}]);"),
    ("long-words", "words of four bytes", lambda p: f"const d=new Uint32Array([{numbers([*struct.unpack('<17I', p)])}]);"),
    ("octal", "octal numbers", lambda p: f"const d=new Uint8Array([{numbers([*p], '0o{:o}')}]);"),
    ("binary", "binary numbers", lambda p: f"const d=new Uint8Array([{numbers([*p], '0b{:08b}')}]);"),
    ("comments", "comments in a sum", lambda p: f"const d=atob({sum_of(p, '/* x */+/* y */')});"),
    ("line-comments", "line comments in a sum", lambda p: f"const d=atob({sum_of(p, '+ // x' + chr(10))});"),
    ("append", "a text that grows", lambda p: f"let s='';{_each(p, chr(115) + '+={!r};')}const d=atob(s);"),
    ("append-long", "a text that is added to", lambda p: f"let s='';{_each(p, 's = s + {!r};')}const d=atob(s);"),
    ("push", "a list that grows", lambda p: f"let s=[];{_each(p, 's.push({!r});')}const d=atob(s.join(''));"),
    ("index", "a list by its places", lambda p: f"let s=[];{_numbered(p, 's[{}]={!r};')}const d=atob(s.join(''));"),
    ("functions", "functions that return pieces", _functions),
    ("eval", "a script in a text", lambda p: f'eval("var d=atob({sum_of(p)})");'),
    ("eval-escaped", "an escaped script in a text", lambda p: f"eval('{escapes(f'var d=atob({sum_of(p)})')}');"),
    ("eval-base64", "a script in base64", lambda p: f"eval(atob('{b64(f'var d=atob({sum_of(p)})'.encode())}'));"),
    ("attributes", "pieces in attributes", lambda _: "const d=atob([...document.querySelectorAll('i')].map(x=>x.dataset.n).join(''));"),
    ("texts", "pieces in hidden texts", lambda _: "const d=atob([...document.querySelectorAll('i')].map(x=>x.textContent).join(''));"),
    ("classes", "pieces in a class", lambda _: "const d=atob(p.className.split(' ').join(''));"),
    ("template", "pieces in a template", lambda _: "const d=atob(t.innerHTML);"),
)  # fmt: skip
_BODIES: Final[dict[str, Callable[[bytes], str]]] = {
    "attributes": lambda p: "".join(f'<i data-n="{piece}"></i>' for piece in cut(b64(p), 12)),
    "texts": lambda p: "".join(f"<i hidden>{piece}</i>\r\n" for piece in cut(b64(p), 12)),
    "classes": lambda p: f'<p id=p class="{" ".join(cut(b64(p), 12))}"></p>',
    "template": lambda p: f"<template id=t>{' '.join(cut(b64(p), 20))}</template>",
}


_READ_BITS: Final = (
    "const own=s=>new Uint8Array(s.match(/.{8}/g).map(x=>parseInt(x.replace(/./g,c=>+(c>'\\u200b')),2)));"
    "const d=own(z.textContent);"
)


def _style(payload: bytes) -> str:
    return "".join(f"\\{ord(one):06x}" for one in "data:x/y;base64," + b64(payload))


# Slug, title, page, what the twin may be.
_PAGES: Final[tuple[tuple[str, str, Callable[[bytes], str], frozenset[str]], ...]] = (
    ("style", "an escaped address in a style", lambda p: f"<style>a{{background:url({_style(p)})}}</style>", ACTIVE),
    ("plaintext", "short lines of base64 in plaintext", lambda p: "<plaintext>" + "\r\n".join(cut(b64(p), 7)) + "\r\n", NEVER),
    ("xmp", "short lines of base64 in xmp", lambda p: "<xmp>" + "\r\n".join(cut(b64(p), 7)) + "</xmp>", NEVER),
    ("soft-hyphens", "soft hyphens in base64", lambda p: "<p>" + "&shy;".join(cut(b64(p), 7)) + "</p>", NEVER),
    ("zero-width", "invisible blanks in the file",
        lambda p: "<p>" + "&#8203;".join(cut(p.decode("ascii"), 7)) + "</p>", NEVER),
    ("zero-width-bits", "bits in zero-width signs",
        lambda p: f"<p id=z>{bits_of(p, chr(0x200B), chr(0x200C))}</p><script>{_READ_BITS}{SAVE}</script>", ACTIVE),
    ("parameter", "lines of base64 in a parameter",
        lambda p: f'<object><param name=a value="{"&#13;&#10;".join(cut(b64(p)))}"></object>', ACTIVE),
)  # fmt: skip


def _echoed(start: str, form: str) -> Callable[[bytes], bytes]:
    return lambda payload: (start + "".join(form.format(piece) for piece in cut(b64(payload), 20))).encode()


def _listed(payload: bytes) -> bytes:
    lines = (",".join(f"{byte:02x}" for byte in payload[at : at + 20]) for at in range(0, 68, 20))
    text = (
        'Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\a]\r\n"a"=hex:'
        + ",\\\r\n  ".join(lines)
    )
    return text.encode() + b"\r\n"


def _scripted(before: bytes = b"", after: str = "") -> Callable[[bytes], bytes]:
    return lambda payload: before + f"<html><script>x={sum_of(payload)}</script>{after}".encode()


def _notebook(payload: bytes) -> bytes:
    lines = [piece + "\n" for piece in cut(b64(payload), 20)]
    return json.dumps({"cells": [{"outputs": [{"data": {"x/y": lines}}]}]}).encode()


def _shortcut(payload: bytes) -> bytes:
    inner = b64(payload.decode("ascii").encode("utf-16-le"))
    return _LINK + f"-enc {inner}".encode("utf-16-le") + bytes(4)


def _component(payload: bytes) -> bytes:
    text = (
        f'<scriptlet><script language="JScript"><![CDATA[\r\nx={sum_of(payload)};\r\n]]></script></scriptlet>'
    )
    return b'<?xml version="1.0"?>' + text.encode()


def _vectors(payload: bytes) -> bytes:
    text = f"<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:script>x={sum_of(payload)}</s:script></s:svg>"
    return b"<?xml version='1.0'?>" + text.encode()


# Slug, title, extension, type, file.
_OCTETS: Final = b"application/octet-stream"
_FILES: Final[tuple[tuple[str, str, bytes, bytes, Callable[[bytes], bytes]], ...]] = (
    ("js", "JavaScript", b"js", b"application/javascript", lambda p: f"x = atob({sum_of(p)});".encode()),
    ("js-octets", "JavaScript of no type", b"js", _OCTETS, lambda p: f"x = atob({sum_of(p)});".encode()),
    ("js-text", "JavaScript as text", b"txt", b"text/javascript", lambda p: f"x = atob({sum_of(p)});".encode()),
    ("mjs", "a module of JavaScript", b"mjs", _OCTETS, lambda p: f"x = atob({sum_of(p)});".encode()),
    ("vbs", "VBScript", b"vbs", _OCTETS, lambda p: ('x = "' + '" & _\r\n "'.join(cut(b64(p))) + '"').encode()),
    ("vbs-codes", "VBScript of codes", b"vbs", _OCTETS, lambda p: ("x = " + " & ".join(f"Chr({byte})" for byte in p)).encode()),
    ("ps1", "PowerShell", b"ps1", _OCTETS, lambda p: f"$x = {sum_of(p, ' +' + chr(10))}".encode()),
    ("ps1-bytes", "PowerShell of bytes", b"ps1", _OCTETS, lambda p: f"[byte[]]$x = {numbers([*p], '0x{:02x}')}".encode()),
    ("bat", "a batch file that echoes base64", b"bat", _OCTETS, _echoed("@echo off\r\n", "echo {}>>a.b64\r\n")),
    ("sh", "a shell script that echoes base64", b"sh", _OCTETS, _echoed("#!/bin/sh\n", "echo {} >> a.b64\n")),
    ("sh-octal", "a shell script of octal escapes", b"sh", _OCTETS,
        lambda p: b"#!/bin/sh\nprintf '" + b"".join(b"\\%03o" % byte for byte in p) + b"' > a\n"),
    ("reg", "a registry file", b"reg", _OCTETS, _listed),
    ("py", "Python", b"py", _OCTETS, lambda p: f"x = b64decode({sum_of(p, chr(10))})".encode()),
    ("php", "PHP", b"php", _OCTETS, lambda p: f"<?php $x = {sum_of(p, '.' + chr(10))};".encode()),
    ("sct", "a script component", b"sct", _OCTETS, _component),
    ("hta-jpeg", "an application that begins like a picture", b"hta", _OCTETS, _scripted(b"\xff\xd8\xff\xe0" + bytes(20))),
    ("hta-program", "an application that begins like a program", b"hta", _OCTETS, _scripted(b"MZ\x90\0" + bytes(80))),
    ("page-gif", "a page that begins like a picture", b"html", _OCTETS, _scripted(b"GIF89a/*")),
    ("page-pdf", "a page that begins like PDF", b"html", _OCTETS, _scripted(b"%PDF-1.4\n")),
    ("svg-prefix", "SVG under a prefix", b"svg", b"image/svg+xml", _vectors),
    ("lnk", "a shortcut with base64", b"lnk", _OCTETS, _shortcut),
    ("lnk-page", "a page behind a shortcut", b"lnk", _OCTETS, _scripted(_LINK, "\0\0\0\0")),
    ("swf", "a file in Flash", b"swf", _OCTETS, lambda p: b"CWS\x0a" + bytes(4) + zlib.compress(bytes(20) + p)),
    ("notebook", "a file in a notebook", b"ipynb", _OCTETS, _notebook),
)  # fmt: skip


def as_body(title: str, page: bytes) -> bytes:
    fields = (b"Content-Type: text/html; charset=utf-8", b"Content-Transfer-Encoding: quoted-printable")
    return single(title, quoted_printable(page), *fields)


def script_mail(slug: str, title: str, script: Callable[[bytes], str]) -> Build:
    body = _BODIES.get(slug)
    return lambda payload: as_body(title, page_of(script(payload), body(payload) if body else ""))


def _page_mail(title: str, page: Callable[[bytes], str]) -> Build:
    return lambda payload: as_body(title, f"<html>{page(payload)}</html>\r\n".encode())


def _table() -> Iterator[Variant]:
    for slug, title, script in _SCRIPTS:
        yield variant(f"html-smuggling.built-{slug}", title, script_mail(slug, title, script), ACTIVE)
    for slug, title, page, may in _PAGES:
        yield variant(f"html-smuggling.page-{slug}", title, _page_mail(title, page), may)
    for slug, title, extension, kind, content in _FILES:
        name = b"notes." + extension
        yield attaching(f"html-smuggling.script-{slug}", title, content, name, kind, may=ACTIVE | MALFORMED)


VARIANTS: Final = tuple(_table())
