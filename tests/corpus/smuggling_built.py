"""Scripts that put their file together from pieces, in pages and in files of their own; pages that begin like others."""

import base64
import codecs
import json
import string
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from .mail import attaching, quoted_printable, single, variant
from .variant import BANNED, MALFORMED, NEVER, SUSPICIOUS, Build, Variant
from .writers.zips import deflate

_ACTIVE: Final = SUSPICIOUS | BANNED
_SAVE: Final = "const a=document.createElement('a');a.href=URL.createObjectURL(new Blob([d]));a.download='notes.dat';a.click();"
_LINK: Final = b"L\0\0\0\x01\x14\x02\0" + bytes(68)  # a shortcut's header (MS-SHLLINK 2.1)


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _cut(text: str, size: int = 9) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _sum(payload: bytes, sign: str = "+") -> str:
    return sign.join(f"'{piece}'" for piece in _cut(_b64(payload)))


def _page(code: str, body: str = "") -> bytes:
    return (
        f"<!DOCTYPE html><html><body>{body}<script>\r\n{code}\r\n{_SAVE}</script></body></html>\r\n".encode()
    )


def _numbers(values: list[int], form: str = "{}") -> str:
    return ",".join(form.format(value) for value in values)


def _each(payload: bytes, form: str) -> str:
    return "".join(form.format(piece) for piece in _cut(_b64(payload)))


def _numbered(payload: bytes, form: str) -> str:
    return "".join(form.format(at, piece) for at, piece in enumerate(_cut(_b64(payload), 12)))


def _functions(payload: bytes) -> str:
    count = len(_cut(_b64(payload), 12))
    return (
        _numbered(payload, "function f{0}(){{return '{1}'}}")
        + "const d=atob("
        + "+".join(f"f{at}()" for at in range(count))
        + ");"
    )


def _escapes(text: str) -> str:
    return "".join(f"\\x{ord(one):02x}" for one in text)


def _xored(payload: bytes) -> str:
    return f"const d=[...atob('{_b64(bytes(byte ^ 90 for byte in payload))}')].map(c=>String.fromCharCode(c.charCodeAt(0)^90)).join('');"


_B64: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_OWN: Final = "".join(_B64[at * 27 % 64] for at in range(64))


def _digits(number: int, base: int) -> str:
    """Return a number in digits to a base up to 36."""
    signs = string.digits + string.ascii_lowercase
    digits = ""
    while number:
        number, last = divmod(number, base)
        digits = signs[last] + digits
    return digits or "0"


def _radix(payload: bytes, base: int, between: str = " ") -> str:
    digits = between.join(_digits(byte, base) for byte in payload)
    return f"const d=new Uint8Array('{digits}'.split('{between}').map(x=>parseInt(x,{base})));"


def _decoded(letters: str, change: str) -> str:
    return f"const s={json.dumps(letters)};const d=atob({change});"


def _mapped(values: list[int], change: str) -> str:
    return f"const d=new Uint8Array([{_numbers(values)}].map((c,i)=>{change}));"


def _turned(text: str) -> str:
    """Return a text with every sign moved by 47 among the 94 that are shown (rot47)."""
    return "".join(chr(33 + (ord(one) - 33 + 47) % 94) for one in text)


def _bits(payload: bytes, off: str, on: str) -> str:
    return "".join(on if bit == "1" else off for byte in payload for bit in f"{byte:08b}")


def _keys(payload: bytes) -> str:
    entries = ",".join(f"'k{at:03}_{piece}':1" for at, piece in enumerate(_cut(_b64(payload), 4)))
    return f"const o={{{entries}}};const d=atob(Object.keys(o).map(k=>k.slice(5)).join(''));"


def _looked_up(payload: bytes) -> str:
    signs = {byte: f"{at:02}" for at, byte in enumerate(dict.fromkeys(payload))}
    table = ",".join(f"['{sign}',{byte}]" for byte, sign in signs.items())
    text = " ".join(signs[byte] for byte in payload)
    return f"const m=new Map([{table}]);const d=new Uint8Array('{text}'.split(' ').map(x=>m.get(x)));"


def _replacing(count: int) -> str:
    return "".join(f'z=z.replace("k{at}","");' for at in range(count))


