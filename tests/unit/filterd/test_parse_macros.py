"""Macros: what starts by itself and acts counts; honest code only warns; bombs in them are over limit."""

import struct
import time
from typing import Final

import pytest

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise
from filterd.parse.ole_macros import runs_and_acts
from tests.corpus.mail import file_part, mixed, text_part
from tests.corpus.writers.ole import Tree, compound, macro_project

MIB: Final = 1 << 20


def opened(data: bytes, name: bytes = b"a.doc") -> tuple[Anatomy, list[bytes]]:
    return anatomise(mixed("test", text_part(), file_part(data, name)), Inspection())


def rules(data: bytes) -> set[str]:
    anatomy, _ = opened(data)
    return {found.rule for found in anatomy.findings if found.rule.startswith(("document.", "limit."))}


def project(**streams: bytes) -> bytes:
    """Return a document whose project has one empty module, with streams of the project replaced."""
    made = dict(macro_project(b""))
    folder = made["VBA"]
    assert not isinstance(folder, bytes)
    tree: Tree = {"WordDocument": bytes(5000), "Macros": {**made, "VBA": {**folder, **streams}}}
    return compound(tree)


def document(*lines: bytes) -> bytes:
    return compound({"WordDocument": bytes(5000), "Macros": macro_project(b"\r\n".join(lines) + b"\r\n")})


HOSTILE = {
    "shell": ('Shell "calc"',),
    "object made by name": ('Set x = CreateObject("WScript.Shell")',),
    "object whose name is built": ('Set x = CreateObject("WScr" & "ipt.Shell")',),
    "a second object by the first": (
        'Set x = CreateObject("Scripting.Dictionary")',
        "Set y = CreateObject(x(1))",
    ),
    "declared in a library": ('Declare Sub Sleep Lib "kernel32" Alias "WinExec" (a)',),
    "declared in another library": ('Declare Sub Sleep Lib "\\\\host\\a.dll" ()',),
    "behind an apostrophe in brackets": ("x = ['a']: Shell y",),
    "behind a quoted apostrophe": ('x = "it\'s": Shell y',),
    "behind two quotes": ('x = "a "" b": Shell y',),
    "over two lines": ("Declare Sub WinExec _", 'Lib "kernel32" ()'),
    "writes a file": ("Open x For Binary As #1",),
    "fetches a file": ("URLDownloadToFile 0, x, y, 0, 0",),
    "method run": ("y.Run x",),
}
HONEST = {
    "dictionary": ('Set x = CreateObject("Scripting.Dictionary")',),
    "database": ('Set x = CreateObject("ADODB.Connection")',),
    "words in a message": ('MsgBox "Please run the update, or call us and open a ticket"',),
    "words in a comment": ("' run this, then call the shell",),
    "Rem": ("Rem run this at noon",),
    "keyword Call": ("Call Refresh",),
    "macro by its name": ('Application.Run "Refresh"',),
    "waits": ('Declare PtrSafe Sub Sleep Lib "kernel32" (ByVal ms As Long)',),
    "counts": ('Range("A1").Value = 1',),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_code_that_acts_counts_where_it_starts_by_itself(name: str) -> None:
    lines = "\r\n".join(HOSTILE[name])
    assert runs_and_acts(f"Sub Document_Open()\r\n{lines}\r\nEnd Sub")
    assert not runs_and_acts(f"Sub Button1_Click()\r\n{lines}\r\nEnd Sub\r\n' AutoOpen")


@pytest.mark.parametrize("name", HONEST)
def test_honest_code_may_start_by_itself(name: str) -> None:
    lines = "\r\n".join(HONEST[name])
    assert not runs_and_acts(f"Sub Workbook_Open()\r\n{lines}\r\nEnd Sub")


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ((b"Sub AutoOpen()", b'Shell "calc.exe"', b"End Sub"), "document.macro-autorun"),
        ((b"Sub Total()", b'Range("A1") = 5', b"End Sub"), "document.macro"),
        (
            (b"Sub AutoOpen()", b'Set x = CreateObject("Scripting.Dictionary")', b"End Sub"),
            "document.macro",
        ),
    ],
)
def test_findings_of_documents(lines: tuple[bytes, ...], rule: str) -> None:
    assert rules(document(*lines)) == {rule}


def test_a_project_without_code_is_no_finding() -> None:
    assert rules(project()) == set()


def test_compiled_code_without_source_is_stomped() -> None:
    assert rules(project(Module1=b"\x01\x16\x03" + bytes(600))) == {"document.macro-stomped"}


