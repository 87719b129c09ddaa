"""The records that gateways and their domains need, made of the settings. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import quote

from msgspec import Struct

from roles.errors import SettingError
from roles.settings import Gateway

TTL_SECONDS = 3600
# RFC 1035 3.3.14: a TXT record is one or more texts of up to 255 octets.
_LONGEST_TEXT = 255
# What `publish` says of a domain, not of the gateway itself: all that relay it must say the same.
_OF_A_DOMAIN = ("spf", "spf_others", "dkim", "dmarc", "mta_sts", "mta_sts_max_age")
_REPORTS = {"DMARC": "administrator_address", "TLS-RPT": "tls_report_address"}


class ContradictionError(SettingError):
    """Gateways of one domain that would publish different things of it; the text names them, the setting and the remedy."""


class Record(Struct, frozen=True, kw_only=True):
    """One record: a name with the dot at its end, and the data as a zone file has it (RFC 1035 5), TXT without quotes.

    ``about`` says in a few words what it is for.
    """

    owner: str
    type: str
    value: str
    about: str

    def line(self) -> str:
        """Return the record's line of a zone file."""
        return f"{self.owner} {TTL_SECONDS} IN {self.type} {self.data()}"

    def data(self) -> str:
        """Return the data in a zone file's words."""
        if self.type != "TXT":
            return self.value
        parts = (self.value[at : at + _LONGEST_TEXT] for at in range(0, len(self.value), _LONGEST_TEXT))
        return " ".join(f'"{part}"' for part in parts)


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that is to be published: records, the text of each domain's MTA-STS policy, and what cannot be told for sure."""

    records: tuple[Record, ...]
    policies: dict[str, str]
    lacking: tuple[str, ...]


def plan(gateways: Sequence[Gateway], keys: Mapping[str, Sequence[str]]) -> Plan:
    """Return what is to be published of these gateways together; a domain's MX records name all that relay it.

    ``keys`` are SHA-256 digests (hexadecimal) of certificates' public keys by the gateway's name, for DANE; a gateway whose
    key is about to change has two, since the new one must be known before it is used (RFC 7671 8.1).
    Raises ContradictionError where gateways of one domain do not agree on it.
    """
    domains = sorted({domain for gateway in gateways for domain in gateway.domains})
    records: list[Record] = []
    for gateway in gateways:
        records += _of_gateway(gateway, keys.get(gateway.hostname, ()))
    policies: dict[str, str] = {}
    lacking = list(_lacking(gateways, keys))
    for domain in domains:
        serving = [gateway for gateway in gateways if domain in gateway.relay_domains]
        _agreed(domain, serving)
        lacking += _divided(domain, serving)
        records += _of_domain(domain, serving)
        if serving[0].publish.mta_sts != "none":
            policies[domain] = policy(serving)
    return Plan(records=tuple(records), policies=policies, lacking=tuple(lacking))


def _agreed(domain: str, gateways: Sequence[Gateway]) -> None:
    """Raise ContradictionError unless all say the same of a domain: what is published would hang on their order."""
    first = gateways[0]
    for other in gateways[1:]:
        for name in _OF_A_DOMAIN:
            one, two = getattr(first.publish, name), getattr(other.publish, name)
            if one != two:
                # Keys are too long for a sentence.
                said = "" if name == "dkim" else f" ({_written(one)} and {_written(two)})"
                raise ContradictionError(
                    f"{domain}: {first.hostname} and {other.hostname} relay it and differ in `publish.{name}`{said}; "
                    "give both the same"
                )


def _written(value: object) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def _divided(domain: str, gateways: Sequence[Gateway]) -> Iterator[str]:
    """Give a sentence for each kind of report that gateways of a domain would have sent to different addresses."""
    first = gateways[0]
    for kind, name in _REPORTS.items():
        chosen = getattr(first, name)
        other = next((each for each in gateways if getattr(each, name).lower() != chosen.lower()), None)
        if other is not None:
            setting = "`administrator`" if kind == "DMARC" else "`tls.report_address`"
            yield (
                f"{domain}: {kind} reports go to {chosen} as {first.hostname} says, not to {getattr(other, name)} as "
                f"{other.hostname} does; give both the same {setting}"
            )


