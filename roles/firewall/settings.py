"""Settings of the packet filter, plain values of the inventory, and what can be wrong with them."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from roles.forms import SMTP_PORT, internet_problem, network_problem

if TYPE_CHECKING:
    from roles.settings import Gateway

Service = Literal["smtp", "ssh"]
Network = IPv4Network | IPv6Network

# iptables(8): at most 15 characters (IFNAMSIZ), a trailing + stands for any rest.
_INTERFACE = re.compile(r"[A-Za-z0-9._-]{1,15}|[A-Za-z0-9._-]{0,14}\+")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# No declared way out leads to a network larger than these.
_SHORTEST = {4: 8, 6: 16}
_ZONE = re.compile(r"[a-z][a-z0-9-]{0,15}")


class Zone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One side of the gateway: what hangs on an interface, and what is open to it."""

    interface: Annotated[
        str,
        Meta(
            description="Interface that the zone hangs on, such as `eth0`; `eth+` is each whose name begins so."
        ),
    ]
    networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) that are at home behind the interface; a packet from one of them that comes in "
            "anywhere else is forged. Empty: all that is at home nowhere else, the internet."
        ),
    ] = ()
    services: Annotated[
        tuple[Service, ...],
        Meta(
            description="What is open to the zone: `smtp` to all of it, `ssh` to those of its hosts that `admin_networks` names."
        ),
    ] = ("smtp",)


class Egress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way out that your site needs beside those that a gateway has: a user, what it connects to, and why."""

    user: Annotated[
        str,
        Meta(
            description="User of the host, by its name in `/etc/passwd`, whose programs may open these connections; it has to be there."
        ),
    ]
    ports: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=65535)], ...],
        Meta(
            description="Ports that it connects to; not 25, by which mail leaves.",
            min_length=1,
            max_length=16,
        ),
    ]
    networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) or addresses of the servers there, of either family.", min_length=1
        ),
    ]
    reason: Annotated[str, Meta(pattern=r"\S", max_length=300, description="What it is for.")]
    protocol: Annotated[Literal["tcp", "udp"], Meta(description="What the servers speak.")] = "tcp"


class Firewall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the packet filter knows of the networks around the gateway, and what one client may do to it."""

    zones: Annotated[
        dict[str, Zone],
        Meta(
            description="The gateway's sides by name, an interface each. What comes in by an interface of no zone is dropped. "
            "Without any, all interfaces are one side, on which `smtp` and `ssh` are open."
        ),
    ] = {}
    bogons_in_use: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) that your packets come from although nothing on the internet may: they are let in, "
            "and so are those that other settings name; the rest of the bogon that they are part of is not."
        ),
    ] = ()
    mirrors: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) of the servers that packages and signatures come from. Empty: any, as most mirrors "
            "have addresses that change; only the users that fetch updates get there all the same."
        ),
    ] = ()
    egress: Annotated[
        tuple[Egress, ...],
        Meta(
            description="Ways out beside those that a gateway has: of a directory's daemon, towards a proxy, of a monitoring or "
            "backup agent. Whatever is not declared is dropped, also what connected before the first deploy and connects anew."
        ),
    ] = ()
    connections_per_second: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="New connections to port 25 from one address (IPv6: one /64), ten times as many in a burst; what is "
            "beyond is reset. Only handshakes that were finished count: nobody uses up another's by forging his address. "
            "How many stand at a time is bounded by the MTA (`mta_limits.connections`), which says so.",
        ),
    ] = 10
    syns_per_second: Annotated[
        int,
        Meta(
            ge=10,
            le=10_000,
            description="SYN packets to port 25 that seem to come from one address (IPv6: one /64) and are answered, twice as "
            "many in a burst: a bound on what a forger can have the gateway send to its victim.",
        ),
    ] = 200
    scan_ports: Annotated[
        int,
        Meta(
            ge=5,
            le=1000,
            description="Closed ports that one address (IPv6: one /64) may try at a go; one a 6 s comes back.",
        ),
    ] = 15
    ban_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds that who tried more than `scan_ports` can open no connection; 0: nobody is banned. It is "
            "short because a forger can have another banned; connections that stand are never hit, nor are the gateway's own.",
        ),
    ] = 600
    never_banned: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) that are never banned, beside all that other settings name (administrators, "
            "resolvers, own networks): a big sender, or where the audit scans from."
        ),
    ] = ()

    @property
    def outside(self) -> tuple[Zone, ...]:
        """The zones that are the internet."""
        return tuple(zone for zone in self.zones.values() if not zone.networks)


def parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    """Return networks of the settings as such, in their order."""
    return tuple(ip_network(network) for network in networks)


def zone_of(firewall: Firewall, source: str) -> tuple[Zone, ...]:
    """Return the zones that an address is at home in: the internet's where no other has it."""
    address = ip_address(source)
    home = tuple(
        zone
        for zone in firewall.zones.values()
        if any(address in network for network in parsed(zone.networks))
    )
    return home or firewall.outside


def known_networks(gateway: "Gateway") -> tuple[Network, ...]:
    """Return the networks that settings name as friends: never banned, no limit of port 25, no bogons."""
    named = (
        *gateway.admin_networks,
        *gateway.resolvers,
        *gateway.internal_networks,
        *(entry.network for entry in gateway.relay_networks),
    )
    return tuple(dict.fromkeys(ip_network(each) for each in named))


def firewall_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for the packet filter's settings."""
    firewall = gateway.firewall
    for name in ("bogons_in_use", "mirrors", "never_banned"):
        for text in getattr(firewall, name):
            if problem := _network_problem(text):
                yield f"firewall.{name}", problem
                return
        if problem := internet_problem(getattr(firewall, name)):
            yield f"firewall.{name}", problem
            return
    for number, way in enumerate(firewall.egress):
        if problem := _egress_problem(way):
            yield f"firewall.egress[{number}]", problem
            return
    yield from _zone_problems(gateway)


def _egress_problem(way: Egress) -> str:
    """Return what is wrong with a declared way out, and the remedy, or an empty text."""
    if not _USER.fullmatch(way.user):
        return f"{way.user!r} cannot be a user's name; write it as it stands in /etc/passwd"
    if SMTP_PORT in way.ports:
        return "mail leaves by the MTA alone; have the program hand its mail to the gateway, on loopback, instead of to port 25"
    for text in way.networks:
        if problem := _network_problem(text):
            return problem
        network = ip_network(text)
        if network.prefixlen < _SHORTEST[network.version]:
            return f"{text} is a good part of the internet; name the servers that {way.user} connects to"
    return internet_problem(way.networks)


def _zone_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    zones = gateway.firewall.zones
    for name, zone in zones.items():
        if not _ZONE.fullmatch(name):
            yield (
                "firewall.zones",
                f"{name!r} cannot be a zone's name; take lower-case letters, digits and hyphens",
            )
        if problem := _zone_problem(zone, [other.interface for other in zones.values()]):
            yield f"firewall.zones.{name}", problem
            return
    if zones:
        yield from _reached_problems(gateway)


def _zone_problem(zone: Zone, interfaces: list[str]) -> str:
    if not _INTERFACE.fullmatch(zone.interface) or zone.interface in ("lo", "+"):
        return f"{zone.interface!r} cannot be its interface; write it like eth0"
    if interfaces.count(zone.interface) > 1:
        return f"its interface {zone.interface} is another zone's too; give each zone its own"
    wrong = next((problem for text in zone.networks if (problem := _network_problem(text))), "")
    return wrong or internet_problem(zone.networks)


def _reached_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Give what is wrong with zones that are well written: who could not get in."""
    zones = gateway.firewall.zones
    if not any("smtp" in zone.services for zone in zones.values()):
        yield "firewall.zones", "no zone has `smtp` among its `services`, so no mail gets in"
    if not gateway.firewall.outside:
        yield "firewall.zones", "each zone has `networks`; the one towards the internet has none"
        return
    for network in gateway.admin_networks:
        if not any("ssh" in zone.services for zone in zone_of(gateway.firewall, network.partition("/")[0])):
            yield (
                "admin_networks",
                f"{network} is at home in a zone without `ssh`; add the service there, or the network to its zone",
            )


def _network_problem(text: str) -> str:
    if problem := network_problem(text):
        return problem
    if ip_network(text).prefixlen == 0:
        return f"{text!r} is the whole internet; name the networks that are meant"
    return ""
