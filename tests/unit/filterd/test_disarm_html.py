import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.anatomy import HtmlTreatment
from filterd.parse.charsets import text_of
from filterd.parse.html_tree import read_page
from filterd.rewrite.html import disarm
from tests.unit.filterd.pages import Opened

STRIP = HtmlTreatment(scripts="strip", forms="strip", iframes="strip", objects="strip", webbugs="strip")
DISARM = HtmlTreatment(scripts="disarm", forms="disarm", iframes="disarm", objects="disarm", webbugs="disarm")
ALLOW = HtmlTreatment(scripts="allow", forms="allow", iframes="allow", objects="allow", webbugs="allow")
ACTIVE = {
    "scripts": {
        "html.script",
        "html.event-handler",
        "html.script-url",
        "html.css-expression",
        "html.meta-refresh",
        "html.base-href",
        "html.data-document",
        "html.smuggling",
    },
    "forms": {"html.form"},
    "iframes": {"html.iframe"},
    "objects": {"html.object"},
    "webbugs": {"html.webbug"},
}
# Shapes after the published mutation attacks on sanitisers: what one parser takes for text another takes for markup.
MUTATIONS = (
    '<noscript><p title="</noscript><img src=x onerror=x()>">',
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=x()&gt;'>",
    '<svg></p><style><a id="</style><img src=1 onerror=x()>">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=x()>",
    "<svg><annotation-xml><foreignobject><style><!--</style><p id='--><img src=x onerror=x()>'>",
    "<math><annotation-xml encoding='text/html'><style><img src=x onerror=x()></style></annotation-xml></math>",
    "<title><a title='</title><img src=x onerror=x()>'></title><script></script>",
    "<textarea><a title='</textarea><img src=x onerror=x()>'></textarea>",
    "<xmp><a title='</xmp><img src=x onerror=x()>'></xmp>",
    "<noembed><a title='</noembed><img src=x onerror=x()>'></noembed>",
    "<iframe><a title='</iframe><img src=x onerror=x()>'></iframe>",
    "<!--><img src=x onerror=x()>-->",
    "<!--[if mso]><script>x()</script><![endif]-->",
    "<![CDATA[<img src=x onerror=x()>]]>",
    "<svg><![CDATA[<img src=x onerror=x()>]]></svg>",
    "<style>a{}</style><style>@import 'x';</style><svg><style>&lt;/style>&lt;img src=x onerror=x()></style>",
    '<a href="&#x6a;ava\tscript:x()">x</a>',
    "<a href='data:text/html,<script>x()</script>'>x</a>",
    "<p style='width:e\\78pression(x())'>x",
    "<template><script>x()</script></template>",
    "<select><template><img src=x onerror=x()></template></select>",
    "<img src=`x` onerror=x()>",
    "<img/src=x/onerror=x()>",
    "<p \"onclick=x() '<script>x()</script>>",
    "<plaintext><script>x()</script>",
    "<isindex action=javascript:x()>",
    "<meta http-equiv=refresh content='0;url=javascript:x()'>",
    "<frameset onload=x()><frame src=//e.test></frameset>",
)
PIECES = (
    "<p>", "</p>", "<table>", "<tr>", "<td>", "</table>", "<b>", "</b>", "text", "&lt;script>", "<script>", "x()", "</script>",
    "<style>", "</style>", "p{color:red}", "<svg>", "</svg>", "<math>", "<mtext>", "<form action=//e.test>", "</form>",
    "<input name=a value=b>", "<button onclick=x()>", "<select><option>", "<iframe src=//e.test>", "</iframe>", "<object data=//e.test>",
    "</object>", "<embed src=//e.test>", "<img src=//e.test width=1>", "<img src=cid:a>", "<img src=x onerror=x()>", "<a href=//e.test>",
    "<a href=javascript:x()>", "</a>", "<div style='display:none'>", "</div>", "<!--", "-->", "<noscript>", "</noscript>", "<template>",
    "</template>", "<title>", "</title>", "<textarea>", "</textarea>", '"', "'", "<base href=//e.test>", "<!--[if mso]>",
    "<![endif]-->", "<body onload=x() bgcolor=red>", "<p style='width:expression(x())'>", "<iframe srcdoc='<script>x()</script>'>",
    "<meta http-equiv=refresh content='0;url=//e.test'>", "<xmp>", "</xmp>", "<plaintext>", "<frameset>", "<![CDATA[", "]]>",
)  # fmt: skip


