"""How names, addresses and next hops are written; each function says whether a text has the form."""

import argparse
import ipaddress
import re
from collections.abc import Iterable

# RFC 1123 2.1 host name with at least one dot: SMTP names itself by a fully qualified name (RFC 5321 4.1.1.1).
_FQDN = re.compile(
    r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE
)
# transport(5): [host]:port without MX look-up, or a bare domain whose MX is asked.
_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?",
    re.IGNORECASE,
)
_NEXT_HOP = re.compile(r"(?:\[(?P<host>[^]\[]+)\]|(?P<domain>[^]\[:]+))(:(0|[1-9]\d{0,4}))?")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")

# All addresses of IPv6 that are the internet's.
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_HALF = "is half the internet or more; name the networks that are meant"

SMTP_PORT = 25
HTTP_PORT = 80
HIGHEST_PORT = 65_535


def is_fqdn(text: str) -> bool:
    """Say whether a text is a fully qualified host name."""
    return _FQDN.fullmatch(text) is not None


def is_mail_address(text: str) -> bool:
    """Say whether a text is a plain mail address: a dot-string at a fully qualified name (RFC 5321 4.1.2)."""
    local_part, _, domain = text.rpartition("@")
    return _LOCAL_PART.fullmatch(local_part) is not None and is_fqdn(domain)


def is_next_hop(text: str) -> bool:
    """Say whether a text is a next hop in the words of transport(5): between brackets an address or a name, else a domain."""
    found = _NEXT_HOP.fullmatch(text)
    if found is None:
        return False
    if found["host"]:
        return is_address(found["host"]) or _named(found["host"])
    return _named(found["domain"])


def next_hop_host(hop: str) -> str:
    """Return the address, name or domain of a next hop, in lower case and without brackets and port."""
    found = _NEXT_HOP.fullmatch(hop)
    return (found["host"] or found["domain"]).lower() if found else ""


def _named(text: str) -> bool:
    """Say whether a text can be a host's name; one whose last label is a number is an address (RFC 1123 2.1), and none here."""
    return _NAME.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


def next_hops(text: str) -> tuple[str, ...]:
    """Return the next hops that a text names, with commas between them, in the order in which they are tried."""
    return tuple(hop for each in text.split(",") if (hop := each.strip()))


def next_hop_port(hop: str) -> int:
    """Return the TCP port of a next hop in the words of transport(5); 25 where it names none."""
    _, colon, port = hop.rpartition("]")[2].rpartition(":")
    return int(port) if colon else SMTP_PORT


def is_address(text: str) -> bool:
    """Say whether a text is an IP address that a packet filter can name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == 4 or address.scope_id is None  # noqa: PLR2004 - the packet filter knows no scopes


def network_problem(text: str) -> str:
    """Return what is wrong with a network of any setting, and the remedy, or an empty text.

    Python reads masks, lengths with zeros in front and scopes too; of cidr_table(5), iptables and Sendmail each skips or
    refuses another part of these, and some without a word that stops a deploy.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        return (
            f"{text!r} is not a network in CIDR form ({error}); write it like 192.0.2.0/24 or 2001:db8::/32"
        )
    if network.version == 6 and network.network_address.scope_id is not None:  # noqa: PLR2004 - the family
        return f"{text!r} has a scope, which is one host's own matter; write the network without"
    if network.version == 6 and network.network_address.ipv4_mapped:  # noqa: PLR2004 - the family
        return f"{text!r} is an IPv4 network in IPv6's spelling; write it in IPv4's"
    if "/" in text and text.partition("/")[2] != str(network.prefixlen):
        return f"{text!r} has a mask or zeros where CIDR has a length; write {str(network)!r}"
    return ""


def internet_problem(texts: Iterable[str]) -> str:
    """Return what is wrong with networks that together are half the internet or more, and the remedy, or an empty text.

    Of IPv6 the internet is 2000::/3 (RFC 4291 2.4). What is no network is told elsewhere.
    """
    networks = [ipaddress.ip_network(text) for text in texts if not network_problem(text)]
    if any(network.prefixlen <= 1 for network in networks):
        return f"{next(str(each) for each in networks if each.prefixlen <= 1)} {_HALF}"
    four = ipaddress.collapse_addresses(each for each in networks if each.version == 4)  # noqa: PLR2004 - the family
    six = ipaddress.collapse_addresses(
        each
        for each in networks
        if each.version == 6 and (each.subnet_of(_GLOBAL) or each.supernet_of(_GLOBAL))  # noqa: PLR2004 - the family
    )
    if sum(each.num_addresses for each in four) >= 2**31:
        return f"its IPv4 networks together are {_HALF.removeprefix('is ')}"
    if sum(each.num_addresses for each in six) >= _GLOBAL.num_addresses // 2:
        return f"its IPv6 networks together are {_HALF.removeprefix('is ')}"
    return ""


def address_argument(text: str) -> str:
    """Return an IP address of a command line, as argparse's ``type``; raises ArgumentTypeError for anything else."""
    if not is_address(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an IP address")
    return text
