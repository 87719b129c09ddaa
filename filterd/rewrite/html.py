"""HTML with its teeth drawn: what a reader sees stays, what acts goes."""

import codecs
import re
from functools import lru_cache
from html import escape
from typing import Final

import nh3

from filterd.anatomy import HtmlTreatment
from filterd.parse.charsets import text_of
from filterd.parse.html import declared_charset
from filterd.parse.html_cost import TOKEN
from filterd.parse.html_tree import Page, read_page
from filterd.parse.html_words import ACTIVE_STYLE, REMOTE, SCRIPT_SCHEME, plain_address, plain_style

from .html_css import without_remote
from .html_source import Source, write_element, write_source


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS: Final = _names(
    "a abbr acronym address area article aside b bdi bdo big blockquote br caption center cite code col colgroup data dd"
    " del details dfn dir div dl dt em fieldset figcaption figure font footer h1 h2 h3 h4 h5 h6 header hgroup hr i img"
    " ins kbd label legend li main map mark menu nav ol p picture pre q rp rt rtc ruby s samp section small span strike"
    " strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
_ATTRIBUTES: Final = _names(
    "abbr align alt axis background bgcolor border bordercolor cellpadding cellspacing char charoff cite class clear"
    " color colspan compact coords datetime dir face headers height href hspace hreflang id lang link name noshade nowrap"
    " open rel reversed role rowspan rules frame scope shape size span src start style summary target text alink vlink"
    " title type usemap valign value vspace width"
)
_FORM_TAGS: Final = _names("form input button textarea select option optgroup")
_FORM_ATTRIBUTES: Final = _names(
    "action method enctype accept-charset autocomplete checked cols disabled for formaction formmethod list max maxlength"
    " min multiple pattern placeholder readonly required rows selected step wrap"
)
_FRAME_ATTRIBUTES: Final = _names(
    "allow allowfullscreen frameborder loading marginheight marginwidth sandbox scrolling srcdoc"
)
_OBJECT_ATTRIBUTES: Final = _names("archive classid codebase codetype data declare standby code object")
_SCHEMES: Final = frozenset(
    {"http", "https", "ftp", "mailto", "tel", "sms", "cid", "mid", "news", "data", "xmpp", "geo"}
)
_ADDRESSES: Final = _names("href src background action formaction cite data codebase archive classid usemap")
_PICTURE: Final = re.compile(r"data:image/(?:png|gif|jpe?g|webp|bmp)[;,]", re.IGNORECASE)
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_META_CHARSET: Final = re.compile(r"<meta\b[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_DOCTYPE: Final = re.compile(r"\s*(<!doctype\s+html[^<>]{0,300}>)", re.IGNORECASE)
# Facts of the HTML stage, by the setting that treats them.
_TREATED: Final = {
    "scripts": (
        "html.script", "html.event-handler", "html.script-url", "html.css-expression", "html.meta-refresh", "html.base-href"
    ),
    "forms": ("html.form",),
    "iframes": ("html.iframe",),
    "objects": ("html.object",),
    "webbugs": ("html.webbug",),
}  # fmt: skip
_MAX_NESTING: Final = 4


# Charsets in which the result is written; in all others it is ASCII with character references, which they contain.
_CODECS: Final = re.compile(
    r"utf-8|iso8859-\d+|cp125\d|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc_\w+|mac-\w+"
)
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"),
)  # fmt: skip
# What is no letter in these, though it is in ASCII (RFC 2152, RFC 1843).
_SHIFTS: Final = {
    "utf-7": (b"+", b"+-"),
    "utf7": (b"+", b"+-"),
    "hz": (b"~", b"~~"),
    "hz-gb-2312": (b"~", b"~~"),
}


def disarm(html: bytes, charset: str, treatment: HtmlTreatment) -> bytes | None:
    """Return the document with what ``treatment`` names made harmless, in the same charset; None if it has nothing.

    ``charset`` is that of the MIME part ("" for none). Layout, tables, safe styles, links and inline images stay;
    comments, SVG, and remote style sheets go with whatever is treated. The result of a result is None.
    A document that no parser may be let at, or that resists, becomes its visible text.
    """
    charset = (charset or declared_charset(html)).strip("\"' ").lower()
    wide = next((name for mark, name in _MARKS if html.startswith(mark)), "") or _unmarked(html)
    text = html.decode(wide, "replace") if wide else text_of(html, charset)
    clean = _disarmed(text, treatment)
    if clean is None:
        return None
    if wide:
        return clean.encode(wide, "xmlcharrefreplace")
    result = clean.encode(_codec(html, charset), "xmlcharrefreplace")
    return result.replace(*_SHIFTS[charset]) if charset in _SHIFTS else result


def _unmarked(html: bytes) -> str:
    """Return the UTF-16 of a document without a byte order mark, or ""."""
    start = html[:4]
    if start[1::2] == b"\0\0":
        return "utf-16-le"
    return "utf-16-be" if start[::2] == b"\0\0" else ""


def _codec(html: bytes, charset: str) -> str:
    """Return the codec for a result that is read in ``charset``."""
    for name in (charset, "utf-8"):
        try:
            codec = codecs.lookup(name).name
        except (LookupError, ValueError):
            continue
        if not _CODECS.fullmatch(codec):
            return "ascii"
        try:
            html.decode(codec)
        except UnicodeError:
            continue
        return codec
    return "ascii"


def _disarmed(text: str, treatment: HtmlTreatment, depth: int = 0) -> str | None:
    page = read_page(text)
    if page.too_costly:
        return _as_text(page)
    if not is_active(page, treatment) and not _is_active_at_end(text, treatment):
        return None
    if depth < _MAX_NESTING:
        clean = _assembled(text, write_source(text, treatment), treatment, depth)
        if not is_active(read_page(clean), treatment):
            return clean
    return _as_text(page)


def is_active(page: Page, treatment: HtmlTreatment, depth: int = 0) -> bool:
    """Return whether a document holds anything that ``treatment`` does not allow, in nested documents as well."""
    if page.too_costly:
        return True
    treated = [name for name in _TREATED if getattr(treatment, name) != "allow"]
    if any(fact in page.facts for name in treated for fact in _TREATED[name]):
        return True
    if treatment.webbugs != "allow" and page.loads:
        return True
    if treatment.scripts != "allow" and any(page.addresses.values()):
        return True
    if treated and page.nested and depth == _MAX_NESTING:
        return True
    return bool(treated) and any(is_active(read_page(one), treatment, depth + 1) for one in page.nested)


def _is_active_at_end(text: str, treatment: HtmlTreatment) -> bool:
    """Return whether a document ends within a tag that would act if more came: where it is pasted into a page."""
    if "<" not in text or text.rstrip()[-1:] == ">":
        return False
    last = None
    for tag in TOKEN.finditer(text):
        last = tag
    if last is None or last.end() < len(text) or not last["name"]:
        return False
    return any(is_active(read_page(last[0] + end), treatment) for end in (">", "'>", '">'))


def _as_text(page: Page) -> str:
    return f"<!DOCTYPE html>\n<html><body><pre>{escape(page.text)}</pre></body></html>\n"


def _assembled(text: str, source: Source, treatment: HtmlTreatment, depth: int) -> str:
    cleaner = _cleaner(treatment, depth)
    doctype = _DOCTYPE.match(text)
    charset = _META_CHARSET.search(text)
    head = [f'<meta http-equiv="Content-Type" content="text/html; charset={charset[1]}">'] if charset else []
    if source.title:
        head.append(f"<title>{escape(source.title)}</title>")
    sheets = source.styles if treatment.webbugs == "allow" else map(without_remote, source.styles)
    head += [f"<style>{css}</style>" for css in sheets if css and _is_safe_sheet(css)]
    attributes = cleaner.clean(write_element("div", source.attributes))
    body = f"<body{attributes[len('<div') : -len('></div>')]}>"
    return "".join(
        (
            doctype[1] + "\n" if doctype else "",
            "<html><head>",
            *head,
            "</head>",
            body,
            cleaner.clean(source.body),
            "</body></html>\n",
        )
    )


def _is_safe_sheet(css: str) -> bool:
    return "<" not in css and not ACTIVE_STYLE.search(plain_style(css))


@lru_cache(maxsize=16)
def _cleaner(treatment: HtmlTreatment, depth: int) -> nh3.Cleaner:
    """Return the sanitiser (Ammonia) that lets through what ``treatment`` allows, and layout."""
    tags, attributes, dropped = set(_TAGS), set(_ATTRIBUTES), {"style"}
    scripted = treatment.scripts == "allow"
    loading = treatment.webbugs == "allow"
    for setting, more_tags, more_attributes in (
        (treatment.scripts, {"script"}, {"async", "defer", "charset"}),
        (treatment.forms, _FORM_TAGS, _FORM_ATTRIBUTES),
        (treatment.iframes, {"iframe"}, _FRAME_ATTRIBUTES),
        (treatment.objects, {"object", "embed", "applet", "param"}, _OBJECT_ATTRIBUTES),
    ):
        if setting == "allow":
            tags |= more_tags
            attributes |= more_attributes
    if not scripted:
        dropped.add("script")

    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "style":
            value = value if loading else without_remote(value)
            return value if scripted else _safe_style(value)
        if name in {"background", "lowsrc", "dynsrc"} and not loading and REMOTE.match(plain_address(value)):
            return None
        if name == "srcdoc":
            return _disarmed(value, treatment, depth + 1) or value
        if name in _ADDRESSES and not scripted:
            return value if _is_safe_address(tag, name, value) else None
        return value

    return nh3.Cleaner(
        tags=tags,
        clean_content_tags=dropped,
        attributes={"*": attributes},
        attribute_filter=keep,
        generic_attribute_prefixes={"on", "data-", "aria-"} if scripted else {"aria-"},
        url_schemes=set(_SCHEMES | {"javascript", "vbscript", "data"} if scripted else _SCHEMES),
        link_rel=None,
    )


def _safe_style(css: str) -> str | None:
    """Return a style attribute without the declarations that act."""
    if not ACTIVE_STYLE.search(plain_style(css)):
        return css
    kept = [one for one in plain_style(css).split(";") if not ACTIVE_STYLE.search(one)]
    return ";".join(kept) or None


def _is_safe_address(tag: str, name: str, value: str) -> bool:
    address = plain_address(value)
    if SCRIPT_SCHEME.match(address):
        return False
    scheme = _SCHEME.match(address)
    if scheme and scheme[1].lower() == "data":
        return (tag == "img" or name == "background") and _PICTURE.match(address) is not None
    return not scheme or scheme[1].lower() in _SCHEMES
