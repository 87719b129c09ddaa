"""Target: one gateway of the inventory, as the audit needs it."""

import ipaddress
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from audit.errors import AuditError, UnseenError
from audit.place import V4, V6, Place
from roles.errors import SettingError
from roles.settings import Gateway

ByFamily = dict[int, str]


class Stands(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``audit_*`` data of a host.

    ``vantage``: side of the gateway to where it is entered, ``netns:NAME`` or ``here``. ``address`` and ``source``:
    side to the gateway's and to our address, by IP version. ``recorder``: directory of the next hop's records.
    ``sender``, ``recipient``, ``helo``: the envelope of sample messages; by default the null sender, the first relay
    domain's postmaster (RFC 5321 4.5.1: it exists) and our address as a literal.
    ``outside``: a mailbox elsewhere whose domain exists, which hosts inside may name; nothing is sent to it.
    ``authorities``: a file, on this machine, with authorities that scanners trust beside the public ones (`audit.scanners`).
    """

    vantage: dict[str, str] = {}
    address: dict[str, ByFamily] = {}
    source: dict[str, ByFamily] = {}
    recorder: str = ""
    sender: str = ""
    recipient: str = ""
    helo: str = ""
    outside: str = ""
    authorities: str = ""


class Target(Struct, frozen=True, kw_only=True):
    """One gateway: its inventory name, its settings, how to reach it and from where to look at it."""

    name: str
    gateway: Gateway
    stands: Stands
    data: dict[str, Any]

    @classmethod
    def of(cls, name: str, data: Mapping[str, Any]) -> "Target":
        """Return the target of one host's inventory data; AuditError says which setting cannot be used."""
        own = {key.removeprefix("audit_"): data[key] for key in data if key.startswith("audit_")}
        try:
            # JSON keys are strings: 4 and 6 may come as either.
            stands = msgspec.convert(own, Stands, strict=False)
            gateway = Gateway.of(data)
        except msgspec.ValidationError as error:
            raise AuditError(
                f"{name}: audit_* data: {error}; see audit/target.py for the known names"
            ) from error
        except SettingError as error:
            raise AuditError(f"{name}: {error}") from error
        return cls(name=name, gateway=gateway, stands=stands, data=dict(data))

    @property
    def ssh_address(self) -> str:
        """Where ssh goes: host name or address."""
        return str(self.data.get("ssh_hostname") or self.name)

    def entry(self, vantage: str) -> str:
        """Return how a vantage is entered: ``here`` or ``netns:NAME``; UnseenError if none is declared."""
        if vantage == "control":
            return "here"
        entry = self.stands.vantage.get(vantage)
        if entry is None:
            raise UnseenError(f"no {vantage} vantage declared (audit_vantage)")
        return entry

    def place(self, vantage: str, *, thorough: bool = True) -> Place:
        """Return what a probe at ``vantage`` needs to know."""
        control = vantage == "control"
        addresses = {V4: self.ssh_address} if control else self.stands.address.get(vantage, {})
        sources = {} if control else self.stands.source.get(vantage, {})
        domain = self.gateway.domains[0]
        return Place(
            vantage=vantage,
            hostname=self.gateway.hostname,
            domain=domain,
            size_limit=self.gateway.message_size_limit,
            addresses=addresses or {V4: self.ssh_address},
            sources=sources,
            declared={
                family: tuple(sorted(self.gateway.declared_ports(source)))
                for family, source in sources.items()
            },
            sender=self.stands.sender,
            recipient=self.stands.recipient or f"postmaster@{domain}",
            helo=self.stands.helo or _literal(sources),
            outside=self.stands.outside,
            recorder=self.stands.recorder,
            ssh_port=int(self.data.get("ssh_port") or 22),
            ssh_user=str(self.data.get("ssh_user") or ""),
            known_hosts=str(self.data.get("ssh_known_hosts_file") or ""),
            thorough=thorough,
        )


def _literal(sources: Mapping[int, str]) -> str:
    """Return the address literal (RFC 5321 4.1.3) that we greet with."""
    if not sources:
        return "[127.0.0.1]"
    address = ipaddress.ip_address(sources.get(V4) or sources[V6])
    return f"[{address}]" if address.version == V4 else f"[IPv6:{address}]"