FATES = tuple(itertools.product(("allow", "disarm", "strip"), repeat=5))


def treated(treatment: HtmlTreatment) -> set[str]:
    return set().union(*(rules for name, rules in ACTIVE.items() if getattr(treatment, name) != "allow"))


def assert_harmless(html: str, treatment: HtmlTreatment) -> str:
    result = disarm(html.encode(), "utf-8", treatment)
    after = html if result is None else result.decode()
    if treatment.scripts != "allow" or "<script" not in after:
        # What a script that may run writes into the page is not there to be taken out.
        assert not Opened(after).rules & treated(treatment)
    assert disarm(after.encode(), "utf-8", treatment) is None
    return after


@pytest.mark.parametrize("html", MUTATIONS)
@pytest.mark.parametrize("treatment", [STRIP, DISARM], ids=["strip", "disarm"])
def test_mutations_do_not_survive(html: str, treatment: HtmlTreatment) -> None:
    after = assert_harmless(html, treatment)
    assert not [name for name in read_page(after).facts if name in treated(treatment)]


@given(st.lists(st.sampled_from(PIECES), max_size=25), st.sampled_from(FATES))
@settings(max_examples=400, deadline=None)
def test_the_result_has_nothing_that_was_to_be_treated(pieces: list[str], fates: tuple[str, ...]) -> None:
    # M04
    treatment = msgspec.convert(dict(zip(ACTIVE, fates, strict=True)), HtmlTreatment)
    assert_harmless("".join(pieces), treatment)


@given(
    st.binary(max_size=200), st.sampled_from(["", "utf-8", "iso-8859-1", "utf-7", "utf-16", "no-such", "gbk"])
)
def test_any_bytes_in_any_charset(data: bytes, charset: str) -> None:
    result = disarm(b"<script>" + data, charset, STRIP)
    if result is not None:
        assert disarm(result, charset, STRIP) is None


def test_html_without_anything_active_stays_as_it_is() -> None:
    page = b"<html><!-- c --><body><p style='color:red'>x<img src=cid:1><img src=http://e.test/photo.jpg>"
    assert disarm(page, "utf-8", DISARM) is None
    assert disarm(b"<script>x()</script>", "utf-8", ALLOW) is None


def test_layout_stays() -> None:
    page = (
        '<!DOCTYPE html><html><head><title>T &amp; t</title><style>td{color:red}</style></head><body bgcolor="#eee">'
        '<table width="600" cellpadding="0" style="border:0"><tr><td align="center" bgcolor="red" class="x">'
        '<a href="https://e.test/?a=1&amp;b=2" target="_blank"><img src="cid:logo" width="10" alt="l"></a>'
        '<font color="red" face="Arial">t</font><script>x()</script></td></tr></table></body></html>'
    )
    result = disarm(page.encode(), "utf-8", STRIP)
    assert result is not None
    text = result.decode()
    for kept in (
        "<!DOCTYPE html>",
        "<title>T &amp; t</title>",
        "<style>td{color:red}</style>",
        '<body bgcolor="#eee">',
        '<table width="600" cellpadding="0" style="border:0">',
        '<td align="center" bgcolor="red" class="x">',
        '<a href="https://e.test/?a=1&amp;b=2" target="_blank"><img src="cid:logo" width="10" alt="l"></a>',
        '<font color="red" face="Arial">t</font>',
    ):
        assert kept in text
    assert "x()" not in text


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<form action=//e.test>Name <input value=v><button>Go</button></form>", "Name [v]Go"),
        ("<iframe src=https://e.test/a></iframe>", "https://e.test/a"),
        ("<object data=https://e.test/a>else</object>", "https://e.test/a\nelse"),
        ("<img src=https://e.test/a width=1>x", "x"),
    ],
)
def test_disarmed_elements_stay_visible(html: str, shown: str) -> None:
    result = disarm(html.encode(), "utf-8", DISARM)
    assert result is not None
    assert read_page(result.decode()).text == shown


