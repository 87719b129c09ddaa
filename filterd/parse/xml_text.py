"""What a program reads in an XML file whose text is cut up: by comments, CDATA, character references, entities.

Source: XML 1.0 2.5, 2.7, 4.1, 4.4. Only what stands in the file itself is looked at; nothing is fetched.
"""

import re
from typing import Final

# What never ends ends with the text: a search that fails would be tried again from each of many beginnings.
_CUTS: Final = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_REFERENCE: Final = re.compile(r"&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
_ENTITY: Final = re.compile(r"<!ENTITY\s+([\w.-]{1,60})\s+(?:\"([^\"]*)\"|'([^']*)')\s*>")
_NAMED: Final = re.compile(r"&([\w.-]{1,60});")
_DOCTYPE: Final = re.compile(r"<!DOCTYPE[^\[>]{0,400}\[.*?(?:\]\s*>|\Z)", re.DOTALL)
_PREFIX: Final = re.compile(
    r"(</?)[\w.-]{1,40}:(?=(?:script|a|iframe|object|embed|svg|html|body|image|use)\b)", re.IGNORECASE
)
_BROWSERS: Final = ("http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg")
_MARKUP: Final = frozenset("<>&\"'")
_MOST: Final = 4 * 1024 * 1024  # characters; entities may name each other
_LEVELS: Final = 4


def flattened(text: str) -> str:
    """Return the text with comments left out, CDATA unwrapped, character references and own entities written out."""
    if len(text) > _MOST:
        return text
    entities = {found[1]: found[2] if found[2] is not None else found[3] for found in _ENTITY.finditer(text)}
    if entities:
        text = _DOCTYPE.sub("", text)
        for _ in range(_LEVELS):
            growth = sum(len(entities.get(found[1], "")) for found in _NAMED.finditer(text))
            if not growth or len(text) + growth > _MOST:
                break
            text = _NAMED.sub(lambda found: entities.get(found[1], found[0]), text)
    text = _CUTS.sub(lambda found: found[1] or "", text)
    return _REFERENCE.sub(_character, text) if "&#" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else int(found[2])
    sign = chr(code) if code < 0x110000 else "\ufffd"
    return found[0] if sign in _MARKUP else sign


def as_page(text: str) -> str:
    """Return an XML file as the page that a browser makes of it, prefixes dropped; "" where it has none to show."""
    if not any(name in text for name in _BROWSERS) and "<script" not in text:
        return ""
    page = _PREFIX.sub(r"\1", flattened(text))
    return page if page != text else ""
