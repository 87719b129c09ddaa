"""Documents: what they hold is offered, what runs in them is a finding, ordinary ones have none."""

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msoffcrypto.format.ooxml import OOXMLFile

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.parse import ole_macros, ole_sheets, pdf_filters
from filterd.parse.anatomise import anatomise
from filterd.stages import document
from tests.corpus.document import word_document
from tests.corpus.mail import file_part, mixed, text_part
from tests.corpus.writers.ole import compound, macro_project, object_1, outlook_message, package
from tests.corpus.writers.pdf import enciphered_with_file, with_file

PAYLOAD = b"The quick brown fox jumps over the lazy dog." * 3
PARSE = Path(document.__file__).parent.parent / "parse"
_AUTO = b'Sub AutoOpen()\r\n  Set x = CreateObject("WScript.Shell")\r\n  x.Run "calc"\r\nEnd Sub\r\n'
_HONEST = b'Sub AutoOpen()\r\n  Set x = CreateObject("Scripting.Dictionary")\r\n  Range("A1") = x.Count\r\nEnd Sub\r\n'
_ONENOTE = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(100)


def opened(
    data: bytes, name: bytes = b"a.csv", words: bytes = b"Good morning.\r\n"
) -> tuple[Anatomy, list[bytes]]:
    return anatomise(mixed("test", text_part(words), file_part(data, name)), Inspection())


def rules(anatomy: Anatomy) -> set[str]:
    return {found.rule for found in anatomy.findings if found.rule.startswith("document.")}


