"""What is known of block lists: which answers mean "listed", which lists are dead, whom they refuse to answer.

The attack it stops: a list that was closed, sold or mistyped, or that dislikes our resolver, and then refuses all mail.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

Octets = tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int]]

# RFC 5782 2.1: 127.0.0.2 and up mean listed; 127.0.0.1 is never used, and 127.0.0.255 is how some say "blocked".
ANY_LISTING: Final = "127.0.0.[2..254]"
# By the zone's end, as a vendor's key stands in front of it. From the lists' own pages.
KNOWN_ANSWERS: Final[Mapping[str, str]] = {
    # 2 to 11 are SBL, CSS, XBL and PBL; 127.255.255.252 to .255 are errors: a typing error, a public resolver, too many.
    "zen.spamhaus.org": "127.0.0.[2..11]",
    "zen.dq.spamhaus.net": "127.0.0.[2..11]",
    "sbl.spamhaus.org": "127.0.0.[2..3;9]",
    "xbl.spamhaus.org": "127.0.0.[4..7]",
    "bl.spamcop.net": "127.0.0.2",
    "b.barracudacentral.org": "127.0.0.2",
    "psbl.surriel.com": "127.0.0.2",
    # An allow list: the third number is the branch of trade, the fourth the trust (0: none); 127.0.0.255 is an error.
    "list.dnswl.org": "127.0.[2..20].[1..3]",
}
DEAD: Final[Mapping[str, str]] = {
    "wirehub.net": "its lists, which the papers name, ended with the provider that ran them",
    "sorbs.net": "all its zones were taken out of service in June 2024",
    "ordb.org": "closed in 2006, and since 2008 it answered that every address is listed",
    "dsbl.org": "closed in 2008",
    "osirusoft.com": "closed in 2003 by listing every address",
    "ahbl.org": "closed in 2015 by listing every address",
    "njabl.org": "closed in 2013",
    "rfc-ignorant.org": "closed in 2012",
    "spamcannibal.org": "its name was sold in 2018, and then answered that every address is listed",
    "manitu.net": "closed in January 2025",
}
# Those of the big public services: block lists answer them with errors, or not at all, as they cannot tell who asks.
PUBLIC_RESOLVERS: Final[frozenset[IPv4Address | IPv6Address]] = frozenset(
    ip_address(text)
    for text in (
        *("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"),
        *("1.1.1.1", "1.0.0.1", "1.1.1.2", "1.0.0.2", "1.1.1.3", "1.0.0.3"),
        *("2606:4700:4700::1111", "2606:4700:4700::1001"),
        *("9.9.9.9", "149.112.112.112", "9.9.9.10", "149.112.112.10", "9.9.9.11", "149.112.112.11"),
        *("2620:fe::fe", "2620:fe::9"),
        *("208.67.222.222", "208.67.220.220", "2620:119:35::35", "2620:119:53::53"),
        *("4.2.2.1", "4.2.2.2", "64.6.64.6", "64.6.65.6", "94.140.14.14", "94.140.15.15"),
        *("185.222.222.222", "45.11.45.11", "76.76.2.0", "76.76.10.0", "77.88.8.8", "77.88.8.1"),
    )
)

_FIELD = re.compile(r"\d{1,3}|\[\d{1,3}(\.\.\d{1,3})?(;\d{1,3}(\.\.\d{1,3})?)*\]")
_FIELDS = 4
_HIGHEST = 255


def known_answers(zone: str) -> str:
    """Return which answers of a zone mean "listed", in Postfix's notation."""
    name = zone.rstrip(".").lower()
    ends = (known for known in KNOWN_ANSWERS if name == known or name.endswith(f".{known}"))
    return KNOWN_ANSWERS.get(next(ends, ""), ANY_LISTING)


def octets(answers: str) -> Octets:
    """Return the numbers that each of an answer's four may be.

    ``answers`` is Postfix's notation (postconf(5), postscreen_dnsbl_sites): four fields with dots between them, each a
    number or ``[a..b;c]``. ValueError says what does not fit it.
    """
    fields = re.split(r"\.(?!\.)(?<!\.\.)(?![^\[]*\])", answers)
    if len(fields) != _FIELDS or not all(_FIELD.fullmatch(field) for field in fields):
        raise ValueError(f"{answers!r} is not of the form 127.0.0.[2..11], four numbers or ranges")
    first, second, third, fourth = (_numbers(field) for field in fields)
    return first, second, third, fourth


def takes(counted: Octets, answer: str) -> bool:
    """Say whether an answer, an IPv4 address, is one that counts."""
    return all(int(number) in each for number, each in zip(answer.split("."), counted, strict=True))


def _numbers(field: str) -> frozenset[int]:
    found: set[int] = set()
    for part in field.strip("[]").split(";"):
        low, _, high = part.partition("..")
        first, last = int(low), int(high or low)
        if first > last or last > _HIGHEST:
            raise ValueError(f"{part!r} is no range of numbers up to {_HIGHEST}")
        found.update(range(first, last + 1))
    return frozenset(found)