# Slug, title, script: codes that no library knows, and harmless ones first to use up what is tried.
_CODES: Final[tuple[tuple[str, str, Callable[[bytes], str]], ...]] = (
    ("radix-2", "binary digits in a text", lambda p: _radix(p, 2)),
    ("radix-8", "octal digits in a text", lambda p: _radix(p, 8, ".")),
    ("radix-16", "hexadecimal digits of any length", lambda p: _radix(p, 16, "|")),
    ("radix-36", "digits to base 36", lambda p: _radix(p, 36)),
    ("radix-letters", "letters between digits", lambda p: _radix(p, 16, "z")),
    ("radix-row", "binary digits in one row", lambda p: f"const d=own('{_bits(p, '0', '1')}');"),
    ("decimal-row", "decimal digits in one row", lambda p: f"const d=own('{''.join(f'{byte:03}' for byte in p)}');"),
    ("big-hex", "one long hexadecimal number", lambda p: f"let n=0x{p.hex()}n;const d=own(n);"),
    ("big-decimal", "one long decimal number", lambda p: f"let n={int.from_bytes(p)}n;const d=own(n);"),
    ("big-36", "one long number to base 36", lambda p: f"const d=own('{_digits(int.from_bytes(p), 36)}');"),
    ("interleaved", "every second letter",
        lambda p: _decoded("".join(one + "q" for one in _b64(p)), "s.split('').filter((c,i)=>i%2==0).join('')")),
    ("third-letter", "every third letter", lambda p: _decoded("".join("xY" + one for one in _b64(p)), "own(s)")),
    ("zero-width-noise", "zero-width signs in base64", lambda p: _decoded("\u200b".join(_cut(_b64(p), 3)), "own(s)")),
    ("rot13", "letters moved by 13", lambda p: _decoded(codecs.encode(_b64(p), "rot13"), "own(s)")),
    ("caesar", "letters moved by 5", lambda p: _decoded(
        _b64(p).translate(str.maketrans(string.ascii_letters, "fghijklmnopqrstuvwxyzabcdeFGHIJKLMNOPQRSTUVWXYZABCDE")), "own(s)")),
    ("rot47", "signs moved by 47", lambda p: _decoded(_turned(_b64(p)), "own(s)")),
    ("rot47-bare", "the file with its signs moved by 47", lambda p: f"const d=own({json.dumps(_turned(p.decode('ascii')))});"),
    ("case", "base64 in the other case", lambda p: _decoded(_b64(p).swapcase(), "own(s)")),
    ("xor-place", "exclusive or with the place", lambda p: _mapped([byte ^ at for at, byte in enumerate(p)], "c^i")),
    ("xor-place-base64", "base64 under exclusive or with the place",
        lambda p: _decoded(_b64(bytes(byte ^ at for at, byte in enumerate(p))), "s") + "own(d)"),
    ("xor-unnamed", "exclusive or with a key that is computed", lambda p: _mapped([byte ^ 171 for byte in p], "c^k()")),
    ("sum-place", "the place added", lambda p: _mapped([(byte + at) % 256 for at, byte in enumerate(p)], "c-i")),
    ("from-255", "the difference to 255", lambda p: _mapped([255 - byte for byte in p], "255-c")),
    ("affine", "three times and one", lambda p: _mapped([3 * byte + 1 for byte in p], "(c-1)/3")),
    ("affine-ring", "five times and three in a byte", lambda p: _mapped([(5 * byte + 3) % 256 for byte in p], "own(c)")),
    ("rotated", "bits rotated", lambda p: _mapped([(byte << 4 | byte >> 4) & 255 for byte in p], "c>>4|c<<4")),
    ("differences", "differences", lambda p: _mapped([(one - other) % 256 for one, other in zip(p, b"\0" + p, strict=False)], "own(c)")),
    ("halves", "halves that changed places", lambda p: _decoded(_b64(p)[46:] + _b64(p)[:46], "s.slice(46)+s.slice(0,46)")),
    ("pairs", "letters of pairs that changed places", lambda p: _decoded("".join(one[::-1] for one in _cut(_b64(p), 2)), "own(s)")),
    ("nibbles", "halves of bytes", lambda p: f"const d=own([{_numbers([half for byte in p for half in (byte >> 4, byte & 15)])}]);"),
    ("nibble-pairs", "pairs of halves of bytes", lambda p: "const d=own([" + ",".join(f"[{byte >> 4},{byte & 15}]" for byte in p) + "]);"),
    ("nibble-lists", "halves of bytes in two lists",
        lambda p: f"const a=[{_numbers([byte >> 4 for byte in p])}],b=[{_numbers([byte & 15 for byte in p])}],d=own(a,b);"),
    ("one-time", "exclusive or of two lists",
        lambda p: f"const a=[{_numbers([byte ^ at * 37 % 251 for at, byte in enumerate(p)])}],"
        f"b=[{_numbers([at * 37 % 251 for at in range(68)])}],d=own(a,b);"),
    ("keys", "keys of an object", _keys),
    ("map", "a table of numbers", _looked_up),
    ("alphabet", "an alphabet of its own",
        lambda p: f"const t='{_OWN}';" + _decoded(_b64(p).translate(str.maketrans(_B64, _OWN)), "own(s,t)")),
    ("indices", "places in a text",
        lambda p: f"const t='{_B64}';const d=atob([{_numbers([_B64.index(one) for one in _b64(p).rstrip('=')])}].map(i=>t[i]).join(''));")
        ,
    ("base32", "base32", lambda p: f"const d=own('{base64.b32encode(p).decode()}');"),
    ("base85", "base85", lambda p: f"const d=own('{base64.b85encode(p).decode()}');"),
    ("ascii85", "ASCII85", lambda p: f"const d=own({json.dumps(base64.a85encode(p).decode())});"),
    ("decoy-keys", "twelve keys, of which one is used",
        lambda p: "".join(f"var q{at}=n^{at + 1};" for at in range(12)) + _mapped([byte ^ 77 for byte in p], "c^77")),
    ("decoy-replaced", "twelve replacements that do nothing",
        lambda p: _replacing(12) + _decoded("@@".join(_cut(_b64(p), 3)), "s.replace(/@@/g,'')")),
    ("decoy-shifts", "twelve sums, of which one is used",
        lambda p: "".join(f"u.map(c=>c+{at + 1});" for at in range(12)) + _mapped([(byte - 99) % 256 for byte in p], "c+99")),
    ("decoy-texts", "four hundred texts before",
        lambda p: "".join(f"var v{at}='some text, number {at}, that is longer than sixty-four letters, as it has to be here';"
            for at in range(400))
        + f"const d='{_escapes(p.decode('ascii'))}';"),
    ("gap", "a long comment within a sum", lambda p: f"const d=atob({_sum(p, '/*' + 'x' * 500 + '*/+')});"),
    ("long-name", "long names in a sum", lambda p: "".join(f"var {'n' * 120}{at}='{one}';" for at, one in enumerate(_cut(_b64(p), 24)))
        + "const d=atob(" + "+".join(f"{'n' * 120}{at}" for at in range(4)) + ");"),
)  # fmt: skip

