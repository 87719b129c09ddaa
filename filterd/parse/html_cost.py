"""What a document would cost the tree builder, found by one linear pass, before the builder sees it.

The HTML standard's tree construction (sections 13.2.4, 13.2.6) is quadratic by its own rules: elements in scope are
searched through the whole stack, a left-open ``font`` is opened again in every later paragraph, attribute names of a
tag are compared with each other. 200 kB can ask for seconds and gigabytes; no honest document comes near.
"""

import re
from collections import Counter
from typing import Final

# Browsers themselves stop nesting at 512 (Blink, WebKit); the double leaves room for sloppy mail.
MAX_DEPTH: Final = 1000
MAX_ATTRIBUTES: Final = 1000
_MAX_STEPS: Final = 1_000_000  # elements that are opened again or searched through, in all
_MAX_COPIED: Final = 3_000_000_000  # characters of text that are copied because more text follows: a second
_FEW_TAGS: Final = 900  # so few can do nothing of the kind
_LONG_TAG: Final = 2 * MAX_ATTRIBUTES  # characters; a shorter tag has fewer attributes

_ATTRIBUTE: Final = r"(?:=|[^\s/>=])[^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>\"'][^\s>]*+)?)?"  # HTML 13.2.5.32 ff.
_ATTRIBUTES: Final = re.compile(_ATTRIBUTE)
TOKEN: Final = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(?P<close>/?)(?P<name>[a-zA-Z][^\s/>]*+)(?P<rest>(?:[\s/]++|"
    + _ATTRIBUTE
    + r")*+)>?",
    re.DOTALL,
)
_RAW: Final = {
    name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE)
    for name in ("script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title")
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# No elements of a stack: void ones, and those that the next of their kind closes.
_UNSTACKED: Final = _names(
    "area base br col embed hr img input link meta param source track wbr p li dd dt tr td th tbody thead tfoot"
    " option optgroup colgroup html head body rb rp rt rtc frame image keygen a nobr"
)
# Tags that make no element where they are out of place; their attributes are kept all the same, and so text that goes
# on behind them is copied each time (a habit of lexbor, whose memory for both is one).
_OUT_OF_PLACE: Final = _names("html head body frame caption col colgroup tbody td tfoot th thead tr form")
# Tags inside of a table in front of which text does not stay there: it gathers before the table.
_FOSTERING: Final = _names("tbody tfoot thead tr col colgroup input form")
_CELLS: Final = _names("td th caption")
_TABLE_PARTS: Final = _CELLS | _names("table tbody tfoot thead tr col colgroup")
_FORMATTING: Final = _names("b big code em font i s small strike strong tt u")
# Where the search for the element that an end tag closes stops (section 13.2.4.2), and what stops an inline one.
_WALLS: Final = _names("applet caption table marquee object template select foreignobject desc svg math")
_BLOCKS: Final = _WALLS | _names(
    "address article aside blockquote button center details dialog dir div dl fieldset figcaption figure footer form"
    " frameset h1 h2 h3 h4 h5 h6 header hgroup iframe listing main menu nav noembed noframes noscript ol plaintext pre"
    " script search section style summary textarea title ul xmp"
)


def too_costly(html: str) -> str:
    """Return why the tree of ``html`` would cost too much, or "" if it may be built. Linear in its length."""
    if html.count("<") < _FEW_TAGS and len(html) < _LONG_TAG * 10:
        return "" if not _crowded(html) else f"a tag of more than {MAX_ATTRIBUTES} attributes"
    return _Pass(html).reason


def _crowded(text: str) -> bool:
    return len(text) > _LONG_TAG and any(
        len(tag["rest"]) > _LONG_TAG and len(_ATTRIBUTES.findall(tag["rest"])) > MAX_ATTRIBUTES
        for tag in TOKEN.finditer(text)
        if tag["rest"]
    )


class _Pass:
    """One pass over the tags, with as much of the builder's stack as its cost depends on."""

    def __init__(self, html: str) -> None:
        self._stack: list[str] = []
        self._counts: Counter[str] = Counter()
        self._open = 0  # formatting elements that were not closed by their own end tag
        self._steps = 0
        self._copied = 0
        self._text = 0  # where the text may have begun that a tag interrupts
        self._table = 0
        self._in_cell = False
        self.reason = self._run(html)

    def _run(self, html: str) -> str:
        raw_until, ambiguous = 0, False
        for tag in TOKEN.finditer(html):
            raw = tag.start() < raw_until
            name = (tag["name"] or "").lower()
            # In SVG the text of a style is markup, and whether this is SVG depends on the whole tree: there, only
            # what makes it cost more is believed.
            if not name or (raw and (tag["close"] or not ambiguous or name not in _BLOCKS)):
                continue
            if self._steps > _MAX_STEPS:
                return f"elements left open, which takes more than {_MAX_STEPS} steps to mend"
            self._interrupt(html, tag, name)
            if self._copied > _MAX_COPIED:
                return f"text in pieces, of which more than {_MAX_COPIED} characters must be copied"
            if tag["close"]:
                self._close(name)
                continue
            rest = tag["rest"]
            if len(rest) > _LONG_TAG and len(_ATTRIBUTES.findall(rest)) > MAX_ATTRIBUTES:
                return f"a tag of more than {MAX_ATTRIBUTES} attributes"
            self._enter(name)
            if len(self._stack) > MAX_DEPTH:
                return f"elements nested deeper than {MAX_DEPTH}"
            if name in _RAW and not raw:
                end = _RAW[name].search(html, tag.end())
                raw_until = end.start() if end else len(html)
                ambiguous = bool(self._counts["svg"] or self._counts["math"])
        return ""

    def _interrupt(self, html: str, tag: re.Match[str], name: str) -> None:
        """Count the text that is copied if this tag only interrupts it."""
        tables, start = self._counts["table"], tag.start()
        if tag["close"] or (name in _OUT_OF_PLACE and not tables):
            if tag["rest"].strip(" /"):
                self._copied += start - self._text
        elif not tables:
            self._text = tag.end()
        if name == "table":
            self._table = tag.end()
        elif tables and name in _FOSTERING and not self._in_cell and html[start - 1] not in "> \t\r\n":
            self._copied += start - self._table
        if name in _TABLE_PARTS:
            self._in_cell = name in _CELLS and not tag["close"]

    def _enter(self, name: str) -> None:
        if name in _FORMATTING:
            self._open += 1
        self._steps += self._open
        if name not in _UNSTACKED:
            self._stack.append(name)
            self._counts[name] += 1

    def _close(self, name: str) -> None:
        stack = self._stack
        if name in _FORMATTING and self._open:
            self._open -= 1
        if stack and stack[-1] == name:
            stack.pop()
            self._counts[name] -= 1
            return
        if not self._counts[name]:
            return
        barriers = frozenset[str]() if name in _FORMATTING else _WALLS if name in _BLOCKS else _BLOCKS
        for at in range(len(stack) - 1, -1, -1):
            if stack[at] == name:
                # A formatting element alone is taken out; another takes what it holds with it.
                end = at + 1 if name in _FORMATTING else len(stack)
                self._counts.subtract(stack[at:end])
                del stack[at:end]
                return
            self._steps += 1
            if stack[at] in barriers:
                return
