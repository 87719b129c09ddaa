"""Documents that say the same in another spelling are found all the same; fields that never close cost nothing."""

import io
import time
import zipfile

import pytest

from filterd.config.inspection import BANNED_EXTENSIONS, Inspection
from filterd.parse.anatomise import anatomise
from filterd.parse.mime_fields import without_comments, without_noise
from tests.corpus.mail import file_part, mixed, text_part

LIMIT_S = 0.3
SIZE = 200_000
_AUTO_XML = '<?xml version="1.0"?>'
_RELATION = (
    '<Relationships><Relationship Id="a" Type="http://x/relationships/attachedTemplate"'
    ' TargetMode="External" Target="http://example.com/a.dotm"/></Relationships>'
)
_FIELD = "<w:document><w:instrText>DDEAUTO c:\\cmd</w:instrText></w:document>"
_SYLK = b'ID;P\r\nO;E\r\nNN;NAuto_open;ER101C1;KOut Flank;F\r\nC;X1;Y101;K0;EEXEC("CALC.EXE")\r\nE\r\n'


def _office(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types/>')
        made.writestr(name, data)
    return file.getvalue()


def _rules(data: bytes, name: bytes) -> set[str]:
    anatomy, _ = anatomise(mixed("test", text_part(), file_part(data, name)), Inspection())
    return {found.rule for found in anatomy.findings}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("From: ", "@b.example"),
        ("Sender: ", "@b.example"),
        ("To: ", "@b.example"),
        ("Subject: ", ""),
        ("Content-Type: multipart/mixed; boundary=", ""),
        ("Content-Type: text/plain; (", ""),
        ("Content-Type: text/plain; name=", ".txt"),
        ("Content-Disposition: attachment; filename=", ""),
        ("Content-Disposition: attachment; filename*=", ""),
        ("Content-Disposition: attachment; filename*0*=", ""),
        ("Content-Transfer-Encoding: ", ""),
    ],
)
@pytest.mark.parametrize(
    "sign", ['"\\', "(", "\\(", '"\\(', "<", "=?", ";", "%", "'", "=?a?q?", " =", "a=b;"]
)
def test_a_field_that_never_closes_costs_little(start: str, end: str, sign: str) -> None:
    field = start + sign * (SIZE // len(sign)) + end
    raw = (
        b"From: a@a.example\r\n" * (not start.startswith("From"))
        + field.encode()
        + b"\r\n\r\n--x\r\n\r\nx\r\n"
    )
    begun = time.process_time()
    anatomise(raw, Inspection())
    assert time.process_time() - begun < LIMIT_S


@pytest.mark.parametrize(
    ("value", "bare"),
    [
        ('"a, b" <c@d>', " <c@d>"),
        ("(x(y)z) a@b", "(xz) a@b"),
        ('"open (x) a@b', '"open  a@b'),
        ('"a\\" (b" c(d', " c(d"),
        ('(open "x" a', "(open  a"),
    ],
)
def test_quotes_and_comments_go_and_open_ones_stay(value: str, bare: str) -> None:
    assert without_noise(value) == bare


def test_comments_go_and_quotes_stay() -> None:
    assert without_comments('text/plain (a "b) ; name="(x) y" (c)') == 'text/plain   ; name="(x) y"  '


@pytest.mark.parametrize(
    "text",
    [
        _AUTO_XML + _FIELD,
        _AUTO_XML + _FIELD.replace("w:", "ns0:"),
        _AUTO_XML + _FIELD.replace("w:", ""),
        _AUTO_XML + _FIELD.replace("</w:instrText>", "</w:instrText \n>"),
        _AUTO_XML + _FIELD.replace("<w:instrText>", "<w:instrText\n a='>'>"),
        _AUTO_XML + _FIELD.replace("DDEAUTO", "D<!-- -->DEAUTO"),
        _AUTO_XML + _FIELD.replace("DDEAUTO", "<![CDATA[DDE]]>AUTO"),
        _AUTO_XML + _FIELD.replace("DDEAUTO", "&#68;DEAUTO"),
        _AUTO_XML + "<w:a><w:fldSimple w:instr = 'DDEAUTO c:\\cmd'/></w:a>",
        _AUTO_XML + '<x:a><x:fldSimple x:instr="&#x44;DEAUTO c:\\cmd"/></x:a>',
        _AUTO_XML + "<w:a><w:instrText>QUOTE 68 68 69 65 85 84 79</w:instrText></w:a>",
        _AUTO_XML + "<w:a><w:instrText>PAGE</w:instrText><w:fldChar/><w:instrText>DDE x</w:instrText></w:a>",
        _FIELD,
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_dde_is_found_however_it_is_spelled(text: str, codec: str) -> None:
    assert "document.dde" in _rules(_office("word/document.xml", text.encode(codec)), b"a.docx")


@pytest.mark.parametrize(
    "text",
    [
        _RELATION,
        _AUTO_XML + _RELATION.replace("<Relationship ", "<p:Relationship" + " " * 9000),
        _AUTO_XML + _RELATION.replace('"', "'"),
        _AUTO_XML + _RELATION.replace('Target="', 'Target = " '),
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-16-be", "cp037"])
def test_a_template_is_found_however_it_is_spelled(text: str, codec: str) -> None:
    if codec == "cp037" and not text.startswith("<?xml"):
        return
    data = _office("word/_rels/settings.xml.rels", text.encode(codec))
    assert "document.external-template" in _rules(data, b"a.docx")


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("xl/externalLinks/externalLink1.xml", "<a:ddeLink ddeService='c&#109;d' ddeTopic='x'/>", "dde"),
        (
            "xl/workbook.xml",
            "<a:definedName hidden='1' name = '_xlnm.Auto_Open'>x</a:definedName>",
            "macro-autorun",
        ),
        ("content.xml", "<o:dde-source o:dde-application='cmd' o:dde-topic='x'/>", "dde"),
        (
            "content.xml",
            "<s:event-listener s:event-name = 'dom:load' x:href='vnd.sun.star.script:a'/>",
            "macro-autorun",
        ),
        ("a.xml", "<m:module xmlns:m='http://openoffice.org/2000/script'>Sub x</m:module >", "macro"),
        ("word/a.xml", "<?xml version='1.0' encoding='x-none'?><a/>", "broken"),
    ],
)
def test_other_parts_are_read_however_they_are_spelled(name: str, text: str, rule: str) -> None:
    found = _rules(_office(name, text.encode()), b"a.ods")
    assert f"document.{rule}" in found


@pytest.mark.parametrize(
    ("data", "name", "rule"),
    [
        (rb"{\rtf1{\*\template \u104?\u116?\u116?\u112?://example.com/a.dot}}", b"a.doc", "external-template"),
        (rb"{\rtf1{\*\template \u-65432?\u-65420?\u-65420?\u-65424?\u-65478?//example.com/a}}", b"a.rtf",
         "external-template"),
        (rb"{\rtf1{\*\template \uc3\u104abc\u116\'41bc\uc0\u116\u112 ://example.com/a}}", b"a.rtf",
         "external-template"),
        (rb"{\rtf1{\*\template http://\u55357?example.com/a}}", b"a.rtf", "external-template"),
        (_SYLK, b"a.slk", "macro-autorun"),
        (_SYLK.replace(b"\r\n", b"\r"), b"a.csv", "macro-autorun"),
        (_SYLK.replace(b"NN;NAuto_open", b"NN;Nx"), b"a.slk", "macro"),
    ],
)  # fmt: skip
def test_rtf_and_sylk_are_read_as_their_programs_read_them(data: bytes, name: bytes, rule: str) -> None:
    assert f"document.{rule}" in _rules(data, name)


@pytest.mark.parametrize(
    ("action", "rule"),
    [
        (rb"/S/GoToR/F(\\\\evil.example\\s)/D[0/Fit]", "external-share"),
        (b"/S/GoToE/F(//evil.example/s)", "external-share"),
        (b"/S/GoToR/F<</Type/Filespec/F(file://evil.example/s)>>", "external-share"),
        (b"/S/URI/URI(javascript:x)", "pdf-javascript-auto"),
        (b"/S/URI/URI(http://example.com/)", "pdf-call"),
        (b"/S/SubmitForm/F<</FS/URL/F(http://example.com/)>>", "pdf-call"),
        (b"/S/GoTo/D[0/Fit]", ""),
        (b"/S/GoToR/F(chapter2.pdf)/D[0/Fit]", ""),
    ],
)
@pytest.mark.parametrize("first", [b"<<%b>>", b"2 0 R%.0b", b"null/AA 3 0 R%.0b"])
def test_what_a_pdf_calls_on_opening_is_reported(action: bytes, rule: str, first: bytes) -> None:
    data = b"%%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction %b>>endobj\n2 0 obj<<%b>>endobj\n3 0 obj<</O 2 0 R>>endobj\n"
    found = {one for one in _rules(data % (first % action, action), b"a.pdf") if one.startswith("document.")}
    assert found == ({f"document.{rule}"} if rule else set())


def test_links_that_a_reader_clicks_are_no_calls() -> None:
    data = b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction[2 0 R/Fit]>>endobj\n3 0 obj<</S/URI/URI(http://b.example/)>>endobj\n"
    assert not {one for one in _rules(data, b"a.pdf") if one.startswith("document.")}


def test_files_that_call_programs_by_their_name_are_banned() -> None:
    wanted = {"iqy", "slk", "searchconnector-ms", "appref-ms", "rdp", "theme", "wsb", "pyw", "desktop"}
    wanted |= {
        "appinstaller",
        "msixbundle",
        "msu",
        "diagpkg",
        "diagcfg",
        "dqy",
        "oqy",
        "rqy",
        "wll",
        "pyz",
        "pyzw",
        "mam",
        "maf",
    }
    assert wanted <= set(BANNED_EXTENSIONS)


@pytest.mark.parametrize(
    "piece",
    [
        "<w:instrText>", '<w:instrText a="', "<w:instrText a='\"", "<", "< ", "<w:", "<w:instr a=b ", "<!--", "<m:module>",
        "<fldSimple instr", "<binData>", "<script:module ", "&#68;", "QUOTE 1 ", "<Relationship ", "<a:event-listener event-name=",
    ],
)  # fmt: skip
def test_a_part_that_never_closes_costs_little(piece: str) -> None:
    text = (
        _AUTO_XML
        + "<a script='http://openoffice.org/2000/script' dde-='' instr='' event-name='' definedName=''>"
    )
    raw = mixed("test", file_part((text + piece * (SIZE // len(piece))).encode(), b"a.xml"))
    begun = time.process_time()
    anatomise(raw, Inspection())
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "piece", [b"\\*\\template ", b"\\u1", b"NN;", b"O;", b";E", b";EXEC", b"/OpenAction<<", b"/AA 1 0 R"]
)
@pytest.mark.parametrize("start", [b"{\\rtf1", b"ID;P\r\n", b"%PDF-1.7\n1 0 obj<</Type/Catalog "])
def test_a_document_that_never_closes_costs_little(start: bytes, piece: bytes) -> None:
    raw = mixed("test", file_part(start + piece * (SIZE // len(piece)), b"a.bin"))
    begun = time.process_time()
    anatomise(raw, Inspection())
    assert time.process_time() - begun < 2
