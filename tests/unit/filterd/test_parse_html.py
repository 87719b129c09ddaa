import base64

import pytest

from filterd.parse.charsets import transcoded
from filterd.parse.html import visible_text
from filterd.parse.html_cost import too_costly
from filterd.parse.html_tree import read_page
from tests.unit.filterd.pages import EICAR, Opened

NEWSLETTER = (
    "<div class=x style='color:red;padding:2px'><a href='http://example.org/aa'>text of a link</a> more <b>text</b>"
    "<img src='https://e.example/a.png' width=100 height=20 alt=q></div>"
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<p>two", "one\ntwo"),
        ("pass<b></b>word", "password"),
        ("a<br>b &amp; c", "a\nb & c"),
        ("<style>x{}</style><script>y</script><title>t</title><!-- c -->seen", "seen"),
        ("<p style='display: none'>no</p>yes", "yes"),
        ("<p style='display:/**/n\\6f ne'>no</p>yes", "yes"),
        ("<span hidden>no</span>yes", "yes"),
        ("<div style='font-size:0px'>no<b>no</b></div>yes", "yes"),
        ("<p style='font-size:10px'>yes</p>", "yes"),
        ("<template>no</template>yes", "yes"),
        ("<table><tr><td>a<td>b</table>", "a\tb"),
        ("", ""),
    ],
)
def test_visible_text_is_what_a_reader_sees(html: str, text: str) -> None:
    assert visible_text(html).split() == text.split()
    assert ("\n" in visible_text(html)) == ("\n" in text)


@pytest.mark.parametrize(
    ("html", "rule"),
    [
        ("<script>x()</script>", "html.script"),
        ("<scr\0ipt src=//x></script>", "html.script"),
        ("<svg><script>x()</script></svg>", "html.script"),
        ("<template><script>x()</script></template>", "html.script"),
        ("<!--[if mso]><script>x()</script><![endif]-->", "html.script"),
        ("<iframe srcdoc='&lt;script>x()&lt;/script>'></iframe>", "html.script"),
        ("<img src=x onerror=x()>", "html.event-handler"),
        ("<noscript><p title='</noscript><img src=x onerror=x()>'>", "html.event-handler"),
        ("<svg/onload=x()>", "html.event-handler"),
        ("<a href='java\nscript:x()'>x</a>", "html.script-url"),
        ("<a href='&#106;avascript&colon;x()'>x</a>", "html.script-url"),
        ("<form action=//e.test><input></form>", "html.form"),
        ("<input type=password>", "html.form"),
        ("<iframe src=//e.test></iframe>", "html.iframe"),
        ("<object data=x></object>", "html.object"),
        ("<embed src=x>", "html.object"),
        ("<applet code=x></applet>", "html.object"),
        ("<meta http-equiv=Refresh content='0; URL=http://e.test/'>", "html.meta-refresh"),
        ("<base href=http://e.test/>", "html.base-href"),
        ("<img src=http://e.test/1 width=1 height=1>", "html.webbug"),
        ("<img src=//e.test/1 style='display:none'>", "html.webbug"),
        ("<div style='display:none'><img src=//e.test/1></div>", "html.webbug"),
        ("<img src=http://e.test/1>", "html.remote-content"),
        ("<table><td background=http://e.test/1>", "html.remote-content"),
        ("<p style='background:url(http://e.test/1)'>x", "html.remote-content"),
        ("<a href='data:text/plain,hello'>x</a>", "html.data-uri"),
        ("<a href='data:text/html,<script>x()</script>'>x</a>", "html.data-document"),
        ("<p style='width:exp/**/ression(x())'>x", "html.css-expression"),
        ("<style>p{-moz-binding:url(x)}</style>", "html.css-expression"),
    ],
)
def test_active_content_is_reported_and_only_warned_of(html: str, rule: str) -> None:
    opened = Opened(html)
    assert rule in opened.rules
    assert not opened.refused


def test_ordinary_html_has_no_finding() -> None:
    opened = Opened(
        "<html><head><style>p{color:red}</style></head><body><p style='margin:0'>Dear <b>all</b>,<br>see"
        " <a href='https://example.org/'>this</a><img src='cid:logo' width=1 height=1>"
        "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='></p></body></html>"
    )
    assert opened.rules == set()
    assert opened.harvest.links == {("1", "this", "https://example.org/"): None}


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_documents_come_out_transcoded(codec: str) -> None:
    page = "<html><script>x()</script></html>"
    assert any(plain == page.encode() for _, plain in transcoded(page.encode(codec), "utf-8"))
    assert Opened(page.encode(codec)).rules == set()


def test_a_charset_that_the_document_declares_counts() -> None:
    opened = Opened(b"<meta charset=utf-7>+ADw-script+AD4-x()+ADw-/script+AD4-", charset="")
    assert "html.script" in opened.rules


