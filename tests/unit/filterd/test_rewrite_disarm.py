"""Disarming: macros go with all that refers to them, HTML keeps its charset and encoding."""

import io
import zipfile

import pytest

from filterd.anatomy import HtmlTreatment
from filterd.rewrite import rewrite
from filterd.rewrite.macros import without_macros
from filterd.rewrite.transfer import as_quoted
from tests.unit.filterd.rewritten import HTML, PLAIN, attachment, crlf, mixed, order, parsed, span


def document(*names: str) -> bytes:
    types = (
        b'<Types><Default Extension="xml" ContentType="application/xml"/>'
        b'<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>'
        b'<Override PartName="/word/vbaData.xml" ContentType="application/vnd.ms-word.vbaData+xml"/></Types>'
    )
    rels = (
        b'<Relationships><Relationship Id="rId1" Type="http://x/styles" Target="styles.xml"/>'
        b'<Relationship Id="rId2" Type="http://x/vbaProject" Target="vbaProject.bin"></Relationship></Relationships>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("[Content_Types].xml", types)
        made.writestr("word/_rels/document.xml.rels", rels)
        made.writestr("word/document.xml", b"<w/>")
        for name in names:
            made.writestr(name, b"macro")
    return out.getvalue()


def test_macros_go_with_all_that_refers_to_them() -> None:
    clean = without_macros(
        document("word/vbaProject.bin", "word/vbaData.xml", "word/_rels/vbaProject.bin.rels")
    )
    assert clean is not None
    with zipfile.ZipFile(io.BytesIO(clean)) as left:
        assert left.namelist() == ["[Content_Types].xml", "word/_rels/document.xml.rels", "word/document.xml"]
        assert left.testzip() is None
        everything = b"".join(left.read(name) for name in left.namelist())
        assert b"vba" not in everything
        assert b"styles.xml" in everything
        assert left.read("[Content_Types].xml").count(b"<") == 3


@pytest.mark.parametrize(
    "bad",
    [
        document(), document("word/vbaProject.bin", "xl/macrosheets/sheet1.xml"), b"PK\x03\x04 and no more",
        document("word/vbaProject.bin")[:-40], document("word/vbaProject.bin", "word/activeX/activeX1.bin"),
    ],
)  # fmt: skip
def test_document_that_cannot_be_disarmed_fails(bad: bytes) -> None:
    raw = mixed(PLAIN, attachment(bad, "x.docm"))
    result, whole = rewrite(raw, order(("1.1", "remove"), ("1.2", "disarm")))
    assert result.failed == (1,)
    assert whole == raw


def test_disarmed_document_keeps_its_name() -> None:
    raw = mixed(PLAIN, attachment(document("word/vbaProject.bin"), "x.docm"), HTML)
    result, whole = rewrite(raw, order(("1.2", "disarm")))
    assert result.failed == ()
    got = parsed(whole, "1.2")
    content = got.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert without_macros(content) is None
    assert got.get_filename() == "x.docm"
    assert span(whole, "1.3") == HTML


STRIP = HtmlTreatment(scripts="strip", forms="strip", iframes="strip", objects="strip", webbugs="strip")


def test_disarmed_html_keeps_charset_and_encoding() -> None:
    page = "<html><body><p>Grüße</p><script>alert(1)</script></body></html>\r\n".encode("latin-1")
    head = crlf(
        "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
    )
    raw = mixed(PLAIN, head + as_quoted(page))
    result, whole = rewrite(raw, order(("1.2", "disarm"), html=STRIP))
    assert result.failed == ()
    got = parsed(whole, "1.2")
    content = got.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert b"script" not in content
    assert "Grüße" in content.decode("latin-1")
    assert span(whole, "1.1") == PLAIN


def test_html_without_active_content_stays_byte_for_byte() -> None:
    raw = mixed(PLAIN, HTML)
    result, whole = rewrite(raw, order(("1.2", "disarm"), html=STRIP))
    assert (result.failed, whole) == ((), raw)
