"""Domain names as DNS has them: A-labels in place of U-labels (RFC 5890 2.3.2). Pure.

The attack it stops: a name that is on a list, written so that no comparison finds it there.
"""

import re
import unicodedata
from typing import Final

# IDNA's own full stops (RFC 3490 3.1), which RFC 5895 2 has a program take for dots.
_DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")
_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")
_LONGEST: Final = 253  # RFC 1035 2.3.4, in characters


def in_ascii(domain: str) -> str:
    """Return a domain in A-labels, in lower case; what is no name stays as it is.

    Letters are mapped as RFC 5895 2 says: to lower case, to the usual width, composed. `ß` and its like stand for
    themselves, as in IDNA 2008.
    """
    if domain.isascii() or len(domain) > _LONGEST:
        return domain
    return ".".join(_label(label) for label in _DOTS.split(domain))


def _label(text: str) -> str:
    if text.isascii():
        return text.lower()
    mapped = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    # Controls, blanks and halves of characters are in no name; the codec would take them.
    if any(unicodedata.category(letter)[0] in "CZ" for letter in mapped):
        return text
    found = mapped if mapped.isascii() else f"xn--{mapped.encode('punycode').decode('ascii')}"
    return found if _LABEL.fullmatch(found) else text


def in_unicode(domain: str) -> str:
    """Return a domain in U-labels; A-labels that stand for none stay."""
    return ".".join(_read(label) for label in domain.split("."))


def _read(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        text = label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label
    return text if _label(text) == label else label
