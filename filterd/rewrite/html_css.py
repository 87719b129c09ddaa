"""Style sheets and style attributes without what they load from elsewhere."""

import re
from typing import Final

from filterd.parse.html_words import MAX_STYLE, plain_style, read_style

_STRING: Final = r"(?:\"[^\"]*+\"?|'[^']*+'?)"
_IMPORT: Final = re.compile(
    rf"@import\b(?:{_STRING}|url\((?:\s*+{_STRING}|[^)]*+)|[^;{{}}\"'])*+;?", re.IGNORECASE
)
_ADDRESS: Final = re.compile(
    r"(?:url|src)\(\s*+(?:[\"']\s*+)?(?:https?:|ftp:|[/\\]{2})[^)\"']*+[\"']?\s*+\)?", re.IGNORECASE
)
_IMAGE_SET: Final = re.compile(r"(?:-webkit-)?image-set\([^;{}]*+", re.IGNORECASE)
_REMOTE: Final = re.compile(r"https?:|ftp:|//|\\\\", re.IGNORECASE)


def without_remote(css: str) -> str:
    """Return CSS without imports and addresses on other hosts; "" where more than these would have to go.

    What has none stays as it is, but for a text too long to be read. Escapes and comments do not conceal one (CSS
    Syntax 4.3.2, 4.3.7). ``none`` takes the place of an address: valid wherever a picture is (CSS Images 3).
    """
    if len(css) > MAX_STYLE:
        return ""
    if not read_style(css).remote:
        return css
    plain = _ADDRESS.sub("none", _IMPORT.sub("", plain_style(css)))
    plain = _IMAGE_SET.sub(lambda found: "none" if _REMOTE.search(found[0]) else found[0], plain)
    # What is written anew may mean something else when it is read again.
    return "" if _REMOTE.search(plain) or "\\" in plain or read_style(plain).remote else plain