def test_compiled_names_behind_an_empty_source_are_stomped() -> None:
    table = b"\xcc\x61\xff\xff\0\0\0" + b"\x08AutoOpen\x01\x05Shell\x02\x04Word"
    assert rules(project(_VBA_PROJECT=table)) == {"document.macro-stomped"}
    harmless = b"\xcc\x61\xff\xff\0\0\0" + b"\x08Document\x01\x0cThisDocument\x02\x04Word"
    assert rules(project(_VBA_PROJECT=harmless)) == set()


def test_the_source_comes_out_byte_for_byte() -> None:
    _, contents = opened(document(b"Sub X()", b"' The quick brown fox", b"End Sub"))
    assert any(b"\r\nSub X()\r\n' The quick brown fox\r\nEnd Sub\r\n" in content for content in contents)


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def workbook(name: bytes, formula: bytes) -> bytes:
    """Return an old workbook with one Excel 4 macro sheet: a name (NAME, 2.4.150) and a cell (FORMULA, 2.4.127)."""
    sheet = _record(0x85, struct.pack("<IBB", 0, 0, 1) + b"\x06\0Macro1")
    label = _record(0x18, struct.pack("<HBBHHHI", 0, 0, len(name), 0, 0, 1, 0) + b"\0" + name)
    cell = struct.pack("<HHH8sHI", 0, 0, 0, bytes(8), 0, 0) + struct.pack("<H", len(formula)) + formula
    start = _record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    inner = _record(0x809, struct.pack("<HHHHII", 0x600, 0x40, 0, 0, 0, 0))
    stream = start + sheet + label + _record(10, b"") + inner + _record(6, cell) + _record(10, b"")
    return compound({"Workbook": stream.ljust(5000, b"\0")})


# PtgStr "calc", PtgFuncVar 110 with one argument (MS-XLS 2.5.198): EXEC("calc").
_EXEC: Final = b"\x17\x04\0calc\x42\x01" + struct.pack("<H", 110)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (b"Auto_Open", "document.macro-autorun"),
        (b"Auto_Close", "document.macro-autorun"),
        (b"Total", "document.macro"),
    ],
)
def test_excel_4_sheets(name: bytes, rule: str) -> None:
    anatomy, contents = opened(workbook(name, _EXEC), b"a.xls")
    assert {found.rule for found in anatomy.findings if found.rule.startswith("document.")} == {rule}
    assert any(b'EXEC("calc")' in content for content in contents)


def test_a_presentation_holds_its_macros_packed() -> None:
    inner = document(b"Sub Auto_Open()", b'Shell "calc.exe"', b"End Sub")
    atom = b"\0\0\x11\x10" + struct.pack("<I", len(inner)) + inner
    assert rules(compound({"PowerPoint Document": bytes(5000) + atom}) + bytes(512)) >= {
        "document.macro-autorun"
    }


def _chunks(body: bytes, count: int) -> bytes:
    return b"\1" + (struct.pack("<H", 0xB000 | (len(body) - 1)) + body) * count


BOMBS = {
    # One letter, and a copy of it 4095 times over (MS-OVBA 2.4.1.3.19), in each chunk of six bytes.
    "chunks that unpack to more than they may": project(
        Module1=_chunks(b"\x02A" + struct.pack("<H", 0x0FF8), 150_000)
    ),
    "chunks of 4096 bytes": project(Module1=_chunks(b"\x02A" + struct.pack("<H", 0x0FFC), 150_000)),
    "starts of modules": compound({"Contents": b"\x01\xfd\x3f\0Attribut\0" * 80_000}),
    "starts of modules in chunks that are not packed": compound(
        {"Contents": b"\1" + (b"\xff\x3f" + (b"\x01\xff\x3f\0Attribut\0xx" * 300)[:4096]) * 250}
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_in_macros_end_within_two_seconds(name: str) -> None:
    start = time.process_time()
    found = rules(BOMBS[name])
    assert time.process_time() - start < 2
    assert found & {"limit.leaf", "document.macro-stomped"}


@pytest.mark.parametrize("word", ["Open ", "Declare ", "Open _\r\n", '"', "[", "' ", "a_", '" x '])
def test_judging_takes_linear_time(word: str) -> None:
    start = time.process_time()
    runs_and_acts("Sub AutoOpen()\r\n" + word * (2 * MIB // len(word)))
    assert time.process_time() - start < 2
