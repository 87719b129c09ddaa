import base64
import hashlib
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.parse.html_payloads import decodings
from filterd.parse.smuggling import constants
from tests.unit.filterd.pages import EICAR, Opened

B64 = base64.b64encode(EICAR).decode()
NOISE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(64))
SAVE = "a.href=URL.createObjectURL(new Blob([d]));a.download='{name}';a.click()"


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x.txt", "x")
    return made.getvalue()


def page(script: str, name: str = "notes.txt") -> Opened:
    return Opened(f"<html><body><script>{script};{SAVE.format(name=name)}</script></body></html>")


def pieces(text: str, size: int = 9) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


SCRIPTS = {
    "literal": f"d=atob('{B64}')",
    "split": "d=atob(" + "+".join(f'"{one}"' for one in pieces(B64)) + ")",
    "split with comments": "d=atob(" + "/**/+ ".join(f'"{one}"' for one in pieces(B64)).replace("/**/", "\n") + ")",
    "concat": f"d=atob('{B64[:40]}'.concat('{B64[40:]}'))",
    "joined": f"d=atob({json.dumps(pieces(B64))}.join(''))",
    "variables": f"var q='{B64[:30]}',r='{B64[30:]}';d=atob(q+r)",
    "variables out of order": f"var q='{B64[30:]}';var r='{B64[:30]}';d=atob(r+q)",
    "appended": f"var q='{B64[:30]}';q+='{B64[30:60]}';q+='{B64[60:]}';d=atob(q)",
    "prefix": f"var q='{B64[:30]}';d=atob(q+'{B64[30:]}')",
    "suffix": f"var q='{B64[30:]}';d=atob('{B64[:30]}'+q)",
    "properties": f"o={{x:'{B64[:30]}',y:'{B64[30:]}'}};d=atob(o.x+o.y)",
    "indices": f"o=['{B64[30:]}','{B64[:30]}'];d=atob(o[1]+o[0])",
    "template": f"var q='{B64[:30]}';d=atob(`${{q}}{B64[30:]}`)",
    "argument": f"save('x.bin','{B64}')",
    "reversed": f"d=atob('{B64[::-1]}'.split('').reverse().join(''))",
    "urlsafe": f"d=atob('{base64.urlsafe_b64encode(EICAR).decode().rstrip('=')}')",
    "twice": f"d=atob(atob('{base64.b64encode(B64.encode()).decode()}'))",
    "hex": f"d=fromHex('{EICAR.hex()}')",
    "hex with marks": f"d=fromHex('{EICAR.hex(':')}')",
    "escapes x": "d='" + "".join(f"\\x{byte:02x}" for byte in EICAR) + "'",
    "escapes u": "d='" + "".join(f"\\u{byte:04x}" for byte in EICAR) + "'",
    "escapes u{}": "d='" + "".join(f"\\u{{{byte:x}}}" for byte in EICAR) + "'",
    "octal": "d='" + "".join(f"\\{byte:03o}" for byte in EICAR) + "'",
    "unescape": "d=unescape('" + "".join(f"%{byte:02x}" for byte in EICAR) + "')",
    "unescape u": "d=unescape('" + "".join(f"%u{byte:04x}" for byte in EICAR) + "')",
    "numbers": f"d=new Uint8Array([{','.join(map(str, EICAR))}])",
    "numbers 0x": f"d=new Uint8Array([{', '.join(map(hex, EICAR))}])",
    "numbers in text": f"d='{' '.join(map(str, EICAR))}'.split(' ').map(Number)",
    "char codes": f"d=String.fromCharCode({','.join(map(str, EICAR))})",
    "char code each": "d=" + "+".join(f"String.fromCharCode({byte})" for byte in EICAR),
    "xor": f"d=new Uint8Array([{','.join(str(byte ^ 0x2A) for byte in EICAR)}].map(x=>x^0x2a))",
    "xor of a text": "k='secret';d=atob('"
    + base64.b64encode(bytes(byte ^ b"secret"[at % 6] for at, byte in enumerate(EICAR))).decode()
    + "').map((c,i)=>c^k.charCodeAt(i%6))",
    "data address": f"location='data:application/octet-stream;base64,'+'{B64}'",
    "written page": "document.write('<a href=\"data:;base64," + B64[:50] + "'+'" + B64[50:] + "\">x</a>')",
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_what_a_script_builds_comes_out(script: str) -> None:
    opened = page(script)
    assert opened.holds(EICAR)
    assert "html.smuggling" not in opened.rules
    assert "html.builds-file" in opened.rules


def test_scripts_of_one_page_share_their_variables() -> None:
    opened = Opened(f"<script>var q='{B64[:40]}'</script><p><script>d=atob(q+'{B64[40:]}')</script>")
    assert opened.holds(EICAR)


@pytest.mark.parametrize(
    "script",
    [
        f"d=atob('{base64.b64encode(zipped()).decode()}')",
        f"d=new Uint8Array([{','.join(map(str, zipped()))}])",
        f"d='{zipped().hex()}'",
        "d=atob('" + base64.b64encode(b"MZ" + b"\0" * 200).decode() + "')",
        "d=atob('" + base64.b64encode(b"<html><script>x()</script></html>").decode() + "')",
        f"d=atob('{base64.b64encode(NOISE[:1500]).decode()}')",
        f"d=[{','.join(map(str, NOISE[:1500]))}]",
        "d=own('" + "".join("!$%&=?*+~#-_.:;,|^abcdefghijklmno"[byte % 33] for byte in NOISE) + "')",
    ],
    ids=["zip", "zip numbers", "zip hex", "pe", "page", "unknown", "unknown numbers", "own alphabet"],
)
def test_building_a_dangerous_or_concealed_file_is_smuggling(script: str) -> None:
    assert page(script).refused == {"html.smuggling"}


@pytest.mark.parametrize("name", ["invoice.exe", "invoice.pdf.js.hta", "a.iso", "b.vbs", "c.docm"])
def test_a_dangerous_name_makes_it_smuggling(name: str) -> None:
    assert page(f"d=atob('{base64.b64encode(b'plain text, nothing more').decode()}')", name).refused == {
        "html.smuggling"
    }


def test_a_hidden_field_that_a_script_makes_a_zip_of_is_smuggling() -> None:
    field = f"<input type=hidden id=f value={base64.b64encode(zipped()).decode()}>"
    assert Opened(f"{field}<script>d=atob(f.value);{SAVE}</script>").refused == {"html.smuggling"}


def test_a_link_to_its_own_zip_is_smuggling_without_a_script() -> None:
    address = "data:application/zip;base64," + base64.b64encode(zipped()).decode()
    assert Opened(f"<a download=a.zip href='{address}'>x</a>").refused == {"html.smuggling"}
    assert Opened(f"<a href='{address}'>x</a>").refused == {"html.smuggling"}


@pytest.mark.parametrize(
    "html",
    [
        "<script>var t='a long text of a library that says what went wrong';track(t)</script>",
        "<script>gtag('js', new Date());gtag('config','UA-1234567-8')</script>",
        '<script type=application/ld+json>{"@context":"http://schema.org","name":"x"}</script>',
        "<script>chart([" + ",".join(str(number % 200) for number in range(3000)) + "]);"
        "b.onclick=function(){save(new Blob([csv]))}</script>",
        "<script>" + SAVE.format(name="report.csv") + "</script>",
        "<img src='data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(2000)).decode() + "'>",
    ],
)  # fmt: skip
def test_ordinary_scripts_are_not_refused(html: str) -> None:
    assert not Opened(html).refused


@given(st.text(max_size=300))
def test_any_script_can_be_read(code: str) -> None:
    constants(code)
    list(decodings(code, reverses=True))


TOKENS = """' " ` \\ ${a} a = + += [ ] , ( ) 'x' .join('') // /* */ ^12 b ${b} .push( \\x41 12,"""


@given(st.lists(st.sampled_from([*TOKENS.split(), "\n", " "]), max_size=60))
def test_any_script_of_these_tokens_can_be_read(tokens: list[str]) -> None:
    constants("".join(tokens))


@given(st.binary(min_size=1, max_size=400))
def test_any_bytes_in_base64_and_hex_are_read_back(data: bytes) -> None:
    for text in (base64.b64encode(data * 100).decode(), (data * 100).hex()):
        if len(data) * 100 >= 1024:
            assert data * 100 in set(decodings(text))
