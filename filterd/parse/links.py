"""Addresses of links as browsers read them: the host behind all disguises, and what it pretends to be."""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from .lookalikes import TOP_LEVELS, TWO_LEVELS

_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,39}):")
_WEB: Final = frozenset({"http", "https", "ftp", "ws", "wss"})
_AUTHORITY_END: Final = re.compile(r"[/\\?#]")
_DOTS: Final = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})  # UTS 46 4: label separators
_PORT: Final = re.compile(r":\d*$")
_UNSEEN: Final = re.compile(r"[\t\r\n\0]")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|\d+")
_IN_TEXT: Final = re.compile(
    r"(?<![\w@])(?:https?|ftp):[/\\]{1,3}[^\s<>\"'\u201c\u201d\u00ab\u00bb]{1,2000}", re.IGNORECASE
)
_BEHIND_SCHEME: Final = re.compile(r":(?<=tp:|ps:)(?=[/\\])", re.IGNORECASE)
_SCHEME_END: Final = re.compile(r"(?<![\w@])(?:https?|ftp)\Z", re.IGNORECASE)
_LONGEST_SCHEME: Final = 5
# Soft hyphen, and characters without width: within what looks like an address nobody sees them.
_WIDTHLESS: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_BARE: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}:[/\\]{0,3})?(?:[^\s/@]*@)?([\w.-]{1,253}\.[\w-]{2,63})\.?(?::\d{1,5})?(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_MAX_ADDRESS: Final = 1000
_MAX_HOST: Final = 253
_MAX_LABEL: Final = 63
_IPV4_PARTS: Final = 4
_BYTES: Final = frozenset(range(256))


class Target(Struct, frozen=True, kw_only=True):
    """Where an address leads. ``host``: lower case, Unicode, as asked of the DNS but for punycode; "" for none.

    ``ip``: the address that the host is, in whatever notation. ``user``: what stands before the @, decoded.
    ``share``: the host of a file share (``file://host`` and the like).
    """

    scheme: str = ""
    user: str = ""
    host: str = ""
    ip: str = ""
    share: str = ""


@lru_cache(maxsize=4096)
def read_target(address: str) -> Target:
    """Return where an address leads, read as leniently as browsers do (WHATWG URL 4.4)."""
    address = _UNSEEN.sub("", address[:_MAX_ADDRESS]).strip("".join(map(chr, range(33))))
    found = _SCHEME.match(address)
    scheme = found[1].lower() if found else ""
    rest = address[found.end() :] if found else address
    if scheme == "file" or (not scheme and rest[:2] == "\\\\"):
        return Target(scheme=scheme, share=_share(rest))
    if scheme not in _WEB and not (not scheme and rest[:2] in {"//", "/\\", "\\/"}):
        return Target(scheme=scheme)
    authority = _AUTHORITY_END.split(rest.lstrip("/\\"), maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    if not at and "\\" in rest.lstrip("/\\") and "@" in rest:
        # Browsers end the host at the backslash, others at the slash: whoever writes it means both.
        user, host = authority, rest.rpartition("@")[2].partition("/")[0]
    host = host_of(host)
    return Target(scheme=scheme or "http", user=unquote(user), host=host, ip=ip_of(host))


def _share(rest: str) -> str:
    slashes = rest.replace("\\", "/")
    # file:///C:/x and file:///x are this computer's; file://host/x and file:////host/x are another's.
    body = slashes.lstrip("/")
    count = len(slashes) - len(body)
    host = body.partition("/")[0].partition("@")[0].lower()
    local = count in {0, 1, 3} or not host or host in {"localhost", "."} or re.fullmatch(r"[a-z][:|]", host)
    return "" if local else host


@lru_cache(maxsize=1024)
def host_of(text: str) -> str:
    """Return a host name in the form that is compared: decoded, lower case, Unicode, no port nor last dot."""
    if text.startswith("["):
        return text.partition("]")[0].strip("[").lower()
    host = unquote(_PORT.sub("", text[: 2 * _MAX_HOST])).lower()
    if host.isascii() and "xn--" not in host and ".." not in host:
        return host.strip(".")
    labels = unicodedata.normalize("NFKC", host).translate(_DOTS).lower().strip(".").split(".")
    return ".".join(_unicode(label) for label in labels if label)


def _unicode(label: str) -> str:
    if not label.startswith("xn--") or len(label) > _MAX_LABEL:
        return label
    try:
        return label[4:].encode("ascii").decode("punycode").lower()
    except (UnicodeError, ValueError, OverflowError):
        return label


def ip_of(host: str) -> str:
    """Return the IP address that a host is, in any notation that browsers take (WHATWG URL 3.5), or ""."""
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host.partition("%")[0]))
        except ValueError:
            return ""
    parts = host.split(".")
    if not 1 <= len(parts) <= _IPV4_PARTS or not all(_NUMBER.fullmatch(part) for part in parts):
        return ""
    try:
        values = [_number(part) for part in parts]
    except ValueError:
        return ""
    last = 256 ** (_IPV4_PARTS + 1 - len(values))
    if values[-1] >= last or not _BYTES.issuperset(values[:-1]):
        return ""
    whole = values[-1] + sum(value << (8 * (3 - place)) for place, value in enumerate(values[:-1]))
    return str(ipaddress.IPv4Address(whole))


def _number(part: str) -> int:
    if part[:2] in {"0x", "0X"}:
        return int(part[2:] or "0", 16)
    return int(part, 8) if len(part) > 1 and part[0] == "0" else int(part)


def registrable(host: str) -> str:
    """Return the domain that somebody registered: the last two labels, or three below a known public suffix.

    No Public Suffix List: of the suffixes with two labels only the usual ones are known (lookalikes.TWO_LEVELS), so
    two customers of a rarer one count as one domain. What depends on this only warns.
    """
    labels = host.split(".")
    count = 3 if ".".join(labels[-2:]) in TWO_LEVELS else 2
    return ".".join(labels[-count:])


def shown_host(text: str) -> str:
    """Return the host that a link's text shows, or "" if the text is no address or name of a host."""
    text = text.translate(_WIDTHLESS).strip(" \t\r\n\u00a0.,;:()[]<>\"'")
    if len(text) > _MAX_ADDRESS or not (found := _BARE.fullmatch(text)):
        return ""
    host = host_of(found[1])
    return host if found.start(1) or looks_like_host(host) else ""


def looks_like_host(text: str) -> bool:
    """Return whether a text is a host name rather than a file's: it ends in a usual top-level domain."""
    labels = text.lower().split(".")
    return len(labels) > 1 and all(labels) and (labels[-1] in TOP_LEVELS or labels[0] == "www")


def addresses_in(text: str) -> Iterator[str]:
    """Yield the addresses that stand in plain text, as mail readers make links of them."""
    at = done = 0
    # The colon first, which is rarer than letters.
    while colon := _BEHIND_SCHEME.search(text, at):
        at = colon.end()
        scheme = _SCHEME_END.search(text, max(done, colon.start() - _LONGEST_SCHEME), colon.start())
        if scheme and (found := _IN_TEXT.match(text, scheme.start())):
            at = done = found.end()
            yield found[0].rstrip(".,;:!?)]}>'\"")
