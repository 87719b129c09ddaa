"""One walk over the tree of an HTML document: what is active in it, where it leads, what it shows, what it carries."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from msgspec import Struct, field
from selectolax.lexbor import LexborHTMLParser, LexborNode

from .html_cost import too_costly
from .html_words import (
    BREAKING,
    CELLS,
    FORM,
    FRAME,
    LOADED_BY,
    LOADING,
    MAX_STYLE,
    NAVIGATES,
    OBJECT,
    PREFORMATTED,
    REMOTE,
    SCRIPT_SCHEME,
    UNSHOWN,
    hides,
    is_tiny,
    plain_address,
    plain_style,
    read_style,
)

_STYLED: Final = re.compile(r"data:[^\s\"'()]{1,100}(?:[^\"'()]{0,4000000})", re.IGNORECASE)
_TEMPLATE: Final = re.compile(r"(</?)template(?=[\s/>])", re.IGNORECASE)
_NOSCRIPT: Final = re.compile(r"<(/?)noscript[\s/>]", re.IGNORECASE)
_REFRESH: Final = re.compile(r"[\s;,]*url\s*=?\s*[\"']?(.*)", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<!--.*?(?:-->|\Z)|<[^>]*>?", re.DOTALL)
_GAP: Final = re.compile(r"[ \t\r\f\v\xa0]+")
_WRAP: Final = "\v"  # where the source's line ends, and the reader's does not; of the characters of _GAP
_LINES: Final = re.compile(r" ?\n[ \n]*")
_LETTERS: Final = re.compile(r"[A-Za-z0-9+/_-]{0,400}={0,2}")
_CARRYING: Final = frozenset(
    {"class", "title", "alt", "value", "content", "id", "name", "label", "placeholder"}
)
# What loads from elsewhere and is no picture among the text, nor treated by itself as frames and objects are.
_BEHIND: Final = frozenset({"background", "poster", "lowsrc", "dynsrc"})
_UNSEEN_LOADING: Final = frozenset({"bgsound", "video", "audio", "source", "track", "layer", "ilayer"})
LONG_WORD: Final = 40  # characters of a word that nobody writes
_MAX_LINK_TEXT: Final = 300
_MAX_TEXT: Final = 64 * 1024 * 1024  # characters; what the rules see of it is bounded later


class Page(Struct):
    """What one document consists of. ``facts`` maps rules of the HTML stage to what was seen first.

    ``links``: (text, target) of everything that leads elsewhere. ``addresses``: ``data:`` addresses, each with
    whether it is opened as a document. ``scripts``: texts of scripts and handlers. ``nested``: further HTML.
    ``words``: texts and attributes that are one long word; ``pieces``: the shorter ones of base64 letters, by element
    and attribute. ``downloads``: (file name, target) of download links. ``loads``: styles and backgrounds that a
    document loads from elsewhere when it is shown, the first of them. ``text`` is what a reader sees, a line a block;
    ``wrapped`` the same with the lines and blanks of the source.
    """

    facts: dict[str, str] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)
    addresses: dict[str, bool] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    pieces: dict[str, list[str]] = field(default_factory=dict)
    downloads: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    wrapped: str = ""
    too_costly: str = ""
    loads: str = ""


@lru_cache(maxsize=4)
def read_page(html: str) -> Page:
    """Return what is in a document. The last few are kept: a body is read once for its text, once for the rest."""
    html = html.replace("\0", "")
    if reason := too_costly(html):
        text = _TAG.sub(" ", html)[:_MAX_TEXT]
        return Page(facts={}, text=text, wrapped=text, too_costly=reason)
    # The tree keeps what a template holds where a walk does not come.
    source = _TEMPLATE.sub(r"\1x-template", html).encode("utf-8", "replace").decode()
    walk = _Walk()
    walk.run(LexborHTMLParser(source).root)
    if other := _as_scripted(html):
        walk.page.nested.append(other)
    return walk.page


def _as_scripted(html: str) -> str:
    """Return the document as a program with scripts reads it, where that differs by more than a hidden noscript.

    For it the content of noscript is text up to the first ``</noscript``, even inside of a quoted attribute or a
    comment, from which markup then escapes (HTML 13.2.6.4.4).
    """
    kept, at, start, escapes = [], 0, -1, False
    for tag in _NOSCRIPT.finditer(html):
        if tag[1] and start >= 0:
            inner = html[start : tag.start()]
            escapes = escapes or inner.count('"') % 2 == 1 or inner.count("'") % 2 == 1 or "<!--" in inner
            kept.append(html[at:start])
            at, start = tag.start(), -1
        elif not tag[1] and start < 0:
            start = tag.end()
    return "".join((*kept, html[at:])) if escapes else ""


def steps(root: LexborNode | None) -> Iterator[tuple[LexborNode, bool]]:
    """Yield each node when it begins (True) and each element again when it ends (False), without recursion.

    What stands beside ``root``, as comments do before ``<html>``, belongs to it.
    """
    node, depth = root, 0
    while node is not None and (before := node.prev):
        node = before
    while node is not None:
        yield node, True
        if child := node.first_child:
            node, depth = child, depth + 1
            continue
        yield node, False
        while depth and not node.next:
            parent = node.parent
            if parent is None:
                return
            node, depth = parent, depth - 1
            yield node, False
        node = node.next


def _wrapped(text: str) -> str:
    """Return ``text`` with its line ends marked: they are no ends of lines to a reader."""
    if "\n" not in text:
        return text
    return " " if text.isspace() else text.replace("\n", _WRAP)


def _tidy(text: str) -> str:
    return _LINES.sub("\n", _GAP.sub(" ", text)).strip()[:_MAX_TEXT]


class _Walk:
    """The state of one walk."""

    def __init__(self) -> None:
        self.page = Page()
        self._text: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._unshown = 0
        self._kept = 0
        self._anchors: list[tuple[str, list[str]]] = []

    def run(self, root: LexborNode | None) -> None:
        """Walk through everything below ``root``."""
        for node, begins in steps(root):
            tag = node.tag or ""
            if not tag.startswith("-"):
                if begins:
                    self._on_start(tag.lower(), node.attributes)
                else:
                    self._on_end()
            elif begins and tag == "-text":
                self._on_text(node.text_content or "")
            elif begins and tag == "-comment":
                self._on_comment(node.comment_content or "")
        text = "".join(self._text)
        self.page.text = _tidy(text)
        self.page.wrapped = text.replace(_WRAP, "\n")[:_MAX_TEXT] if _WRAP in text else self.page.text

    def _fact(self, rule: str, detail: str = "") -> None:
        self.page.facts.setdefault(rule, detail)

    def _on_start(self, tag: str, attributes: dict[str, str | None]) -> None:
        unshown = tag in UNSHOWN or (bool(attributes) and hides(attributes))
        self._open.append((tag, unshown))
        self._unshown += unshown
        self._kept += tag in PREFORMATTED
        if tag in BREAKING and not self._unshown:
            self._text.append("\n")
        if tag == "script":
            self._fact("html.script", attributes.get("src") or "")
        elif tag in FORM:
            self._fact("html.form", attributes.get("action") or tag)
        elif tag in FRAME:
            self._fact("html.iframe", attributes.get("src") or "")
        elif tag in OBJECT:
            self._fact("html.object", attributes.get("data") or attributes.get("src") or tag)
        if attributes:
            self._on_attributes(tag, attributes)
        elif tag == "a":
            self._anchors.append(("", []))

    def _on_attributes(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag in {"a", "area", "form", "base", "meta", "img", "link"}:
            self._on_link(tag, attributes)
        for name, value in attributes.items():
            if not value:
                continue
            if name[:2].lower() == "on" and name[2:].isalpha():
                self._fact("html.event-handler", f"{name}={value}")
                self.page.scripts.append(value)
            elif name == "style":
                self._on_style(value)
            elif name == "srcdoc":
                self.page.nested.append(value)
            else:
                self._on_value(tag, name, value)

    def _on_value(self, tag: str, name: str, value: str) -> None:
        """Look at any other attribute: an address, or one long word."""
        if len(value) >= LONG_WORD and is_word(value):
            self.page.words.append(value)
        elif name in _CARRYING or name.startswith("data-"):
            self._on_piece(f"{tag} {name}", value)
        if ":" not in value and "//" not in value and "\\" not in value:
            return
        address = plain_address(value)
        if SCRIPT_SCHEME.match(address):
            self._fact("html.script-url", address)
            self.page.scripts.append(unquote(address.partition(":")[2]))
        elif address[:5].lower() == "data:":
            self._on_data(tag, name, address)
        elif tag in LOADING and name.lower() in LOADED_BY and (REMOTE.match(address) or name == "srcset"):
            self._fact("html.remote-content", address)
            if name.lower() in _BEHIND or tag in _UNSEEN_LOADING:
                self.page.loads = self.page.loads or address

    def _on_piece(self, place: str, text: str) -> None:
        """Keep what may be a piece of base64 that a script puts together, with those of the like places."""
        pieces = text.split()
        if pieces and pieces[-1][:1] == "<":
            pieces.pop()  # a tag behind <plaintext> is text
        if pieces and all(map(_LETTERS.fullmatch, pieces)):
            self.page.pieces.setdefault(place, []).extend(pieces)

    def _on_data(self, tag: str, name: str, address: str) -> None:
        opened = tag in NAVIGATES and name in {"href", "xlink:href", "src", "data", "action", "formaction"}
        self.page.addresses[address] = self.page.addresses.get(address, False) or opened
        if not address[5:11].lower().startswith("image/") or address[11:14].lower() == "svg":
            self._fact("html.data-uri", address[:60])

    def _on_link(self, tag: str, attributes: dict[str, str | None]) -> None:
        target = plain_address(attributes.get("href") or attributes.get("xlink:href") or "")
        if tag == "a":
            self._anchors.append((target, []))
            if "download" in attributes:
                self.page.downloads.append((attributes["download"] or "", target))
        elif tag == "area":
            self.page.links.append((attributes.get("alt") or "", target))
        elif tag == "form":
            self.page.links.append(("", plain_address(attributes.get("action") or "")))
        elif tag == "base" and target:
            self._fact("html.base-href", target)
        elif tag == "link" and REMOTE.match(target):
            self._fact("html.remote-content", target)
            self.page.loads = self.page.loads or target
        elif tag == "meta":
            self._on_meta(attributes)
        elif tag == "img":
            self._on_image(attributes)

    def _on_image(self, attributes: dict[str, str | None]) -> None:
        source = plain_address(attributes.get("src") or attributes.get("srcset") or "")
        if REMOTE.match(source) and (self._unshown or is_tiny(attributes)):
            self._fact("html.webbug", source)
        if self._anchors and (alt := attributes.get("alt")):
            self._anchors[-1][1].append(alt)

    def _on_meta(self, attributes: dict[str, str | None]) -> None:
        if (attributes.get("http-equiv") or "").strip().lower() != "refresh":
            return
        content = attributes.get("content") or ""
        rest = content.lstrip("0123456789. \t\n\r\f")
        found = _REFRESH.fullmatch(rest)
        target = plain_address((found[1] if found else rest.lstrip(";, ")).rstrip("\"' \t\n\r"))
        if target:
            self._fact("html.meta-refresh", target)
            self.page.links.append(("", target))
            self._on_value("meta", "href", target)

    def _on_style(self, css: str) -> None:
        if "\\" in css and "data:" in (plain := plain_style(css)):
            self.page.addresses.update(dict.fromkeys(_STYLED.findall(plain), False))
        style = read_style(css)
        if style.active:
            self._fact("html.css-expression", style.active)
        if style.remote:
            self._fact("html.remote-content", style.remote)
        if style.remote or len(css) > MAX_STYLE:
            self.page.loads = self.page.loads or style.remote or "a style too long to be read"

    def _on_end(self) -> None:
        tag, unshown = self._open.pop()
        if not self._unshown and (tag in BREAKING or tag in CELLS):
            self._text.append("\t" if tag in CELLS else "\n")
        self._unshown -= unshown
        self._kept -= tag in PREFORMATTED
        if tag == "a" and self._anchors:
            target, pieces = self._anchors.pop()
            if target:
                text = " ".join("".join(pieces).split())
                self.page.links.append((text[:_MAX_LINK_TEXT], target))

    def _on_text(self, text: str) -> None:
        tag = self._open[-1][0] if self._open else ""
        if tag == "script":
            self.page.scripts.append(text)
            return
        if tag == "style":
            self._on_style(text)
            return
        if len(text) >= LONG_WORD and is_word(text):
            self.page.words.append(text)
        else:
            self._on_piece(tag, text)
        if tag in {"iframe", "noembed", "noframes", "noscript", "xmp"} and "<" in text:
            self.page.nested.append(text)
        if self._anchors:
            self._anchors[-1][1].append(text)
        if not self._unshown:
            self._text.append(text if self._kept else _wrapped(text))

    def _on_comment(self, text: str) -> None:
        if text.lstrip()[:3].lower() == "[if":
            # Outlook and Internet Explorer show what stands in a conditional comment.
            self.page.nested.append(text.partition(">")[2].rpartition("<!")[0])
        elif len(text) >= LONG_WORD and is_word(text):
            self.page.words.append(text)


def is_word(text: str) -> bool:
    """Return whether a text is one long word, or lines of long words: nothing that is written for readers."""
    pieces = text[: LONG_WORD * 4].split()
    return (
        bool(pieces) and len(pieces[0]) >= LONG_WORD and "://" not in pieces[0] and "," not in pieces[0][:12]
    )
