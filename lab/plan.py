"""The plan of a lab: which hosts, networks, names and addresses it has. Pure data, nothing is made here.

Addresses are taken from RFC 5737 (198.51.100.0/24), RFC 2544 (198.18.0.0/15) and RFC 3849 (2001:db8::/32): none of
them is in use on the Internet. The wan and lan networks live in namespaces of their own, so every lab uses the same
addresses there; the mgmt network is a bridge in this machine's own namespace, so it differs from lab to lab.
"""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from msgspec import Struct

from lab.errors import LabError
from lab.platforms import DEBIAN12, lab_platform

WAN4 = IPv4Network("198.51.100.0/24")
WAN6 = IPv6Network("2001:db8:51::/64")
LAN4 = IPv4Network("198.18.0.0/24")
LAN6 = IPv6Network("2001:db8:18::/64")

# The third octet of a mgmt network is 100 + the lab's index, so an index stays below 100.
MOST_LABS = 100
# As many hosts as one machine boots within the time that `up` allows.
MOST_GATEWAYS = 32

# Last octet (v4) and interface identifier (v6) of what stands on a network, written alike in both families.
WORLD = 53
MAILHOST = 25
VANTAGE = 10
# A second address of `world`, on which a certificate authority answers by ACME.
AUTHORITY = 54
# Held by the lab's block lists; held, but also by its allow list; the address that spoof.example claims, without a name
# of its own, which one list of little weight holds.
LISTED = 66
NAMELESS = 67
ALLOWED = 68
# The address that has the name of a dial-up line.
DIALUP = 71
# The addresses a probe on wan can send from: two that sender.example's SPF allows, those, and two that
# inventory/lab_rules.py has rules about.
WAN_VANTAGES = (10, 11, LISTED, NAMELESS, ALLOWED, DIALUP, 72, 73)
# On lan: what may be declared to relay, and a host of the house that nobody declares.
LAN_VANTAGES = (VANTAGE, 90)

DOMAIN = "bastide.example"
# What a gateway is: a container shares this machine's kernel, a virtual machine boots its own.
CONTAINER, VM = KINDS = ("container", "vm")
BRIDGE_OF = {"wan": "wan0", "lan": "lan0"}


class Record(Struct, frozen=True, kw_only=True):
    """One DNS record. ``owner`` is relative to its zone, @ is the zone itself; ``value`` as in a zone file."""

    owner: str
    type: str
    value: str


class Host(Struct, frozen=True, kw_only=True):
    """One host of a lab. Addresses without prefix length; None where the host has no leg in that network."""

    name: str
    role: str  # gateway, world or mailhost
    fqdn: str
    netns: str
    machine: str
    ssh_host: str
    ssh_port: int
    ssh_user: str
    ssh_key: Path
    known_hosts: Path
    wan4: str | None = None
    wan6: str | None = None
    lan4: str | None = None
    lan6: str | None = None
    kind: str = CONTAINER
    platform: str = DEBIAN12

    @property
    def short(self) -> str:
        """The first label of the host's own name."""
        return self.fqdn.partition(".")[0]

    def is_on(self, network: str) -> bool:
        """Say whether the host has a leg in wan or lan."""
        return (self.wan4 if network == "wan" else self.lan4) is not None

    @property
    def legs(self) -> dict[str, str]:
        """Its network interfaces, each with the network that it leads to; mgmt first."""
        return {"mgmt0": "mgmt"} | {leg: network for network, leg in BRIDGE_OF.items() if self.is_on(network)}

    def mac(self, leg: str) -> str:
        """Return the hardware address of a virtual machine's interface: locally administered (IEEE 802 8.2.2)."""
        octets = (
            0x02,
            0x00,
            list(self.legs).index(leg),
            *(int(part) for part in self.ssh_host.split(".")[1:]),
        )
        return ":".join(f"{octet:02x}" for octet in octets)


