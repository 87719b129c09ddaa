"""What a host learns of its own link where settings let it: addresses that are leased, routes that routers advertise."""

from typing import Final

from roles.settings import Gateway

# hardening.left_out names it where the host's way out by IPv6 is what a router advertises.
BELIEVES_NONE: Final = "hardening.no-router-advertisements"
# RFC 4861 6.1.2: from a link-local address, with a hop limit that no router has counted down. To the kernel's table of
# connections such a packet belongs to none (nf_conntrack_icmpv6 leaves it untracked), so no rule for replies lets it in.
_ADVERTISED: Final = "-s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 134 -m hl --hl-eq 255"
_ASKED: Final = "-p ipv6-icmp -m icmp6 --icmpv6-type 133"
# RFC 2131 4.1, whose replies pass no rule, and RFC 8415 7.2.
_LEASED: Final = {
    (4, "OUTPUT"): "-p udp -m udp --sport 68 --dport 67",
    (6, "OUTPUT"): "-p udp -m udp --sport 546 --dport 547",
    (6, "INPUT"): "-s fe80::/10 -p udp -m udp --sport 547 --dport 546",
}


def hears_routers(gateway: Gateway) -> bool:
    """Return whether routers of the link may tell this gateway its way out."""
    return BELIEVES_NONE in gateway.hardening.left_out


def advertised(gateway: Gateway) -> tuple[str, ...]:
    """Return the rule that lets routers' advertisements in, where the gateway believes them."""
    return (f"{_ADVERTISED} -j ACCEPT",) if hears_routers(gateway) else ()


def leased(gateway: Gateway, family: int, chain: str) -> tuple[str, ...]:
    """Return the rule of a chain for a DHCP client, where the gateway is one."""
    rule = _LEASED.get((family, chain))
    return (f"{rule} -j ACCEPT",) if rule and gateway.dhcp else ()


def asked(gateway: Gateway) -> tuple[str, ...]:
    """Return the rule by which routers are asked for an advertisement, where the gateway believes it."""
    return (f"{_ASKED} -j ACCEPT",) if hears_routers(gateway) else ()