def office(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types/>')
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


def relation(kind: str, target: str, mode: str = "External") -> bytes:
    text = (
        '<?xml version="1.0"?><Relationships><Relationship Id="a" Type="http://x/relationships/{}"'
        ' TargetMode="{}" Target="{}"/></Relationships>'
    )
    return office(**{"word/_rels/settings.xml.rels": text.format(kind, mode, target).encode()})


def word(field: str) -> bytes:
    runs = (
        f'<w:instrText>{field[:4]}</w:instrText><w:instrText xml:space="preserve">{field[4:]}</w:instrText>'
    )
    text = f'<?xml version="1.0"?><w:document>{runs}</w:document>'
    return office(**{"word/document.xml": text.encode()})


def pdf(*objects: bytes) -> bytes:
    return (
        b"%PDF-1.7\n"
        + b"\n".join(b"%d 0 obj\n%b\nendobj" % (at, one) for at, one in enumerate(objects, 1))
        + b"\ntrailer <</Root 1 0 R>>\n"
    )


def test_every_rule_that_an_opener_notes_is_declared() -> None:
    declared = {rule.id for rule in document.STAGE.rules}
    noted = {
        word
        for file in PARSE.glob("*.py")
        for word in file.read_text().split('"')
        if word.startswith("document.") and " " not in word
    }
    assert noted == declared


FINDINGS: tuple[tuple[str, bytes, set[str]], ...] = (
    ("macro that runs and starts a program",
        compound({"WordDocument": bytes(5000), "Macros": macro_project(_AUTO)}), {"document.macro-autorun"}),
    ("macro that runs and counts", compound({"WordDocument": bytes(5000), "Macros": macro_project(_HONEST)}), {"document.macro"}),
    ("macro in docm", office(**{"word/vbaProject.bin": compound(macro_project(_AUTO))}), {"document.macro-autorun"}),
    ("macro sheet", office(**{"xl/macrosheets/sheet1.xml": b"<a/>"}), {"document.macro"}),
    ("macro sheet that opens",
        office(**{"xl/workbook.xml": b'<?xml version="1.0"?><definedName name="_xlnm.Auto_Open">x</definedName>'}),
        {"document.macro-autorun"}),
    ("template from the net", relation("attachedTemplate", "https://example.com/a.dotm"), {"document.external-template"}),
    ("template from the net, in entities", relation("attachedTemplate", "&#104;ttp://example.com/a"), {"document.external-template"}),
    ("template from a share", relation("attachedTemplate", "file://///server.example/x.dotm"), {"document.external-share"}),
    ("template from the own disk", relation("attachedTemplate", "file:///C:/Users/a/Normal.dotm"), set()),
    ("linked object", relation("oleObject", "http://example.com/a.hta"), {"document.external-template"}),
    ("hyperlink", relation("hyperlink", "https://example.com/"), set()),
    ("internal relation", relation("attachedTemplate", "http://example.com/", "Internal"), set()),
    ("DDE in two runs", word("DDEAUTO c:\\\\windows\\\\cmd.exe"), {"document.dde"}),
    ("page field", word("PAGE \\* MERGEFORMAT"), set()),
    ("package in doc", compound({"ObjectPool": {"_1": {"\1Ole10Native": package(PAYLOAD)}}}), {"document.embedded-object"}),
    ("RTF object", b"{\\rtf1{\\object\\objemb{\\*\\objdata " + object_1(PAYLOAD).hex().encode() + b"}}}", {"document.embedded-object"}),
    ("RTF template", b"{\\rtf1{\\*\\template http://example.com/a.dotm}}", {"document.external-template"}),
    ("RTF DDE", b"{\\rtf1{\\field{\\*\\fldinst DDEAUTO c:\\\\\\\\cmd.exe}}}", {"document.dde"}),
    ("plain RTF", b'{\\rtf1\\ansi Good morning.{\\field{\\*\\fldinst HYPERLINK "http://example.com"}}}', set()),
    ("OneNote file", _ONENOTE + bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + struct.pack("<Q", len(PAYLOAD)) + bytes(12) + PAYLOAD,
        {"document.embedded-object"}),
    ("formula that starts a program, csv", b"a,b\r\n=cmd|'/C calc'!A0,1\r\n", {"document.dde"}),
    ("formula that calculates first, csv", b"a,\"@SUM(1+1)*cmd|' /C calc'!A0\"\r\n", {"document.dde"}),
    ("honest csv with an or", b"a,=A1*cmd|x,b\r\n", set()),
    ("honest csv", b"a,b\r\n=A1+B2|x,-cmd\r\n", set()),
    ("PDF script at opening", pdf(b"<</Type/Catalog/OpenAction<</S/JavaScript/JS(this.mailDoc\\(1\\))>>>>"),
        {"document.pdf-javascript", "document.pdf-javascript-auto"}),
    ("PDF that prints itself", pdf(b"<</Type/Catalog/OpenAction<</S/JavaScript/JS(this.print\\({bUI: true}\\);)>>>>"),
        {"document.pdf-javascript"}),
    ("PDF script that is put together", pdf(b"<</Type/Catalog/OpenAction<</S/JavaScript/JS(this['pr'+'int']\\(\\))>>>>"),
        {"document.pdf-javascript", "document.pdf-javascript-auto"}),
    ("PDF that opens a document beside it", pdf(b"<</Type/Action/S/Launch/F(tables/one.docx)>>"), set()),
    ("PDF that opens a document elsewhere", pdf(b"<</Type/Action/S/Launch/F(//host/one.docx)>>"),
        {"document.pdf-launch"}),
    ("PDF script by reference", pdf(b"<</Type/Catalog/OpenAction 2 0 R>>", b"<</S/#4aavaScript/JS 3 0 R>>", b"<<>>stream\nx=1\nendstream"),
        {"document.pdf-javascript", "document.pdf-javascript-auto"}),
    ("PDF form that formats a field",
        pdf(b"<</Type/Catalog>>", b"<</FT/Tx/AA<</F<</S/JavaScript/JS(AFNumber_Format\\(2\\))>>>>>>"),
        {"document.pdf-javascript"}),
    ("PDF that starts a program", pdf(b"<</Type/Catalog/OpenAction<</S/La#75nch/Win<</F(cmd.exe)>>>>>>"), {"document.pdf-launch"}),
    ("PDF with a file", with_file(PAYLOAD), {"document.pdf-embedded"}),
    ("PDF with a link and a start page",
        pdf(b"<</Type/Catalog/OpenAction[2 0 R/Fit]>>", b"<</S/URI/URI(https://example.com)>>"), set()),
    ("PDF under an empty password", enciphered_with_file(PAYLOAD, b""), {"document.owner-password", "document.pdf-embedded"}),
    ("PDF under a password", enciphered_with_file(PAYLOAD, b"unknown"), {"document.encrypted", "document.pdf-embedded"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "expected"), [row[1:] for row in FINDINGS], ids=[row[0] for row in FINDINGS]
)
def test_findings(data: bytes, expected: set[str]) -> None:
    anatomy, _ = opened(data)
    assert rules(anatomy) == expected


def _flat(data: bytes) -> bytes:
    return b'<?xml version="1.0"?><w:binData w:name="a">' + base64.encodebytes(data) + b"</w:binData>"


HOLDERS = (
    ("stream", compound({"Contents": PAYLOAD})),
    ("package", compound({"\1Ole10Native": package(PAYLOAD)})),
    ("Outlook message", outlook_message(PAYLOAD)),
    ("RTF", b"{\\rt{\\*\\objdata " + object_1(PAYLOAD).hex().encode() + b"}"),
    ("RTF with words between",
        b"{\\rtf1{\\*\\objdata " + object_1(PAYLOAD).hex().encode().replace(b"20", b"2{\\*\\x 11}\\y1 0\r\n") + b"}"),
    ("RTF, binary", b"{\\rtf1{\\*\\objdata \\bin%d %b}}" % (len(object_1(PAYLOAD)), object_1(PAYLOAD))),
    ("PDF", with_file(PAYLOAD)),
    ("PDF, filters", with_file(base64.a85encode(zlib.compress(PAYLOAD)) + b"~>", b"/F#69lter[/A85/Fl]")),
    ("PDF, object stream", pdf(b"<</Type/ObjStm/N 1/First 4/Filter/FlateDecode>>stream\n"
        + zlib.compress(b"9 0 <</S/JavaScript/JS(" + PAYLOAD + b")>>") + b"\nendstream")),
    ("PDF, empty password", enciphered_with_file(PAYLOAD, b"")),
    ("PDF behind text", b"text\n" * 50 + with_file(PAYLOAD)),
    ("flat XML", _flat(PAYLOAD)),
    ("OneNote", FINDINGS[19][1]),
    ("calendar", b"BEGIN:VCALENDAR\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:" + base64.b64encode(PAYLOAD)[:50] + b"\r\n "
        + base64.b64encode(PAYLOAD)[50:] + b"\r\nEND:VCALENDAR\r\n"),
)  # fmt: skip


@pytest.mark.parametrize("data", [row[1] for row in HOLDERS], ids=[row[0] for row in HOLDERS])
def test_what_is_inside_comes_out_byte_for_byte(data: bytes) -> None:
    _, contents = opened(data)
    assert PAYLOAD in contents


def test_attached_names_are_known_to_the_policy() -> None:
    anatomy, _ = opened(compound({"\1Ole10Native": package(PAYLOAD, b"invoice.exe")}))
    assert "attachment.extension" in {found.rule for found in anatomy.findings}


# The writer of msoffcrypto errs with packages so small that they go into the mini stream.
NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(300))


def _encrypted(password: str) -> bytes:
    out = io.BytesIO()
    OOXMLFile(io.BytesIO(word_document(NOISE))).encrypt(password, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("Tulip-42", "document.password-in-body"),
        ("VelvetSweatshop", "document.password-in-body"),
        ("unknown", "document.encrypted"),
    ],
)
def test_encrypted_office(password: str, expected: str) -> None:
    anatomy, contents = opened(_encrypted(password), words=b"The password is Tulip-42.\r\n")
    assert rules(anatomy) == {expected}
    assert (NOISE in contents) == (expected == "document.password-in-body")


@given(st.binary(max_size=2000))
def test_run_length_of_literal_runs(data: bytes) -> None:
    packed = (
        b"".join(
            bytes((len(data[at : at + 128]) - 1,)) + data[at : at + 128] for at in range(0, len(data), 128)
        )
        + b"\x80"
    )
    assert b"".join(pdf_filters.run_length(packed)) == data


@given(st.binary(max_size=500))
def test_any_bytes_through_any_filter(data: bytes) -> None:
    for undo in pdf_filters.FILTERS.values():
        b"".join(undo(data))
    ole_sheets.Workbook(data)
    ole_sheets.formulas(data)
    ole_macros.runs_and_acts(data.decode("latin-1"))


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([row[1] for row in (*FINDINGS, *HOLDERS)]),
       st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8), st.integers(0, 1000))  # fmt: skip
def test_damaged_documents_never_raise(data: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(data[: max(10, len(data) - cut)])
    for place, value in changes:
        if place < len(damaged):
            damaged[place] = value
    opened(bytes(damaged))
