"""What scripts are read by: where their texts stand, keys that starts of files betray, letters, what nobody can read."""

import codecs
import hashlib
import time
from collections.abc import Callable

import pytest

from filterd.parse.script_alphabets import Alphabets, alphabets_of
from filterd.parse.script_letters import big_number, recovered
from filterd.parse.script_masks import combined, is_recovered, unmasked
from filterd.parse.script_residue import conceals, is_outline, is_readable, is_words
from filterd.parse.script_tokens import literals, without
from tests.unit.filterd.test_parse_html_codes import PROGRAM, b64

NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(200))

SCRIPTS = {
    "a='b'+\"c\"": ["b", "c"],
    "x.replace(/[\"'`]/g,'b')": ["b"],
    "return/'/.test('a')": ["a"],
    "a=b/2;c='d'/e": ["d"],
    "`a${x}b`+'c'": ["a${x}b", "c"],
    "`a${x.map(y=>`<b>${y}</b>`).join('')}c`+'d'": ["a", "<b>${y}</b>", "", "c", "d"],
    "`${{a:1}.b}`+'c'": ["${{a:1}.b}", "c"],
    "`a${f({b:`c`})}d`": ["a", "c", "d"],
    "// it's\n'a'/* ' */+'b'": ["a", "b"],
    r"'\x41\u0042\103\n'": ["ABC\n"],
    "'a": ["a"],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_texts_are_told_from_code(script: str) -> None:
    assert [one.text for one in literals(script)] == SCRIPTS[script]


def test_code_is_left_when_texts_are_taken_out() -> None:
    script = "a='b'+`c`"
    assert without(script, list(literals(script))) == 'a=""+""'


@pytest.mark.parametrize("unit", ["(/[", "`${", "`${`", "(/a", "${`}", "'", "`{"])
def test_reading_texts_is_linear(unit: str) -> None:
    begun = time.process_time()
    list(literals(unit * (400_000 // len(unit))))
    assert time.process_time() - begun < 4


MASKS: dict[str, Callable[[int, int], int]] = {
    "one byte": lambda _, byte: byte ^ 77,
    "the place": lambda at, byte: byte ^ at,
    "a sum": lambda _, byte: byte + 100,
    "a falling sum": lambda at, byte: byte - at,
    "a complement": lambda _, byte: 255 - byte,
    "bits turned": lambda _, byte: byte << 3 | byte >> 5,
}


@pytest.mark.parametrize("name", MASKS)
def test_a_masked_program_is_recovered(name: str) -> None:
    masked = bytes(MASKS[name](at, byte) & 255 for at, byte in enumerate(PROGRAM))
    assert PROGRAM in unmasked(masked)


@pytest.mark.parametrize("start", [b"%PDF-1.7\n", b"Rar!\x1a\x07\x00", b"7z\xbc\xaf\x27\x1c"])
@pytest.mark.parametrize("factor", [1, 3, 255])
def test_a_multiplied_file_is_recovered(start: bytes, factor: int) -> None:
    plain = start + NOISE
    assert plain in unmasked(bytes((factor * byte + 9) & 255 for byte in plain))


def test_noise_is_no_file() -> None:
    assert not [found for at in range(200) for found in unmasked(NOISE[at:])]
    assert not is_recovered(b"MZ" + NOISE)
    assert not is_recovered(b"MZ-1")


def test_exclusive_or_with_a_key_undoes_itself() -> None:
    assert combined(combined(NOISE, b"key"), b"key") == NOISE


@pytest.mark.parametrize(
    "text",
    [codecs.encode(b64(PROGRAM), "rot13"), b64(PROGRAM)[::-1], b64(PROGRAM).swapcase(), " ".join(f"{byte:o}" for byte in PROGRAM)],
    ids=["rot13", "reversed", "swapped case", "octal"],
)  # fmt: skip
def test_letters_are_recovered(text: str) -> None:
    assert any(data.startswith(PROGRAM) for data in recovered(text, Alphabets()))


def test_a_long_number_is_its_bytes() -> None:
    assert big_number(str(int.from_bytes(PROGRAM[:1000])), 10) == PROGRAM[:1000]
    assert big_number("9" * 70_000, 10) == b""


def test_words_outlines_and_code_are_readable_and_ciphers_are_not() -> None:
    assert is_readable("The quick brown fox jumps over the lazy dog")
    assert is_words("undefinedfunctionTransformCurrentColor")
    assert is_outline("280 522Q281 523 285 523H289Q301 523 366 457Q404 420 431 393")
    for wrong in (is_readable, is_words, is_outline):
        assert not wrong(b64(NOISE)[:400])
    assert not is_outline("M" + " L".join(map(str, NOISE[:400])))


def test_what_nothing_explains_is_concealed_in_one_piece_or_many() -> None:
    text = b64(NOISE)
    assert conceals([text], 0, len(text))
    assert conceals([text[at : at + 7] for at in range(0, len(text), 7)], 0, len(text))
    assert not conceals([text], 2 * len(text), len(text))
    assert not conceals(["The quick brown fox jumps over the lazy dog"] * 900, 0, 4000)


def test_a_table_of_signs_does_not_break_the_engine() -> None:
    # CPython 3.11: SystemError, "The span of capturing group is wrong", from a group in a possessive loop.
    assert not alphabets_of('O,1058:"k"d,5179:"j"1,1050:"r"s,1056:"r"', []).tables
    table = ",".join(f"'{letter}':{number}" for number, letter in enumerate("abcdefghij"))
    assert alphabets_of(f"t={{{table}}}", []).tables[0] == {
        letter: str(at) for at, letter in enumerate("abcdefghij")
    }