def policy(gateways: Sequence[Gateway]) -> str:
    """Return an MTA-STS policy (RFC 8461 3.2), to be served as https://mta-sts.DOMAIN/.well-known/mta-sts.txt."""
    settings = gateways[0].publish
    lines = [
        "version: STSv1",
        f"mode: {settings.mta_sts}",
        *(f"mx: {name}" for name in sorted(gateway.hostname for gateway in gateways)),
        f"max_age: {settings.mta_sts_max_age}",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _of_gateway(gateway: Gateway, keys: Sequence[str]) -> Iterator[Record]:
    name = f"{gateway.hostname}."
    for text in gateway.publish.addresses:
        address = ip_address(text)
        kind = "A" if address.version == 4 else "AAAA"  # noqa: PLR2004 - the protocol's own number
        yield Record(owner=name, type=kind, value=str(address), about="the gateway's address")
        yield Record(
            owner=f"{address.reverse_pointer}.",
            type="PTR",
            value=name,
            about="the address's name, set by who leases it",
        )
    # It greets with its own name, and its bounces have no other sender (RFC 7208 2.4).
    yield Record(owner=name, type="TXT", value="v=spf1 a -all", about="SPF of the gateway's own name")
    for key in dict.fromkeys(keys):
        # RFC 7672 3.1.1: the end entity's public key, so that a renewed certificate with the same key needs no change.
        yield Record(
            owner=f"_25._tcp.{name}",
            type="TLSA",
            value=f"3 1 1 {key}",
            about="DANE: the gateway's public key",
        )


def _of_domain(domain: str, gateways: Sequence[Gateway]) -> Iterator[Record]:
    settings, name = gateways[0].publish, f"{domain}."
    for gateway in gateways:
        yield Record(
            owner=name,
            type="MX",
            value=f"{gateway.publish.preference} {gateway.hostname}.",
            about="mail comes by the gateway",
        )
    terms = " ".join(["v=spf1", "mx", *settings.spf, settings.spf_others])
    yield Record(owner=name, type="TXT", value=terms, about="SPF: who sends in the domain's name")
    for selector, key in sorted(settings.dkim.items()):
        kind, data = ("ed25519", key[8:]) if key.startswith("ed25519:") else ("rsa", key)
        yield Record(
            owner=f"{selector}._domainkey.{name}",
            type="TXT",
            value=f"v=DKIM1; k={kind}; p={data}",
            about="DKIM: the key that signatures are checked with",
        )
    reports = _mailto(gateways[0].administrator_address)
    yield Record(
        owner=f"_dmarc.{name}",
        type="TXT",
        value=f"v=DMARC1; p={settings.dmarc}; rua={reports}",
        about="DMARC: what becomes of mail that fails both",
    )
    asked = gateways[0].administrator_address.rpartition("@")[2].lower()
    if not _within(domain, asked) and not _within(asked, domain):
        # RFC 7489 7.1: else whoever is named would be sent the reports of others, and so gets none.
        yield Record(
            owner=f"{domain}._report._dmarc.{asked}.",
            type="TXT",
            value="v=DMARC1",
            about="DMARC: another domain's reports are welcome here",
        )
    if settings.mta_sts != "none":
        # RFC 8461 3.1: another id whenever the policy changes; of its text, so that nobody has to remember that.
        number = hashlib.sha256(policy(gateways).encode()).hexdigest()[:16]
        yield Record(
            owner=f"_mta-sts.{name}",
            type="TXT",
            value=f"v=STSv1; id={number}",
            about="MTA-STS: there is a policy",
        )
    yield Record(
        owner=f"_smtp._tls.{name}",
        type="TXT",
        value=f"v=TLSRPTv1; rua={_mailto(gateways[0].tls_report_address)}",
        about="TLS-RPT: where reports go",
    )


def _mailto(address: str) -> str:
    """Return an address as a URI (RFC 6068 2) that stands in a record: `!` and `,` mean something there (RFC 7489 6.2)."""
    local_part, _, domain = address.rpartition("@")
    escaped = quote(local_part, safe="$'*+")
    return f"mailto:{escaped}@{domain}"


def _within(name: str, domain: str) -> bool:
    """Say whether a name is a domain's or below it."""
    return name == domain or name.endswith(f".{domain}")


def _lacking(gateways: Sequence[Gateway], keys: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for gateway in gateways:
        if not gateway.publish.addresses:
            yield f"{gateway.hostname}: `publish.addresses` is empty, so its A, AAAA and PTR records cannot be told"
        if gateway.hostname not in keys:
            yield f"{gateway.hostname}: no certificate was given (--certificate), so its TLSA record cannot be told"
        if not gateway.publish.dkim:
            yield f"{gateway.hostname}: `publish.dkim` is empty; <selector>._domainkey of each domain is the slot for its keys"
