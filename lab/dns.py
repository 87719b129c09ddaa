"""The lab's name space: every zone and record in one table, and the BIND files made from it.

``world`` is authoritative for all of it, the root included, so a name that the table lacks gets NXDOMAIN.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Network, ip_address

from lab import dnssec
from lab.blocklists import DEAD_LIST, lists
from lab.partners import PARTNERS, Partner
from lab.plan import (
    ALLOWED,
    AUTHORITY,
    DIALUP,
    DOMAIN,
    LAN4,
    LAN6,
    LISTED,
    MAILHOST,
    NAMELESS,
    WAN4,
    WAN6,
    WORLD,
    Record,
    gateway_number,
    v6,
)

ZONE_FOLDER = "/etc/bind/zones"
SENDER = "sender.example"
SPOOF = "spoof.example"
# Signed as it should be, and signed before it was changed.
SIGNED = "signed.example"
BOGUS = "bogus.example"
# The name that the dial-up line's address has.
DIALUP_NAME = "host-71.dsl.spoof.example"
# A domain that the name server cannot answer for: SERVFAIL (RFC 1035 4.1.1), as of any whose servers are in trouble.
UNANSWERED = "unanswered.example"

# Short, so that no test waits for a cache to forget.
_TTL_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One zone with all its records but SOA and NS, which are the same in each.

    ``changed`` is a text of the signed file and what is put in its place, after it was signed.
    """

    name: str
    records: tuple[Record, ...]
    signed: bool = False
    changed: tuple[str, str] | None = None
    serial: int = 1
    loads: bool = True  # else its file is none, and the server answers SERVFAIL for it

    @property
    def file(self) -> str:
        """The name of the zone's file."""
        return f"db.{'root' if self.name == '.' else self.name}"

    def text(self) -> str:
        """Return the zone file (RFC 1035 5)."""
        if not self.loads:
            return "no zone file\n"
        name_server = f"world.{DOMAIN}."
        lines = [
            f"$TTL {_TTL_SECONDS}",
            f"@ SOA {name_server} hostmaster.{DOMAIN}. {self.serial} 3600 600 86400 {_TTL_SECONDS}",
            f"@ NS {name_server}",
            *(f"{record.owner} {record.type} {record.value}" for record in self.records),
        ]
        text = "\n".join(lines) + "\n"
        if self.signed:
            text = dnssec.signed(self.name, text)
        return text.replace(*self.changed) if self.changed else text


def zones(gateways: int, *, partners_key: str = "") -> tuple[Zone, ...]:
    """Return every zone of a lab with that many gateways.

    ``partners_key`` is the SHA-256 of the key that the mail servers of other domains have, in hexadecimal digits.
    """
    numbers = range(1, gateways + 1)
    named = (
        Zone(name=DOMAIN, records=_protected(numbers), signed=True),
        Zone(name=SENDER, records=_sender()),
        Zone(name=SPOOF, records=_spoof()),
        Zone(name=SIGNED, records=_a("@", 10), signed=True),
        Zone(name=BOGUS, records=_a("@", 10), signed=True, changed=(str(WAN4[10]), str(WAN4[11]))),
        *(Zone(name=name, records=records) for name, records in lists().items()),
        Zone(name=UNANSWERED, records=(), loads=False),
        *(
            Zone(name=each.domain, records=_partner(each, partners_key), signed=bool(each.tlsa))
            for each in PARTNERS
        ),
        *_reverse(numbers),
    )
    root = Zone(name=".", records=_a(f"world.{DOMAIN}.", WORLD), signed=True)
    return tuple(_delegating(zone, (root, *named)) for zone in (root, *named))


def named_conf(every: Sequence[Zone]) -> str:
    """Return BIND's configuration: authoritative for the zones, resolver for nobody."""
    head = """\
options {
    directory "/var/cache/bind";
    listen-on { any; };
    listen-on-v6 { any; };
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
    allow-transfer { none; };
    version none;
};
"""
    return head + "".join(
        f'zone "{zone.name}" {{ type primary; file "{ZONE_FOLDER}/{zone.file}"; }};\n' for zone in every
    )


def _a(owner: str, number: int) -> tuple[Record, Record]:
    """Return both addresses of a name on wan."""
    return (
        Record(owner=owner, type="A", value=str(WAN4[number])),
        Record(owner=owner, type="AAAA", value=v6(WAN6, number)),
    )