def test_stripped_elements_go() -> None:
    page = b"<p>a<form>b</form><iframe src=//e.test>c</iframe><object>d</object>e<img src=//e.test width=1>"
    result = disarm(page, "utf-8", STRIP)
    assert result is not None
    assert read_page(result.decode()).text.split() == ["a", "e"]


def test_what_is_allowed_stays() -> None:
    page = "<form action='https://e.test/'><input name=a></form><iframe src='https://e.test/'></iframe><script>x()</script>"
    forms = disarm(page.encode(), "utf-8", HtmlTreatment(scripts="strip", forms="allow", iframes="strip"))
    assert forms is not None
    assert read_page(forms.decode()).facts.keys() == {"html.form"}
    scripts = disarm(page.encode(), "utf-8", HtmlTreatment(scripts="allow", forms="strip", iframes="strip"))
    assert scripts is not None
    assert read_page(scripts.decode()).facts.keys() == {"html.script"}


@pytest.mark.parametrize(
    "charset",
    [
        "utf-8",
        "iso-8859-1",
        "windows-1252",
        "utf-16",
        "utf-16-le",
        "utf-8-sig",
        "utf-7",
        "iso-2022-jp",
        "gbk",
    ],
)
def test_the_charset_stays(charset: str) -> None:
    page = "<p>a + b \u00e9</p><script>x()</script>"
    known = "utf-8" if charset == "utf-8-sig" else charset
    result = disarm(page.encode(charset, "xmlcharrefreplace"), known, STRIP)
    assert result is not None
    text = result.decode(charset) if charset.startswith("utf-16") else text_of(result, known)
    assert read_page(text.lstrip("\ufeff")).text == "a + b \u00e9"


def test_a_document_that_no_parser_may_be_let_at_becomes_text() -> None:
    result = disarm(b"<div>" * 5000 + b"hello <script>x()</script>", "utf-8", STRIP)
    assert result is not None
    assert b"hello" in result
    assert disarm(result, "utf-8", STRIP) is None


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<style>@import 'http://e.test/a.css';p{color:red}</style><p>x", "p{color:red}"),
        ("<style>@im\\70ort url('//e.test/;x');p{color:red}</style><p>x", "p{color:red}"),
        ("<style>p{background:url( http://e.test/a ) no-repeat;color:red}</style><p>x", "color:red"),
        ("<p style='background:u\\72l(\\68ttp://e.test/a);color:red'>x", "color:red"),
        ('<p style=\'background:image-set("a" 1x,"http://e.test/b" 2x);color:red\'>x', "color:red"),
        ("<body background='http://e.test/a' bgcolor=red>x", 'bgcolor="red"'),
        ("<table background=//e.test/a bgcolor=red><tr><td>x", 'bgcolor="red"'),
        ("<link rel=stylesheet href=http://e.test/a.css><p>x", "<p>x"),
    ],
)
def test_what_styles_and_backgrounds_load_from_elsewhere_goes_as_web_bugs_do(html: str, left: str) -> None:
    bugs = msgspec.structs.replace(ALLOW, webbugs="strip")
    for treatment in (STRIP, DISARM, bugs):
        after = assert_harmless(html, treatment)
        assert "e.test" not in after
        assert left in after
    assert disarm(html.encode(), "utf-8", ALLOW) is None


@pytest.mark.parametrize(
    "html", ["<p>x<img src=x onerror=x()", "<p>x<img title='>' onerror='x()", "<p>x<a href=javascript:x() "]
)
def test_a_tag_that_the_document_ends_within_is_taken_out(html: str) -> None:
    result = disarm(html.encode(), "utf-8", STRIP)
    assert result is not None
    assert b"x()" not in result
    assert disarm(b"<p>1 < 2 and a<b so", "utf-8", STRIP) is None