# Slug, title, what saves the file; each with a code that is only tried where a script is known to build one.
_SINKS: Final[tuple[tuple[str, str, str], ...]] = (
    ("sum", "a sum", 'f(new window["Bl"+"ob"]([d]));'),
    ("base64", "base64", "f(new self[atob('QmxvYg==')]([d]));"),
    ("function", "a function made of a text", "f(new(Function('return '+'Bl'+'ob')())([d]));"),
    ("element", "an element", 'const a=document["create"+"Element"]("a");a.setAttribute("down"+"load","notes.dat");a.href=u(d);'),
    ("prototype", "a prototype", "HTMLAnchorElement.prototype.click.call(f(d));"),
    ("reversed", "a reversed text", "f(new self['bolB'.split('').reverse().join('')]([d]));"),
    ("codes", "numbers", "f(new self[String.fromCharCode(66,108,111,98)]([d]));"),
    ("eval", "a script in base64", f"eval(atob('{base64.b64encode(b'f(new Blob([d]),1234567890123456)').decode()}'));"),
    ("timeout", "a script that is called later", 'setTimeout("f(new Bl"+"ob([d]))",1);'),
    ("written", "a page that is written",
        f"document.write(unescape('{''.join(f'%{one:02x}' for one in b'<script>f(new Blob([d]))</script>')}'));"),
)  # fmt: skip


