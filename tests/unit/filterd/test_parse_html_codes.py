"""Programs in codes of the author's own within pages that build a file; and honest pages that build one."""

import base64
import codecs
import hashlib
import json
import struct
from collections.abc import Callable

import pytest

from tests.unit.filterd.pages import Opened

PAD = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(190))
PROGRAM = b"MZ" + PAD[:58] + struct.pack("<I", 64) + b"PE\0\0" + PAD
SAVE = "x.href=URL.createObjectURL(new Blob([u]));x.download='notes.dat';x.click()"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def listed(values: list[int], change: str) -> str:
    return f"u=new Uint8Array([{','.join(map(str, values))}].map((c,i)=>{change}))"


CODES: dict[str, Callable[[bytes], str]] = {
    "binary digits": lambda p: (
        f"u='{' '.join(f'{byte:08b}' for byte in p)}'.split(' ').map(x=>parseInt(x,2))"
    ),
    "octal digits": lambda p: f"u='{' '.join(f'{byte:o}' for byte in p)}'.split(' ').map(x=>parseInt(x,8))",
    "hexadecimal digits": lambda p: (
        f"u='{'|'.join(f'{byte:x}' for byte in p)}'.split('|').map(x=>parseInt(x,16))"
    ),
    "one number": lambda p: f"let n=0x{p.hex()}n",
    "interleaved": lambda p: f"u=atob('{'q'.join(b64(p))}'.split('').filter((c,i)=>i%2==0).join(''))",
    "rot13": lambda p: f"u=atob(r('{codecs.encode(b64(p), 'rot13')}'))",
    "exclusive or": lambda p: listed([byte ^ 171 for byte in p], "c^k()"),
    "place": lambda p: listed([byte ^ at & 255 for at, byte in enumerate(p)], "c^i&255"),
    "complement": lambda p: listed([255 - byte for byte in p], "255-c"),
    "multiples": lambda p: listed([3 * byte + 1 for byte in p], "(c-1)/3"),
    "halves": lambda p: f"u=atob(s('{b64(p)[len(b64(p)) // 2 :] + b64(p)[: len(b64(p)) // 2]}'))",
    "nibbles": lambda p: "u=own([" + ",".join(f"[{byte >> 4},{byte & 15}]" for byte in p) + "])",
    "keys": lambda p: (
        "u=own({" + ",".join(f"'k{at:04}_{b64(p)[at * 5 : at * 5 + 5]}':1" for at in range(1700)) + "})"
    ),
}


@pytest.mark.parametrize("name", CODES)
def test_a_program_in_a_code_of_its_own_is_smuggling(name: str) -> None:
    assert Opened(f"<script>{CODES[name](PROGRAM)};{SAVE}</script>").refused == {"html.smuggling"}


@pytest.mark.parametrize("size", [5, 9, 40, 6000])
def test_what_nothing_decodes_is_smuggling_in_pieces_of_any_size(size: int) -> None:
    text = b64(PAD + PAD[::-1]).translate(str.maketrans("ABCDEFGHabcdefgh012345", "habcdefg543210ABCDEFGH"))
    pieces = json.dumps([text[at : at + size] for at in range(0, len(text), size)])
    assert Opened(f"<script>u=own({pieces});{SAVE}</script>").refused == {"html.smuggling"}


@pytest.mark.parametrize("name", ["a.exe", "a.js", "a.iso", "a.zip", "a.com", "a.lnk"])
def test_a_program_s_name_without_its_content_is_smuggling(name: str) -> None:
    save = SAVE.replace("notes.dat", name)
    assert Opened(f"<script>u=own(7);{save}</script>").refused == {"html.smuggling"}


SERIES = json.dumps({"x": [at / 7 for at in range(3000)], "y": [at * at % 4999 for at in range(3000)]})
HONEST = {
    "a chart": f"<script>plot({SERIES});{SAVE}</script>",
    "a table": "<script>t=" + json.dumps([{"name": f"Person {at}", "day": f"2026-11-{at % 28}"} for at in range(900)])
    + f";{SAVE}</script>",
    "a picture": f"<img src='data:image/png;base64,{b64(bytes.fromhex('89504e470d0a1a0a') + PAD)}'><script>{SAVE}</script>",
    "a calendar": f"<script>u='BEGIN:VCALENDAR\\nSUMMARY:Meeting in the large room\\nEND:VCALENDAR';{SAVE}</script>",
    "a secret without a builder": f"<form><input type=hidden value={b64(PAD)}></form><script>open(7)</script>",
}  # fmt: skip


@pytest.mark.parametrize("page", HONEST.values(), ids=HONEST.keys())
def test_honest_pages_that_build_a_file_are_not_refused(page: str) -> None:
    assert not Opened(page).refused


UNITS = ("'a',", "'a'+", "a='b';", "1,", "fromCharCode(1,", ".replace(/a/g,'b')", "`${a}", "/*", "(", "[1],", "^1;", "%4", "QUJD",
         "download=", "new File(", "saveAs(", "download,'", "{a:1,", "a:'b',", "<!--", "\u200b", "0x")  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_of_anything_takes_less_than_two_seconds(unit: str) -> None:
    # Twice as much beside busy neighbours.
    assert Opened(f"<script>{unit * (1_000_000 // len(unit))};new Blob()</script>").seconds < 4.0
