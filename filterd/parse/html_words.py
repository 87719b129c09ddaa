"""The words of HTML and CSS that matter here: which elements and attributes are active, what hides an element."""

import re
import sys
from functools import lru_cache
from typing import Final

from msgspec import Struct


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Text in these is not shown as text of the page.
UNSHOWN: Final = _names("script style title head template x-template noembed noframes iframe object datalist")
# These begin a new line of what is read; text around all others flows together ("pass<b></b>word").
BREAKING: Final = _names(
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption"
    " figure footer form h1 h2 h3 h4 h5 h6 header hr legend li main menu nav ol option p pre section summary table"
    " tr ul"
)
CELLS: Final = _names("td th")
# In all others the end of a line is a blank: mailers wrap their HTML wherever they like.
PREFORMATTED: Final = _names("pre textarea listing xmp plaintext")
FORM: Final = _names("form input button textarea select keygen isindex")
FRAME: Final = _names("iframe frame portal fencedframe")
OBJECT: Final = _names("object embed applet")
# Elements that follow an address by themselves when the document is shown.
LOADING: Final = _names(
    "img image input bgsound video audio source track link body table td th tr script iframe frame object embed use"
    " feimage layer ilayer"
)
LOADED_BY: Final = _names("src background poster data lowsrc dynsrc srcset href xlink:href codebase archive")
# A reader who follows it, or the program by itself, opens the address as a document.
NAVIGATES: Final = _names("a area iframe frame object embed form meta button input portal")

SCRIPT_SCHEME: Final = re.compile(r"(?:javascript|vbscript|livescript|mocha):", re.IGNORECASE)
REMOTE: Final = re.compile(r"(?:https?:|ftp:|//|\\\\|/\\|\\/)", re.IGNORECASE)
REMOTE_STYLE: Final = re.compile(
    r"(?:(?:url|src)\(|@import)\s*+[\"']?\s*+(?:url\(\s*+[\"']?\s*+)?(?:https?:|ftp:|[/\\]{2})"
    r"|image-set\([^;{}]{0,1000}?[\"'](?:https?:|ftp:|[/\\]{2})",
    re.IGNORECASE,
)
ACTIVE_STYLE: Final = re.compile(
    r"expression\s*+\(|behaviou?r\s*+:|-moz-binding\s*+:|(?:java|vb)script\s*+:", re.IGNORECASE
)
_HIDDEN: Final = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0(?:\.0+)?(?:[;!]|$)|font-size:[01](?:px|pt|em|%)?(?:[;!]|$)"
    r"|max-height:0|mso-hide:all|text-indent:-\d{3}|(?:left|top):-\d{4}"
)
_SMALL: Final = re.compile(r"(?:^|;)(?:max-)?(?:width|height):[0-2](?:\.\d+)?(?:px|pt|em|%)?(?:[;!]|$)")
_SMALL_SIZE: Final = re.compile(r"\s*[0-2](?:\.\d+)?\s*(?:px)?\s*$", re.IGNORECASE)
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\([0-9a-fA-F]{1,6})\s?|\\(.)", re.DOTALL)
_UNSEEN_IN_ADDRESS: Final = re.compile(r"[\t\n\r\0]")
_CONTROLS: Final = "".join(map(chr, range(33)))
MAX_STYLE: Final = 1024 * 1024  # characters of one style that are looked at
_SHOWN: Final = 100


def plain_address(value: str) -> str:
    """Return an address as a browser takes it: without tabs and line ends, nor leading controls (WHATWG URL 4.4)."""
    return _UNSEEN_IN_ADDRESS.sub("", value).lstrip(_CONTROLS)


def plain_style(css: str) -> str:
    """Return CSS without comments and escapes (CSS Syntax 4.3.2, 4.3.7), so that words stand whole."""
    css = _COMMENT.sub("", css[:MAX_STYLE] if len(css) > MAX_STYLE else css)
    return _ESCAPE.sub(_unescaped, css) if "\\" in css else css


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        code = int(match[1], 16)
        return chr(code) if 0 < code <= sys.maxunicode else "\ufffd"
    return match[2]


class Style(Struct, frozen=True):
    """What CSS does: hide its element, make it a dot, run a script, load from elsewhere (the latter two: where)."""

    hides: bool
    is_tiny: bool
    active: str
    remote: str


@lru_cache(maxsize=512)
def read_style(css: str) -> Style:
    """Return what a style attribute or sheet does. Kept: mail repeats its few styles in every cell."""
    plain = plain_style(css)
    squeezed = "".join(plain.lower().split())
    active, remote = ACTIVE_STYLE.search(plain), REMOTE_STYLE.search(plain)
    return Style(
        hides=_HIDDEN.search(squeezed) is not None,
        is_tiny=_SMALL.search(squeezed) is not None,
        active=plain[active.start() : active.start() + _SHOWN] if active else "",
        remote=plain[remote.start() : remote.start() + _SHOWN] if remote else "",
    )


def hides(attributes: dict[str, str | None]) -> bool:
    """Return whether an element with these attributes is not shown, as far as they alone say."""
    style = attributes.get("style")
    return "hidden" in attributes or bool(style and read_style(style).hides)


def is_tiny(attributes: dict[str, str | None]) -> bool:
    """Return whether an image with these attributes is a dot (2 pixels at most, one way) or not shown."""
    style = attributes.get("style")
    return (
        any(_SMALL_SIZE.match(attributes.get(name) or "x") for name in ("width", "height"))
        or hides(attributes)
        or bool(style and read_style(style).is_tiny)
    )
