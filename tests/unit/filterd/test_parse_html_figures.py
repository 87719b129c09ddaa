"""Files in letters of other alphabets and in rows of numbers; honest localised pages; scripts that take too long."""

import base64
import hashlib
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.parse.script_figures import from_foreign, from_rows, is_foreign, is_language
from filterd.parse.script_tokens import literals
from tests.unit.filterd.pages import EICAR, Opened
from tests.unit.filterd.test_parse_html_codes import PROGRAM, SAVE

NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(40))
SERVED = "x.href=URL.createObjectURL(new Blob([u]));x.download='notes.txt';x.click()"


def foreign(base: int, change: str) -> Callable[[bytes], str]:
    return lambda p: f"u=Uint8Array.from('{''.join(chr(base + byte) for byte in p)}',c=>{change})"


def quads(p: bytes) -> str:
    rows = [".".join(map(str, p[at : at + 4])) for at in range(0, len(p), 4)]
    return f"u={json.dumps(rows)}.flatMap(x=>x.split('.').map(Number))"


FIGURES: dict[str, Callable[[bytes], str]] = {
    "ideographs": foreign(0x4E00, "c.charCodeAt(0)-0x4e00"),
    "cut off": foreign(0x4E00, "c.charCodeAt(0)"),
    "odd base": foreign(0x5A17, "c.charCodeAt(0)-0x5a17"),
    "Hangul": foreign(0xAC00, "c.charCodeAt(0)-0xac00"),
    "Cyrillic": foreign(0x400, "c.charCodeAt(0)&255"),
    "astral": foreign(0x20000, "c.codePointAt(0)&255"),
    "base64": lambda p: foreign(0x4E00, "c.charCodeAt(0)")(base64.b64encode(p)),
    "quads": quads,
    "hundredths": lambda p: f"u={json.dumps([f'{byte / 100:.2f}' for byte in p])}.map(x=>Math.round(x*100))",
    "bare hundredths": lambda p: (
        f"u=[{','.join(f'{byte / 100:.2f}' for byte in p)}].map(x=>Math.round(x*100))"
    ),
    "of 255": lambda p: f"u=[{','.join(f'{byte / 255:.6f}' for byte in p)}].map(x=>Math.round(x*255))",
    "behind the point": lambda p: f"u='{' '.join(f'7.{byte}' for byte in p)}'.split(' ').map(x=>+x.slice(2))",
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_file_in_letters_or_numbers_is_offered(name: str) -> None:
    assert Opened(f"<script>{FIGURES[name](EICAR)};{SERVED}</script>").holds(EICAR)


@pytest.mark.parametrize("name", FIGURES)
def test_a_program_in_letters_or_numbers_is_smuggling(name: str) -> None:
    assert Opened(f"<script>{FIGURES[name](PROGRAM)};{SAVE}</script>").refused == {"html.smuggling"}


@pytest.mark.parametrize(
    "base", [0x100, 0x400, 0x1400, 0x1E00, 0x3400, 0x4E00, 0x7000, 0xAC00, 0xB000, 0x12000]
)
def test_letters_of_no_language_are_refused_in_a_page_that_builds_a_file(base: int) -> None:
    text = "".join(chr(base + byte) for byte in NOISE[:80])
    assert is_foreign(text)
    assert not is_language(text)
    assert Opened(f"<script>u=own('{text}');{SERVED}</script>").refused == {"html.smuggling"}


LANGUAGES: dict[str, str] = json.loads(Path(__file__).with_name("languages.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_localised_page_that_saves_a_file_is_not_refused(name: str) -> None:
    text = LANGUAGES[name]
    words = json.dumps({f"t{at}": text[at : at + 30] for at in range(0, len(text), 7)}, ensure_ascii=False)
    page = f"<p>{text}</p><script>var t='{text}',m={words};{SERVED}</script>"
    assert not Opened(page).refused


def test_letters_and_rows_that_are_no_file_give_nothing() -> None:
    for text in LANGUAGES.values():
        assert not list(from_foreign(text))
    assert not list(
        from_rows("a=['10.0.0.1','10.0.0.2','10.0.0.3','10.0.0.4','10.0.0.5','192.168.7.2','172.16.4.4']")
    )
    assert not list(from_rows(f"a={json.dumps([at / 7 for at in range(3000)])}"))


def test_runs_of_escapes_are_the_characters_that_they_stand_for() -> None:
    script = r"'\x41\x42\x43\x44\x45\\x41\x42\x43\x44\x45\u0041\u0042\u0043\ud83d\ude00z'"
    assert [one.text for one in literals(script)] == ["ABCDE\\x41BCDEABC\U0001f600z"]


def test_a_script_that_takes_too_long_is_read_in_part_and_said_to_be() -> None:
    opened = Opened(
        "<script>"
        + ";".join(f"x=atob('{base64.b64encode(NOISE[at : at + 90]).decode()}')" for at in range(1000)) * 25
        + "</script>"
    )
    assert opened.seconds < 3
    assert "html.script-long" in opened.rules


def test_a_program_in_a_script_that_is_read_in_part_is_smuggling() -> None:
    rest = ";".join(f"x=atob('{base64.b64encode(NOISE[at : at + 90]).decode()}')" for at in range(1000)) * 25
    for program in (f"u=[{','.join(map(str, PROGRAM))}]", f"u=atob('{base64.b64encode(PROGRAM).decode()}')"):
        opened = Opened(f"<script>{rest};{program};{SAVE}</script>")
        assert {"html.smuggling", "html.script-long"} <= opened.rules


@pytest.mark.parametrize(
    ("first", "last"), [(0xAC00, 0xACFF), (0xAC00, 0xAC50), (0x4E00, 0x9FFF), (0x400, 0x4FF)]
)
def test_many_letters_take_time_in_proportion(first: int, last: int) -> None:
    """The fuzz target found a letter's place looked up anew for each: 32 kB of mail took six seconds."""
    generator = random.Random(first)  # noqa: S311 - it guards nothing
    text = "".join(chr(generator.randint(first, last)) for _ in range(100_000))
    begun = time.process_time()
    assert not list(from_foreign(text))
    assert time.process_time() - begun < 1