def _sink_mail(title: str, sink: str) -> Build:
    code = "<!DOCTYPE html><html><body><script>\r\n{}\r\n{}</script></body></html>\r\n"
    return lambda payload: _as_body(
        title, code.format(_mapped([byte ^ 171 for byte in payload], "c^k()"), sink).encode()
    )


# Slug, title, script.
_SCRIPTS: Final[tuple[tuple[str, str, Callable[[bytes], str]], ...]] = (
    ("marker", "a mark taken out of base64", lambda p: f"const d=atob('{'#'.join(_cut(_b64(p), 5))}'.replace(/#/g,''));"),
    ("marker-letters", "letters taken out of base64", lambda p: f"const d=atob('{'_x_'.join(_cut(_b64(p), 5))}'.replaceAll('_x_',''));"),
    ("marker-split", "base64 split and joined", lambda p: f"const d=atob('{'~~'.join(_cut(_b64(p), 5))}'.split('~~').join(''));"),
    ("letter", "a letter of base64 replaced", lambda p: f"const d=atob('{_b64(p).replace('A', '@')}'.replace(/@/g,'A'));"),
    ("list-reversed", "a list turned round", lambda p: f"const d=new Uint8Array([{_numbers([*p[::-1]])}].reverse());"),
    ("pieces-reversed", "pieces turned round", lambda p: f"const d=atob({json.dumps(_cut(_b64(p), 8)[::-1])}.reverse().join(''));"),
    ("subtracted", "a number subtracted", lambda p: f"const d=new Uint8Array([{_numbers([byte + 7 for byte in p])}].map(b=>b-7));"),
    ("added", "a number added",
        lambda p: f"const d=String.fromCharCode(...[{_numbers([byte - 3 for byte in p])}].map(function(x){{return x+3}}));"),
    ("xor-base64", "base64 under exclusive or", _xored),
    ("complement", "the complement of bytes", lambda p: f"const d=new Uint8Array([{_numbers([byte ^ 255 for byte in p])}].map(b=>~b));"),
    ("deflate", "raw deflate", lambda p: f"const d=pako.inflateRaw(atob('{_b64(deflate(p))}'));"),
    ("deflate-sum", "raw deflate in a sum", lambda p: f"const d=pako.inflateRaw(atob({_sum(deflate(p))}));"),
    ("words", "words of two bytes", lambda p: f"const d=new Uint16Array([{_numbers([*struct.unpack('<34H', p)], '0x{:04x}')}]);"),
    ("long-words", "words of four bytes", lambda p: f"const d=new Uint32Array([{_numbers([*struct.unpack('<17I', p)])}]);"),
    ("octal", "octal numbers", lambda p: f"const d=new Uint8Array([{_numbers([*p], '0o{:o}')}]);"),
    ("binary", "binary numbers", lambda p: f"const d=new Uint8Array([{_numbers([*p], '0b{:08b}')}]);"),
    ("comments", "comments in a sum", lambda p: f"const d=atob({_sum(p, '/* x */+/* y */')});"),
    ("line-comments", "line comments in a sum", lambda p: f"const d=atob({_sum(p, '+ // x' + chr(10))});"),
    ("append", "a text that grows", lambda p: f"let s='';{_each(p, chr(115) + '+={!r};')}const d=atob(s);"),
    ("append-long", "a text that is added to", lambda p: f"let s='';{_each(p, 's = s + {!r};')}const d=atob(s);"),
    ("push", "a list that grows", lambda p: f"let s=[];{_each(p, 's.push({!r});')}const d=atob(s.join(''));"),
    ("index", "a list by its places", lambda p: f"let s=[];{_numbered(p, 's[{}]={!r};')}const d=atob(s.join(''));"),
    ("functions", "functions that return pieces", _functions),
    ("eval", "a script in a text", lambda p: f'eval("const d=atob({_sum(p)})");'),
    ("eval-escaped", "an escaped script in a text", lambda p: f"eval('{_escapes(f'const d=atob({_sum(p)})')}');"),
    ("eval-base64", "a script in base64", lambda p: f"eval(atob('{_b64(f'const d=atob({_sum(p)})'.encode())}'));"),
    ("attributes", "pieces in attributes", lambda _: "const d=atob([...document.querySelectorAll('i')].map(x=>x.dataset.n).join(''));"),
    ("texts", "pieces in hidden texts", lambda _: "const d=atob([...document.querySelectorAll('i')].map(x=>x.textContent).join(''));"),
    ("classes", "pieces in a class", lambda _: "const d=atob(p.className.split(' ').join(''));"),
    ("template", "pieces in a template", lambda _: "const d=atob(t.innerHTML);"),
)  # fmt: skip
_BODIES: Final[dict[str, Callable[[bytes], str]]] = {
    "attributes": lambda p: "".join(f'<i data-n="{piece}"></i>' for piece in _cut(_b64(p), 12)),
    "texts": lambda p: "".join(f"<i hidden>{piece}</i>\r\n" for piece in _cut(_b64(p), 12)),
    "classes": lambda p: f'<p id=p class="{" ".join(_cut(_b64(p), 12))}"></p>',
    "template": lambda p: f"<template id=t>{' '.join(_cut(_b64(p), 20))}</template>",
}