@pytest.mark.parametrize(
    "html",
    [
        "<p>{b64}</p>",
        "<textarea>{b64}</textarea>",
        "<input type=hidden value={b64}>",
        "<div data-x='{b64}'></div>",
        "<!-- {b64} -->",
        "<template><p>{b64}</p></template>",
        "<noscript><p>{b64}</p></noscript>",
        "<noembed><p>{b64}</p></noembed>",
        "<p>{hex}</p>",
        "<p>{entities}</p>",
        "<img srcset='data:;base64,{b64} 2x'>",
        "<style>p{{background:url(data:;base64,{b64})}}</style>",
        "<a href='data:;base64,{b64}'>x</a>",
        "<a href='DATA: ;charset=x ; base64 , {b64}'>x</a>",
        "<a href='data:application/octet-stream,{percent}'>x</a>",
        "<iframe srcdoc=\"<a href='data:;base64,{b64}'>x</a>\"></iframe>",
        "<svg><foreignObject><a href='data:;base64,{b64}'>x</a></foreignObject></svg>",
        "<meta http-equiv=refresh content='0;url=data:;base64,{b64}'>",
    ],
)
def test_embedded_contents_come_out(html: str) -> None:
    ways = {
        "b64": base64.b64encode(EICAR).decode(),
        "hex": EICAR.hex(),
        "entities": "".join(f"&#{byte};" for byte in EICAR),
        "percent": "".join(f"%{byte:02X}" for byte in EICAR),
    }
    assert Opened(html.format(**ways)).holds(EICAR)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000,
        "<b><div>" * 60_000,
        "<div><!--</div>-->" * 40_000,
        "<div><style></div></style>" * 40_000,
        "<span><div></span></div>" * 40_000,
        "<div><object></div></object>" * 40_000,
        "".join(f"<div><font a={number}></div>" for number in range(2000)) + "<div>x</div>" * 10_000,
        "<div " + " ".join(f"a{number}=1" for number in range(20_000)) + ">",
        "<div><table>" + "<span>" * 900 + "</div>" * 100_000,
    ],
    ids=lambda html: html[:20],
)
def test_a_tree_that_would_cost_too_much_is_over_limit_and_never_built(html: str) -> None:
    opened = Opened(html + "<p>text")
    assert "html.cost" in opened.refused
    assert "text" in visible_text(html + "<p>text")
    assert opened.seconds < 1


@pytest.mark.parametrize(
    "html",
    [
        NEWSLETTER * 5000,
        "<" * 1_000_000,
        "<!--" * 250_000,
        "&#" * 400_000,
        "data:" * 200_000,
        "data:" + ";a=b" * 200_000,
        "<p style='" + "/*" * 400_000 + "'>",
        "<script>" + '"\\"' * 250_000 + "</script>",
        "<script>" + "`${a}" * 150_000 + "</script>",
        "<script>" + "a+" * 400_000 + "</script>",
        "<script>a='x';" + 'a=a+a+"y";' * 60_000 + "</script>",
        "<script>x='" + "%41" * 300_000 + "'</script>",
        "<script>" + "/" * 1_000_000 + "</script>",
        ("<p>" + "A" * 50) * 20_000,
        "<!--[if mso]>" * 70_000,
    ],
    ids=lambda html: html[:25],
)
def test_a_megabyte_of_anything_is_quick(html: str) -> None:
    assert Opened(html).seconds < 2


@pytest.mark.parametrize(
    "html",
    [
        NEWSLETTER * 5000,
        "<p>" * 300_000,
        "<td>" * 200_000,
        "<a name=x>" * 50_000,
        "<script>" + "if(a<b&&c>d){x='<div>'}" * 20_000 + "</script>",
        "<div><b>x</b></div>" * 50_000,
    ],
    ids=lambda html: html[:25],
)
def test_long_and_sloppy_html_is_not_too_costly(html: str) -> None:
    assert too_costly(html) == ""


def test_more_payloads_than_are_decoded_are_over_limit() -> None:
    html = "".join(f"<a href='data:,number{number}'></a>" for number in range(1001))
    assert "html.payloads" in Opened(html).refused


def test_more_links_than_are_kept_are_over_limit() -> None:
    html = "".join(f"<a href='http://e.test/{number}'>x</a>" for number in range(15_001))
    assert "link.count" in Opened(html).refused


def test_links_have_their_text_and_target() -> None:
    page = read_page(
        "<a href=' http://a.test/ '>one <b>two</b><img alt=three></a><map><area href=//b.test alt=x></map>"
        "<form action=c></form><a href=d><a href=e>f"
    )
    assert page.links == [
        ("one twothree", "http://a.test/ "),
        ("x", "//b.test"),
        ("", "c"),
        ("", "d"),
        ("f", "e"),
    ]
