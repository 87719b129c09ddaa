"""Bogons: networks that no packet from the internet may come from. Data, with where it was taken from, and when."""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from roles.firewall.settings import Network, known_networks, parsed
from roles.settings import Gateway

SOURCE: Final = "IANA IPv4 and IPv6 Special-Purpose Address Registries"
# Of the registries' last update that was read.
DATE: Final = "2024-10-22"


@dataclass(frozen=True, slots=True)
class Bogon:
    """One network that is no source on the internet.

    ``house``: a house may well use it inside; it is forged where it comes in from a zone that is the internet, and
    where no zones are declared nobody can tell.
    """

    network: str
    reason: str
    house: bool = False


# IPv4-mapped sources (::ffff:0:0/96) the kernel drops itself (ip6_input.c, RFC 4942 2.2).
BOGONS: Final = (
    Bogon("0.0.0.0/8", "this host on this network (RFC 791 3.2)"),
    Bogon("10.0.0.0/8", "private (RFC 1918)", house=True),
    Bogon("100.64.0.0/10", "shared with a provider (RFC 6598)", house=True),
    Bogon("169.254.0.0/16", "one link only (RFC 3927)", house=True),
    Bogon("172.16.0.0/12", "private (RFC 1918)", house=True),
    Bogon("192.0.0.0/24", "IETF protocols (RFC 6890)"),
    Bogon("192.0.2.0/24", "documentation (RFC 5737)"),
    Bogon("192.88.99.0/24", "6to4 relays, given up (RFC 7526)"),
    Bogon("192.168.0.0/16", "private (RFC 1918)", house=True),
    Bogon("198.18.0.0/15", "benchmarks (RFC 2544)"),
    Bogon("198.51.100.0/24", "documentation (RFC 5737)"),
    Bogon("203.0.113.0/24", "documentation (RFC 5737)"),
    Bogon("224.0.0.0/4", "multicast is no source (RFC 1112)"),
    Bogon("240.0.0.0/4", "reserved, and broadcast (RFC 1112 4)"),
    Bogon("::/128", "unspecified (RFC 4291 2.5.2)"),
    Bogon("64:ff9b:1::/48", "translation inside of a house (RFC 8215)", house=True),
    Bogon("100::/64", "discard (RFC 6666)"),
    Bogon("2001::/32", "Teredo (RFC 4380), given up"),
    Bogon("2001:2::/48", "benchmarks (RFC 5180)"),
    Bogon("2001:10::/28", "ORCHID, ended (RFC 4843)"),
    Bogon("2001:20::/28", "ORCHIDv2: names, not addresses (RFC 7343)"),
    Bogon("2001:db8::/32", "documentation (RFC 3849)"),
    Bogon("2002::/16", "6to4, given up (RFC 7526)"),
    Bogon("3fff::/20", "documentation (RFC 9637)"),
    Bogon("5f00::/16", "segment routing (RFC 9602)"),
    Bogon("fc00::/7", "private (RFC 4193)", house=True),
    Bogon("fec0::/10", "site-local, given up (RFC 3879)"),
    Bogon("ff00::/8", "multicast is no source (RFC 4291 2.7)"),
)


def bogons(gateway: Gateway, family: int, *, house: bool) -> tuple[Network, ...]:
    """Return the bogons of one family that this gateway does not use whole, in order; ``house``: those with that mark too."""
    used = _used(gateway, family)
    found = (ip_network(bogon.network) for bogon in BOGONS if house or not bogon.house)
    return tuple(
        network
        for network in found
        if network.version == family and not any(within(network, other) for other in used)
    )


def used_parts(gateway: Gateway, family: int, *, house: bool) -> tuple[Network, ...]:
    """Return the networks of one family that settings use of those bogons, which are let in before their rules."""
    whole = bogons(gateway, family, house=house)
    return tuple(one for one in _used(gateway, family) if any(within(one, network) for network in whole))


def within(one: Network, other: Network) -> bool:
    """Return whether a network is part of another of its family."""
    return one.overlaps(other) and one.prefixlen >= other.prefixlen


def _used(gateway: Gateway, family: int) -> tuple[Network, ...]:
    zones = tuple(network for zone in gateway.firewall.zones.values() for network in zone.networks)
    named = (*parsed((*gateway.firewall.bogons_in_use, *zones)), *known_networks(gateway))
    return tuple(dict.fromkeys(one for one in named if one.version == family))
