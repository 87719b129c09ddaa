"""The conditions of a group: address patterns, networks and times, taken apart once."""

import ipaddress
import itertools
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from msgspec import Struct

from filterd.domains import in_ascii

from .actions import is_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
NULL_SENDER: Final = "<>"
_MINUTES: Final = 60
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
# What an MTA reads over in an address: blanks outside of quotes, the quotes, the backslash before a character.
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"?', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
# What stands for itself, whatever is around it: quoted text, a character behind a backslash.
_TAKEN_WHOLE: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|\\.', re.DOTALL)


class Span(Struct, frozen=True, kw_only=True):
    """A time of the week. Minutes of the day, ``until`` excluded; up to or below ``since`` it ends on the next day."""

    days: frozenset[int]
    since: int
    until: int

    def holds(self, now: datetime) -> bool:
        """Whether a moment (its own clock and day count) lies within. A span over midnight has its first day's name."""
        minute = now.hour * _MINUTES + now.minute
        if self.since < self.until:
            return now.weekday() in self.days and self.since <= minute < self.until
        yesterday = (now - timedelta(days=1)).weekday()
        return (now.weekday() in self.days and minute >= self.since) or (
            yesterday in self.days and minute < self.until
        )


@lru_cache(maxsize=4096)
def span(text: str) -> Span:
    """Return a time taken apart: "Mon-Fri 08:00-18:00", "Sat,Sun", "22:00-06:00". Raises ValueError with a remedy."""
    days, clock = frozenset(range(len(DAYS))), "00:00-24:00"
    match text.split(" "):
        case [one] if ":" in one:
            clock = one
        case [one]:
            days = _days(one)
        case [first, clock]:
            days = _days(first)
        case _:
            raise ValueError(f"{text!r} is no time; write it like Mon-Fri 08:00-18:00")
    since, dash, until = clock.partition("-")
    clocks = _CLOCK.fullmatch(since) and _CLOCK.fullmatch(until)
    if not dash or not clocks or since == until or since.startswith("24"):
        raise ValueError(f"{text!r}: {clock!r} is no span of the day; write it like 08:00-18:00")
    return Span(days=days, since=_minute(since), until=_minute(until))


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(
                f"{piece!r} names no days; write them like Mon-Fri or Sat,Sun ({', '.join(DAYS)})"
            )
        begin, end = DAYS.index(first), DAYS.index(last or first)
        length = (end - begin) % len(DAYS) + 1
        found |= {(begin + offset) % len(DAYS) for offset in range(length)}
    return frozenset(found)


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * _MINUTES + int(minutes)


@lru_cache(maxsize=4096)
def network(text: str) -> Network:
    """Return a network in CIDR form, or a single address. Raises ValueError with a remedy."""
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no network ({error}); write it like 192.0.2.0/24 or 2001:db8::/32"
        ) from None
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped:
        raise ValueError(f"{text!r} is an IPv4 network in IPv6's spelling; write it in IPv4's")
    return found


# An address of the envelope is asked for several times a message; both caches are bounded in number and in length.
@lru_cache(maxsize=1024)
def client(address: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a client's address as the MTA gives it; None for one that has none (a unix socket)."""
    try:
        found = ipaddress.ip_address(address.decode("ascii"))
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found


def pattern_problem(text: str, *, sender: bool) -> str:
    """Return what is wrong with an address pattern and what would be right, or ""."""
    if sender and text == NULL_SENDER:
        return ""
    local_part, at, domain = text.rpartition("@")
    host = domain.removeprefix(".") if not local_part else domain
    # RFC 5321 lets a mailbox be called that, and whoever writes it means anybody.
    if (
        "*" not in text
        and at
        and (local_part or host)
        and (not local_part or _LOCAL_PART.fullmatch(local_part))
    ):
        if not host and local_part:
            return ""
        if is_address(f"{local_part or 'x'}@{host}"):
            return ""
    null = f", {NULL_SENDER}" if sender else ""
    return f"{text!r} is no address pattern; write user@example.org, @example.org, @.example.org, user@{null}"


@lru_cache(maxsize=1024)
def bare(address: bytes) -> str:
    """Return an envelope address in lower case, without brackets, comments and source route; "<>" for the null sender.

    Quoting and blanks are taken out as MTAs do it: else a sender chooses by the spelling which groups fit. Postfix has taken
    comments away (or refused them) before filterd is told of an address; Sendmail passes it on as it was sent.
    """
    text = unwrapped(address)
    if text.startswith("@") and ":" in text:
        # RFC 5321 4.1.2, appendix C: a source route is ignored.
        text = text.partition(":")[2]
    pieces = _QUOTED.split(text)
    plain = (_ESCAPED.sub(r"\1", "".join(piece.split())) for piece in pieces[::2])
    quoted = (_ESCAPED.sub(r"\1", piece) for piece in pieces[1::2])
    text = "".join(itertools.chain.from_iterable(itertools.zip_longest(plain, quoted, fillvalue="")))
    text = text.lower().removesuffix(".")
    if not text.isascii():
        # RFC 6531: the same domain, whether its labels are written in ASCII or as they are read.
        user, at, domain = text.rpartition("@")
        text = f"{user}{at}{in_ascii(domain)}" if at else text
    return text or NULL_SENDER


def unwrapped(address: bytes) -> str:
    """Return an envelope address as it is written, without comments and brackets; "" for the null sender."""
    return _innermost(_uncommented(address.decode("utf-8", "backslashreplace"))).strip()


def _uncommented(text: str) -> str:
    """Return an address without its comments (RFC 5322 3.2.2), which nest; in them quotes are plain characters."""
    if "(" not in text:
        return text
    kept = []
    at = depth = 0
    while at < len(text):
        whole = None if depth and text[at] == '"' else _TAKEN_WHOLE.match(text, at)
        piece = whole[0] if whole is not None else text[at]
        if piece == "(":
            depth += 1
        elif piece == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(piece)
        at += len(piece)
    return "".join(kept)


def _innermost(text: str) -> str:
    """Return what stands in the innermost angle brackets, or the text where there are none."""
    bare = _TAKEN_WHOLE.sub(lambda whole: "x" * len(whole[0]), text)
    begin = bare.rfind("<") + 1
    end = bare.find(">", begin)
    return text[begin:] if end < 0 else text[begin:end]


def fits(pattern: str, address: str) -> bool:
    """Whether an address, as bare() gives it, is meant by a pattern. Letter case does not matter."""
    pattern = pattern.lower()
    if NULL_SENDER in {pattern, address}:
        return pattern == address
    wanted_user, _, wanted_domain = pattern.rpartition("@")
    # Without an at sign it is the postmaster (RFC 5321 4.5.1), or one of our own.
    user, _, domain = address.rpartition("@") if "@" in address else (address, "", "")
    if wanted_user and user != wanted_user:
        return False
    if wanted_domain.startswith("."):
        return domain.endswith(wanted_domain)
    return not wanted_domain or domain == wanted_domain