def _protected(gateways: range) -> tuple[Record, ...]:
    records = [
        Record(owner="@", type="TXT", value='"v=spf1 mx -all"'),
        *_a("world", WORLD),
        *_a("data", WORLD),
        Record(owner="authority", type="A", value=str(WAN4[AUTHORITY])),
        Record(owner="mail", type="A", value=str(LAN4[MAILHOST])),
        Record(owner="mail", type="AAAA", value=v6(LAN6, MAILHOST)),
    ]
    for n in gateways:
        records.append(Record(owner="@", type="MX", value=f"10 mx{n}"))
        records += _a(f"mx{n}", gateway_number(n))
        records.append(Record(owner=f"mx{n}.lan", type="A", value=str(LAN4[gateway_number(n)])))
        records.append(Record(owner=f"mx{n}.lan", type="AAAA", value=v6(LAN6, gateway_number(n))))
    return tuple(records)


def _sender() -> tuple[Record, ...]:
    return (
        *_a("@", 10),
        Record(owner="@", type="MX", value="10 client"),
        Record(owner="@", type="TXT", value=f'"v=spf1 ip4:{WAN4[10]} ip4:{WAN4[11]} -all"'),
        *_a("client", 10),
        *_a("relay", 11),
        *_a("listed", LISTED),
        *_a("allowed", ALLOWED),
    )


def _spoof() -> tuple[Record, ...]:
    return (
        *_a("@", NAMELESS),
        Record(owner="@", type="MX", value="10 mx"),
        *_a("mx", NAMELESS),
        *_a("host-71.dsl", DIALUP),
    )


def _partner(partner: Partner, key: str) -> tuple[Record, ...]:
    return tuple(
        Record(owner=owner, type=kind, value=value)
        for owner, kind, value in partner.records(key or "11" * 32)
    )


def _reverse(gateways: range) -> tuple[Zone, ...]:
    wan = {
        10: f"client.{SENDER}",
        11: f"relay.{SENDER}",
        LISTED: f"listed.{SENDER}",
        ALLOWED: f"allowed.{SENDER}",
        DIALUP: DIALUP_NAME,
        WORLD: f"world.{DOMAIN}",
    }
    wan |= {gateway_number(n): f"mx{n}.{DOMAIN}" for n in gateways}
    lan = {MAILHOST: f"mail.{DOMAIN}"} | {gateway_number(n): f"mx{n}.lan.{DOMAIN}" for n in gateways}
    made = []
    for net4, net6, hosts in ((WAN4, WAN6, wan), (LAN4, LAN6, lan)):
        zone4 = net4[0].reverse_pointer.partition(".")[2]
        zone6 = _zone_of(net6)
        made.append(Zone(name=zone4, records=tuple(_ptr(str(n), name) for n, name in hosts.items())))
        made.append(
            Zone(
                name=zone6,
                records=tuple(
                    _ptr(ip_address(v6(net6, n)).reverse_pointer.removesuffix(f".{zone6}"), name)
                    for n, name in hosts.items()
                ),
            )
        )
    return tuple(made)


def _zone_of(network: IPv6Network) -> str:
    labels = network[0].reverse_pointer.split(".")
    return ".".join(labels[(128 - network.prefixlen) // 4 :])


def _ptr(owner: str, name: str) -> Record:
    return Record(owner=owner, type="PTR", value=f"{name}.")


def _delegating(zone: Zone, every: Sequence[Zone]) -> Zone:
    """Return a zone with the delegations (RFC 1034 4.2.1, RFC 4035 2.4) of those right below it, and of a dead one."""
    below = [each for each in every if each.name != zone.name and _parent(each, every) is zone]
    made = [Record(owner=f"{each.name}.", type="NS", value=f"world.{DOMAIN}.") for each in below]
    made += [
        Record(owner=f"{each.name}.", type="DS", value=dnssec.anchor(each.name))
        for each in below
        if each.signed
    ]
    if zone.name == ".":
        made.append(Record(owner=f"{DEAD_LIST}.", type="NS", value=f"{DEAD_LIST.replace('dead', 'gone')}."))
    return replace(zone, records=(*made, *zone.records))


def _parent(zone: Zone, every: Sequence[Zone]) -> Zone:
    """Return the zone that a zone is delegated from: the longest name that it ends with, or the root."""
    above = [each for each in every if zone.name.endswith(f".{each.name}")]
    return max(above, key=lambda each: len(each.name), default=every[0])