def _style(payload: bytes) -> str:
    return "".join(f"\\{ord(one):06x}" for one in "data:x/y;base64," + _b64(payload))


# Slug, title, page, what the twin may be.
_PAGES: Final[tuple[tuple[str, str, Callable[[bytes], str], frozenset[str]], ...]] = (
    ("style", "an escaped address in a style", lambda p: f"<style>a{{background:url({_style(p)})}}</style>", _ACTIVE),
    ("plaintext", "short lines of base64 in plaintext", lambda p: "<plaintext>" + "\r\n".join(_cut(_b64(p), 7)) + "\r\n", NEVER),
    ("xmp", "short lines of base64 in xmp", lambda p: "<xmp>" + "\r\n".join(_cut(_b64(p), 7)) + "</xmp>", NEVER),
    ("soft-hyphens", "soft hyphens in base64", lambda p: "<p>" + "&shy;".join(_cut(_b64(p), 7)) + "</p>", NEVER),
    ("zero-width", "invisible blanks in the file",
        lambda p: "<p>" + "&#8203;".join(_cut(p.decode("ascii"), 7)) + "</p>", NEVER),
    ("zero-width-bits", "bits in zero-width signs",
        lambda p: f"<p id=z>{_bits(p, chr(0x200B), chr(0x200C))}</p><script>const d=own(z.textContent);{_SAVE}</script>", _ACTIVE),
    ("parameter", "lines of base64 in a parameter",
        lambda p: f'<object><param name=a value="{"&#13;&#10;".join(_cut(_b64(p)))}"></object>', _ACTIVE),
)  # fmt: skip


def _echoed(start: str, form: str) -> Callable[[bytes], bytes]:
    return lambda payload: (start + "".join(form.format(piece) for piece in _cut(_b64(payload), 20))).encode()


def _listed(payload: bytes) -> bytes:
    lines = (",".join(f"{byte:02x}" for byte in payload[at : at + 20]) for at in range(0, 68, 20))
    text = (
        'Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\a]\r\n"a"=hex:'
        + ",\\\r\n  ".join(lines)
    )
    return text.encode() + b"\r\n"


def _scripted(before: bytes = b"", after: str = "") -> Callable[[bytes], bytes]:
    return lambda payload: before + f"<html><script>x={_sum(payload)}</script>{after}".encode()


def _notebook(payload: bytes) -> bytes:
    lines = [piece + "\n" for piece in _cut(_b64(payload), 20)]
    return json.dumps({"cells": [{"outputs": [{"data": {"x/y": lines}}]}]}).encode()


def _shortcut(payload: bytes) -> bytes:
    inner = _b64(payload.decode("ascii").encode("utf-16-le"))
    return _LINK + f"-enc {inner}".encode("utf-16-le") + bytes(4)


def _component(payload: bytes) -> bytes:
    text = (
        f'<scriptlet><script language="JScript"><![CDATA[\r\nx={_sum(payload)};\r\n]]></script></scriptlet>'
    )
    return b'<?xml version="1.0"?>' + text.encode()