class LabState(Struct, frozen=True, kw_only=True):
    """A whole lab: what ``up`` makes and ``down`` removes. ``phase`` is ``making`` until every host answered."""

    name: str
    index: int
    phase: str
    directory: Path
    hosts: dict[str, Host]
    netns: dict[str, str]
    sink: Path

    @property
    def bridge(self) -> str:
        """The mgmt bridge in this machine's own namespace."""
        return f"bl{self.index}"

    @property
    def kind(self) -> str:
        """What its gateways are: containers or virtual machines."""
        return self.gateways[0].kind

    @property
    def platform(self) -> str:
        """What its gateways run (lab/platforms.py)."""
        return self.gateways[0].platform

    @property
    def mgmt(self) -> IPv4Network:
        """The mgmt network; this machine is its first address."""
        return mgmt_network(self.index)

    @property
    def gateways(self) -> tuple[Host, ...]:
        """The gateways in order: gw1, gw2 and so on."""
        return tuple(host for host in self.hosts.values() if host.role == "gateway")

    def veth(self, host: Host) -> str:
        """Return the name of this machine's end of the host's mgmt leg, at most 15 characters (IFNAMSIZ)."""
        return f"{self.bridge}-{host.name}"

    def host_directory(self, host: Host) -> Path:
        """Return where the host's overlay and console log are."""
        return self.directory / "hosts" / host.name


def check_name(name: str) -> None:
    """Raise LabError unless the name can be part of a file, namespace and machine name."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,15}", name):
        raise LabError(
            f"lab name {name!r} cannot be used: take 1 to 16 lower-case letters and digits, a letter first"
        )


def gateway_number(n: int) -> int:
    """Return the last octet of gateway n: 21 to 24, then from 105 on, clear of the mail server's 25."""
    return 20 + n if 20 + n < MAILHOST else 100 + n


def mgmt_network(index: int) -> IPv4Network:
    """Return the mgmt network of the lab with this index (0 to 99)."""
    return IPv4Network(f"198.18.{100 + index}.0/24")


def check_platform(platform: str, kind: str) -> None:
    """Raise LabError unless the lab has gateways of that kind that run the platform."""
    if not lab_platform(platform).machine and kind == VM:
        raise LabError(f"the lab has no virtual machine of {platform}: leave out --kind {VM}")


def plan_lab(
    *,
    name: str,
    index: int,
    gateways: int,
    directory: Path,
    kind: str = CONTAINER,
    platform: str = DEBIAN12,
) -> LabState:
    """Plan a lab of so many gateways of that kind and platform; ``directory`` is where it will keep its files.

    Raises LabError for a name, index or number of gateways that has no place in the address plan, and for a platform
    that the lab does not have.
    """
    check_name(name)
    check_platform(platform, kind)
    if not 0 <= index < MOST_LABS:
        raise LabError(
            f"lab index {index} is out of range: run 'python -m lab down' for a lab that is not needed"
        )
    if not 1 <= gateways <= MOST_GATEWAYS:
        raise LabError(f"--gateways {gateways} is out of range: give a number from 1 to {MOST_GATEWAYS}")
    numbered = [(f"gw{n}", "gateway", f"mx{n}", gateway_number(n)) for n in range(1, gateways + 1)]
    numbered += [("world", "world", "world", WORLD), ("mailhost", "mailhost", "mail", MAILHOST)]
    hosts = [
        _host(
            lab=name,
            index=index,
            directory=directory,
            name=host,
            role=role,
            label=label,
            number=number,
            kind=kind if role == "gateway" else CONTAINER,
            platform=platform if role == "gateway" else DEBIAN12,
        )
        for host, role, label, number in numbered
    ]
    return LabState(
        name=name,
        index=index,
        phase="making",
        directory=directory,
        hosts={host.name: host for host in hosts},
        netns={network: f"bastide-{name}-{network}" for network in BRIDGE_OF},
        sink=directory / "sink",
    )


def _host(
    *,
    lab: str,
    index: int,
    directory: Path,
    name: str,
    role: str,
    label: str,
    number: int,
    kind: str,
    platform: str,
) -> Host:
    on_wan = role in {"gateway", "world"}
    on_lan = role in {"gateway", "mailhost"}
    return Host(
        name=name,
        role=role,
        fqdn=f"{label}.{DOMAIN}",
        netns=f"bastide-{lab}-{name}",
        machine=f"bastide-{lab}-{name}",
        ssh_host=str(mgmt_network(index)[number]),
        ssh_port=22,
        ssh_user="root",
        ssh_key=directory / "ssh" / "key",
        known_hosts=directory / "ssh" / "known_hosts",
        wan4=str(WAN4[number]) if on_wan else None,
        wan6=v6(WAN6, number) if on_wan else None,
        lan4=str(LAN4[number]) if on_lan else None,
        lan6=v6(LAN6, number) if on_lan else None,
        kind=kind,
        platform=platform,
    )


def v6(network: IPv6Network, number: int) -> str:
    """Return the address whose last group reads like the decimal number: 21 gives ::21."""
    return str(network[int(str(number), 16)])
