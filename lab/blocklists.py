"""The lab's lists of addresses, asked by DNS (RFC 5782): good ones, and one for each way in which a list goes wrong."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from lab.plan import ALLOWED, DOMAIN, LISTED, NAMELESS, WAN4, WAN6, Record, v6

BLOCK_LIST = f"dnsbl.{DOMAIN}"
GREY_LIST = "grey.lists.example"
ALLOW_LIST = "allow.lists.example"
# Answers an error code to everything, as lists do to resolvers that serve the whole world.
ERRORS_LIST = "errors.lists.example"
# Lists everything, as some did when they closed.
EVERYTHING_LIST = "everything.lists.example"
# Delegated to a name server that is not there.
DEAD_LIST = "dead.lists.example"
# Bought by somebody, with a web page on every name.
BOUGHT_LIST = "bought.lists.example"


def lists() -> Mapping[str, tuple[Record, ...]]:
    """Return each list's records by its zone; of a list that is in no zone nobody knows anything."""
    return {
        BLOCK_LIST: _listing("127.0.0.2", *_both(LISTED), *_both(ALLOWED)),
        GREY_LIST: _listing("127.0.0.4", *_both(LISTED), *_both(NAMELESS)),
        ALLOW_LIST: _listing("127.0.5.3", *_both(ALLOWED)),
        ERRORS_LIST: (_record("*", "127.255.255.254"),),
        EVERYTHING_LIST: (_record("*", "127.0.0.2"),),
        BOUGHT_LIST: (_record("*", str(WAN4[LISTED])),),
    }


def _both(number: int) -> tuple[str, str]:
    return str(WAN4[number]), v6(WAN6, number)


def _listing(answer: str, *addresses: str) -> tuple[Record, ...]:
    return tuple(_entries(answer, addresses))


def _entries(answer: str, addresses: Iterable[str]) -> Iterable[Record]:
    # RFC 5782 2.1 and 2.4: octets, or an IPv6 address's digits, in reverse; 5: the test entry, 127.0.0.2 itself.
    for address in (*addresses, "127.0.0.2"):
        reverse = ip_address(address).reverse_pointer
        owner = reverse.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
        yield _record(owner, answer)
        yield Record(owner=owner, type="TXT", value=f'"{address} is listed by the lab"')


def _record(owner: str, answer: str) -> Record:
    return Record(owner=owner, type="A", value=answer)