def _vectors(payload: bytes) -> bytes:
    text = f"<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:script>x={_sum(payload)}</s:script></s:svg>"
    return b"<?xml version='1.0'?>" + text.encode()


# Slug, title, extension, type, file.
_OCTETS: Final = b"application/octet-stream"
_FILES: Final[tuple[tuple[str, str, bytes, bytes, Callable[[bytes], bytes]], ...]] = (
    ("js", "JavaScript", b"js", b"application/javascript", lambda p: f"x = atob({_sum(p)});".encode()),
    ("js-octets", "JavaScript of no type", b"js", _OCTETS, lambda p: f"x = atob({_sum(p)});".encode()),
    ("js-text", "JavaScript as text", b"txt", b"text/javascript", lambda p: f"x = atob({_sum(p)});".encode()),
    ("mjs", "a module of JavaScript", b"mjs", _OCTETS, lambda p: f"x = atob({_sum(p)});".encode()),
    ("vbs", "VBScript", b"vbs", _OCTETS, lambda p: ('x = "' + '" & _\r\n "'.join(_cut(_b64(p))) + '"').encode()),
    ("vbs-codes", "VBScript of codes", b"vbs", _OCTETS, lambda p: ("x = " + " & ".join(f"Chr({byte})" for byte in p)).encode()),
    ("ps1", "PowerShell", b"ps1", _OCTETS, lambda p: f"$x = {_sum(p, ' +' + chr(10))}".encode()),
    ("ps1-bytes", "PowerShell of bytes", b"ps1", _OCTETS, lambda p: f"[byte[]]$x = {_numbers([*p], '0x{:02x}')}".encode()),
    ("bat", "a batch file that echoes base64", b"bat", _OCTETS, _echoed("@echo off\r\n", "echo {}>>a.b64\r\n")),
    ("sh", "a shell script that echoes base64", b"sh", _OCTETS, _echoed("#!/bin/sh\n", "echo {} >> a.b64\n")),
    ("sh-octal", "a shell script of octal escapes", b"sh", _OCTETS,
        lambda p: b"#!/bin/sh\nprintf '" + b"".join(b"\\%03o" % byte for byte in p) + b"' > a\n"),
    ("reg", "a registry file", b"reg", _OCTETS, _listed),
    ("py", "Python", b"py", _OCTETS, lambda p: f"x = b64decode({_sum(p, chr(10))})".encode()),
    ("php", "PHP", b"php", _OCTETS, lambda p: f"<?php $x = {_sum(p, '.' + chr(10))};".encode()),
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


def _as_body(title: str, page: bytes) -> bytes:
    fields = (b"Content-Type: text/html; charset=utf-8", b"Content-Transfer-Encoding: quoted-printable")
    return single(title, quoted_printable(page), *fields)


def _script_mail(slug: str, title: str, script: Callable[[bytes], str]) -> Build:
    body = _BODIES.get(slug)
    return lambda payload: _as_body(title, _page(script(payload), body(payload) if body else ""))


def _page_mail(title: str, page: Callable[[bytes], str]) -> Build:
    return lambda payload: _as_body(title, f"<html>{page(payload)}</html>\r\n".encode())


def _table() -> Iterator[Variant]:
    for slug, title, script in _SCRIPTS:
        yield variant(f"html-smuggling.built-{slug}", title, _script_mail(slug, title, script), _ACTIVE)
    for slug, title, script in _CODES:
        yield variant(f"html-smuggling.code-{slug}", title, _script_mail(slug, title, script), _ACTIVE)
    for slug, title, sink in _SINKS:
        yield variant(
            f"html-smuggling.sink-{slug}", f"a builder named by {title}", _sink_mail(title, sink), _ACTIVE
        )
    for slug, title, page, may in _PAGES:
        yield variant(f"html-smuggling.page-{slug}", title, _page_mail(title, page), may)
    for slug, title, extension, kind, content in _FILES:
        name = b"notes." + extension
        yield attaching(f"html-smuggling.script-{slug}", title, content, name, kind, may=_ACTIVE | MALFORMED)


VARIANTS: Final = tuple(_table())
