"""Settings of TLS, plain values of the inventory, and what can be wrong with them."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from roles.forms import is_fqdn, is_mail_address, next_hop_port, next_hops

if TYPE_CHECKING:
    from roles.settings import Gateway

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"

Level = Literal["encrypt", "verify", "secure", "dane-only", "fingerprint"]

_PATH = re.compile(r"/[\w.+@-]+(/[\w.+@-]+)*")
# A public key's SHA-256, as `openssl pkey -pubin -outform DER | openssl dgst -sha256 -c` prints it.
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}")
_URL = re.compile(r"https://[!-~]+")
_MATCH = re.compile(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)+")


class Acme(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an ACME authority (RFC 8555) is asked for the certificate; used where ``certificate`` is ``acme``.

    Naming ``acme`` there means that you accept the authority's terms of service.
    """

    directory: Annotated[str, Meta(description="URL of the authority's directory.")] = LETS_ENCRYPT
    email: Annotated[
        str, Meta(description="Contact of the account at the authority; empty: `administrator`.")
    ] = ""
    challenge: Annotated[
        Literal["http-01", "dns-01"],
        Meta(
            description="How control of the name is proved: on port 80, which is then declared open and answers only "
            "while a proof is under way, or by a DNS record that `dns_provider` sets."
        ),
    ] = "http-01"
    dns_provider: Annotated[
        str, Meta(description="The DNS provider, by its code in `lego dnshelp`; only for `dns-01`.")
    ] = ""
    dns_environment: Annotated[
        str,
        Meta(
            description="Path on the gateway of a file of `NAME=value` lines with the provider's credentials, readable by "
            "root alone. It never stands in the inventory."
        ),
    ] = ""
    authorities: Annotated[
        str,
        Meta(
            description="Path on the gateway of the PEM file that the authority's own web server is verified with; empty: "
            "the system's authorities."
        ),
    ] = ""


class NextHopTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What TLS to one domain must be; while the next hop cannot do it, mail waits in the queue and is never sent in clear."""

    level: Annotated[
        Level,
        Meta(
            description="`encrypt`: any certificate; `verify`: its certificate names what its MX record names; `secure`: "
            "its certificate names the domain, or one of `names`; `dane-only`: by TLSA records that DNSSEC proves; "
            "`fingerprint`: one of `fingerprints`."
        ),
    ]
    names: Annotated[
        tuple[str, ...],
        Meta(
            description="Names that the certificate may bear, for `verify` and `secure`; `.example.org` stands for any name below."
        ),
    ] = ()
    fingerprints: Annotated[
        tuple[str, ...],
        Meta(
            description="SHA-256 of certificates or public keys, 32 pairs of hexadecimal digits with colons."
        ),
    ] = ()


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS of both MTAs: the gateway's own certificate, and what is asked of others; docs/tls.md explains it."""

    certificate: Annotated[
        Literal["self-signed", "files", "acme"],
        Meta(
            description="Where the gateway's certificate comes from. Until another is there and found good the gateway "
            "uses one that it signed itself, so that STARTTLS is always offered."
        ),
    ] = "self-signed"
    certificate_file: Annotated[
        str,
        Meta(
            description="For `files`: path on the gateway of the PEM chain, the gateway's own certificate first. "
            "A changed file is checked and taken within the hour."
        ),
    ] = ""
    key_file: Annotated[
        str,
        Meta(description="For `files`: path on the gateway of its PEM key, readable by root alone."),
    ] = ""
    acme: Acme = Acme()
    authorities: Annotated[
        str,
        Meta(
            description="Path on the gateway of the PEM file of authorities that other servers' certificates are verified with."
        ),
    ] = SYSTEM_AUTHORITIES
    mandatory: Annotated[
        dict[str, NextHopTls],
        Meta(
            description="Domains, relayed ones too, to which mail goes by such TLS or not at all: to recipients at the domain itself, "
            "whichever servers its MX records name; a domain below it is another."
        ),
    ] = {}
    mta_sts: Annotated[
        bool,
        Meta(
            description="Heed what other domains publish by MTA-STS (RFC 8461); a daemon of its own fetches it."
        ),
    ] = True
    report_address: Annotated[
        str,
        Meta(
            description="Address that other servers are to send TLS reports to (RFC 8460), published by DNS; empty: `administrator`."
        ),
    ] = ""


def problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for each value of ``tls`` that cannot be used."""
    tls = gateway.tls
    yield from _path_problems(tls)
    if tls.certificate == "files" and not (tls.certificate_file and tls.key_file):
        yield "tls.certificate", "`files` needs `certificate_file` and `key_file`"
    if tls.report_address and not is_mail_address(tls.report_address):
        yield "tls.report_address", f"{tls.report_address!r} is not a mail address"
    if tls.certificate == "acme":
        yield from _acme_problems(tls.acme)
    for domain, wanted in tls.mandatory.items():
        yield from _mandatory_problems(domain, wanted)
    yield from _shared_hop_problems(gateway)
    yield from _smarthost_problems(gateway)
    if gateway.mta == "sendmail":
        yield from _sendmail_problems(gateway)


def _path_problems(tls: Tls) -> Iterator[tuple[str, str]]:
    for name, path in (
        ("certificate_file", tls.certificate_file),
        ("key_file", tls.key_file),
        ("authorities", tls.authorities),
        ("acme.authorities", tls.acme.authorities),
        ("acme.dns_environment", tls.acme.dns_environment),
    ):
        if path and not _PATH.fullmatch(path):
            yield f"tls.{name}", f"{path!r} is not an absolute path; it names a file on the gateway"


def _acme_problems(acme: Acme) -> Iterator[tuple[str, str]]:
    if not _URL.fullmatch(acme.directory):
        yield "tls.acme.directory", f"{acme.directory!r} is not an https URL"
    if acme.email and not is_mail_address(acme.email):
        yield "tls.acme.email", f"{acme.email!r} is not a mail address"
    if acme.challenge == "dns-01" and not re.fullmatch(r"[a-z0-9]+", acme.dns_provider):
        yield "tls.acme.dns_provider", "`dns-01` needs the provider's code; `lego dnshelp` lists them"


def _mandatory_problems(domain: str, wanted: NextHopTls) -> Iterator[tuple[str, str]]:
    setting = "tls.mandatory"
    if not is_fqdn(domain) or domain != domain.lower():
        yield setting, f"{domain!r} is not a domain name in lower case"
    if (wanted.level == "fingerprint") != bool(wanted.fingerprints):
        yield setting, f"{domain}: `fingerprints` and the level `fingerprint` go together"
    if wanted.names and wanted.level not in ("verify", "secure"):
        yield setting, f"{domain}: `names` is for the levels `verify` and `secure`, not `{wanted.level}`"
    for name in wanted.names:
        if not _MATCH.fullmatch(name):
            yield setting, f"{domain}: {name!r} is not a host name, nor one behind a dot"
    for text in wanted.fingerprints:
        if not _FINGERPRINT.fullmatch(text):
            yield setting, f"{domain}: {text!r} is not a SHA-256 fingerprint with colons"


def _sendmail_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Sendmail compares a certificate with one name, and knows neither TLSA records nor fingerprints."""
    for domain, wanted in gateway.tls.mandatory.items():
        if wanted.level in ("dane-only", "fingerprint"):
            yield "tls.mandatory", f"{domain}: Sendmail cannot do `{wanted.level}`; use `secure` with `names`"
        one = len(wanted.names) == 1 and not wanted.names[0].startswith(".")
        if wanted.names and not one:
            yield "tls.mandatory", f"{domain}: Sendmail compares one whole name; give `names` just one"
        hops = next_hops(gateway.relay_domains.get(domain, ""))
        named = len(hops) == 1 and hops[0].startswith("[")
        if wanted.level == "secure" and not wanted.names and not named:
            yield "tls.mandatory", f"{domain}: say by `names` which one name its servers' certificates bear"


def _shared_hop_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Postfix looks TLS policies up by next hop: two domains that share one cannot want two kinds of TLS."""
    wanted: dict[tuple[str, int], tuple[str, str, NextHopTls | None]] = {}
    for domain, text in sorted(gateway.relay_domains.items()):
        mine = gateway.tls.mandatory.get(domain)
        for hop in next_hops(text):
            # However it is written: in capitals, with the port that it has anyway.
            port = next_hop_port(hop)
            server = (hop.removesuffix(f":{port}").lower(), port)
            spelled, other, theirs = wanted.setdefault(server, (hop, domain, mine))
            if mine != theirs:
                problem = f"{domain} and {other} share the next hop {hop} and must be given the same TLS"
                yield "tls.mandatory", problem
            elif mine and hop != spelled:
                problem = (
                    f"{domain} and {other} write one next hop as {hop} and {spelled}; write it in one way"
                )
                yield "tls.mandatory", problem
            if mine:
                yield from _nameless_problems(domain, hop, mine)


def _nameless_problems(domain: str, hop: str, wanted: NextHopTls) -> Iterator[tuple[str, str]]:
    """Give what cannot be asked of a next hop that is an address."""
    if not hop.startswith("[") or is_fqdn(hop[1:].partition("]")[0]):
        return
    if wanted.level in ("verify", "secure") and not wanted.names:
        yield "tls.mandatory", f"{domain}: say by `names` what the certificate of {hop} names"
    if wanted.level == "dane-only":
        yield "tls.mandatory", f"{domain}: `dane-only` needs a next hop with a name, not {hop}"


def _smarthost_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Refuse what would be asked of nobody: where all that goes out goes to one server, a domain's own are not met."""
    for domain in gateway.tls.mandatory:
        if gateway.outbound.smarthost and domain not in gateway.relay_domains:
            yield (
                "tls.mandatory",
                f"{domain}: its mail goes to `outbound.smarthost`, so that TLS to it is that server's matter; leave it out",
            )
