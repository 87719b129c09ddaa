"""A document written out again, with its active elements replaced or left out: what the sanitiser then gets."""

import re
from collections.abc import Callable
from html import escape
from typing import Final

from msgspec import Struct, field
from selectolax.lexbor import LexborHTMLParser, LexborNode

from filterd.anatomy import HtmlTreatment
from filterd.parse.html_tree import steps
from filterd.parse.html_words import FORM, FRAME, OBJECT, REMOTE, hides, is_tiny, plain_address

# Their content is no text of the page, or markup that no sanitiser reads safely.
_DROPPED: Final = frozenset({
    "title", "template", "x-template", "svg", "math", "noembed", "noframes", "xmp", "plaintext", "listing", "meta", "link",
    "base", "basefont", "bgsound", "audio", "video", "source", "track", "frameset", "portal", "fencedframe", "marquee",
    "canvas", "dialog", "slot", "datalist", "isindex", "keygen",
})  # fmt: skip
_TAKEN_OUT: Final = frozenset(
    {"html", "head", "body", "noscript", "param"}
)  # the element goes, what it holds stays
_VOID: Final = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "wbr"})
_ODD_NAME: Final = re.compile(r"[\"'<>=/\s]")
_MAX_SHOWN: Final = 200


class Source(Struct):
    """A document in pieces. ``body``: markup; ``styles``: sheets; ``attributes``: those of the body element."""

    body: str = ""
    styles: list[str] = field(default_factory=list)
    attributes: dict[str, str | None] = field(default_factory=dict)
    title: str = ""


def write_source(html: str, treatment: HtmlTreatment) -> Source:
    """Return ``html`` written out with ``treatment`` applied to its elements; attributes are the sanitiser's work.

    The tree must be cheap (html_cost.too_costly). What this returns is not safe by itself.
    """
    writer = _Writer(treatment)
    root = LexborHTMLParser(html.encode("utf-8", "replace").decode()).root
    skipped: list[str] = []
    for node, begins in steps(root):
        tag = (node.tag or "").lower()
        if tag == "-text":
            if begins and not skipped:
                writer.on_text(node.text_content or "")
        elif tag.startswith("-"):
            continue
        elif begins:
            if skipped or not writer.on_start(tag, node):
                skipped.append(tag)
        elif skipped:
            skipped.pop()
        else:
            writer.on_end()
    return writer.source()


class _Writer:
    def __init__(self, treatment: HtmlTreatment) -> None:
        self._treatment = treatment
        self._out: list[str] = []
        self._source = Source()
        self._open: list[tuple[str, str, bool]] = []  # tag, what ends it in the output, whether it hides

    def source(self) -> Source:
        self._source.body = "".join(self._out)
        return self._source

    def on_text(self, text: str) -> None:
        tag = self._open[-1][0] if self._open else ""
        if tag == "style":
            self._source.styles.append(text)
        else:
            self._out.append(text if tag == "script" else escape(text, quote=False))

    def on_start(self, tag: str, node: LexborNode) -> bool:
        """Write the start of an element. Returns False if what it holds is to be left out (and its end not told)."""
        attributes = node.attributes
        if tag == "title":
            self._source.title = node.text() or ""
        if tag in _DROPPED:
            return False
        if tag == "body":
            self._source.attributes = attributes
        if tag in _TAKEN_OUT or tag == "style":
            self._open.append((tag, "", False))
            return True
        treated = self._treated(tag, attributes)
        if treated is None:
            return False
        start, end = treated
        self._out.append(start)
        self._open.append((tag, end, hides(attributes)))
        return True

    def on_end(self) -> None:
        self._out.append(self._open.pop()[1])

    def _treated(self, tag: str, attributes: dict[str, str | None]) -> tuple[str, str] | None:
        """Return what begins and ends an element in the output, or None to drop it with its content."""
        kind = self._kind(tag, attributes)
        fate = getattr(self._treatment, kind) if kind else "allow"
        if fate == "allow":
            return _element(tag, attributes)
        return _DISARMED[kind](tag, attributes) if fate == "disarm" else None

    def _kind(self, tag: str, attributes: dict[str, str | None]) -> str:
        if tag == "img":
            return "webbugs" if self._is_webbug(attributes) else ""
        return next((kind for kind, tags in _KINDS.items() if tag in tags), "")

    def _is_webbug(self, attributes: dict[str, str | None]) -> bool:
        hidden = any(one[2] for one in self._open)
        source = plain_address(attributes.get("src") or attributes.get("srcset") or "")
        return bool(REMOTE.match(source)) and (hidden or is_tiny(attributes))


def write_element(tag: str, attributes: dict[str, str | None]) -> str:
    """Return an element without content."""
    return "".join(_element(tag, attributes))


def _element(tag: str, attributes: dict[str, str | None]) -> tuple[str, str]:
    written = "".join(
        f' {name}="{escape(value or "")}"' for name, value in attributes.items() if not _ODD_NAME.search(name)
    )
    return f"<{tag}{written}>", "" if tag in _VOID else f"</{tag}>"


def _nothing(_tag: str, _attributes: dict[str, str | None]) -> None:
    """Drop a script: nothing of it can be shown."""


def _without_form(tag: str, attributes: dict[str, str | None]) -> tuple[str, str]:
    """Return what a control shows, without being one."""
    if tag == "form":
        kept = {
            name: value for name, value in attributes.items() if name in {"style", "class", "align", "dir"}
        }
        return _element("div", kept)
    if tag != "input":
        return "<span>", "</span> " if tag == "option" else "</span>"
    kind = (attributes.get("type") or "").lower()
    if kind in {"hidden", "image", "checkbox", "radio", "file"}:
        return "", ""
    shown = attributes.get("value") if kind != "password" else ""
    text = (shown or attributes.get("placeholder") or "")[:_MAX_SHOWN]
    return f"<span>[{escape(text)}]</span>", ""


def _link_to(_tag: str, attributes: dict[str, str | None]) -> tuple[str, str]:
    """Return a link to what would be shown in place, and what is shown if that cannot be."""
    address = plain_address(
        next((attributes[name] or "" for name in ("src", "data", "code") if attributes.get(name)), "")
    )
    link = f'<a href="{escape(address)}">{escape(address[:_MAX_SHOWN])}</a>' if REMOTE.match(address) else ""
    return f"{link}<div>", "</div>"


def _empty_image(_tag: str, _attributes: dict[str, str | None]) -> tuple[str, str]:
    return '<img alt="" title="A remote image was removed">', ""


_KINDS: Final = {
    "scripts": frozenset({"script"}),
    "forms": FORM | {"option", "optgroup"},
    "iframes": FRAME,
    "objects": OBJECT,
}
_DISARMED: Final[dict[str, Callable[[str, dict[str, str | None]], tuple[str, str] | None]]] = {
    "scripts": _nothing,
    "forms": _without_form,
    "iframes": _link_to,
    "objects": _link_to,
    "webbugs": _empty_image,
}
