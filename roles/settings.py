"""Gateway: every setting of a gateway, its type, default, unit and meaning.

An inventory holds plain values; ``Gateway.of`` types them on arrival and refuses what it does not know.
docs/settings.md is generated from this file.
"""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta, Struct

from roles.absent import completed
from roles.dns.published import Publish
from roles.dns.settings import BlockList, Dns
from roles.errors import SettingError, explained
from roles.filterd import policy
from roles.filterd.settings import Ledger
from roles.firewall.settings import Firewall, zone_of
from roles.forms import HTTP_PORT, SMTP_PORT, next_hop_port, next_hops
from roles.hardening.settings import Hardening, Level
from roles.integrity.settings import Integrity
from roles.international import in_a_labels, spellings
from roles.mta.directions import Outbound, Queue
from roles.mta.limits import Limits, RelayNetwork
from roles.mta.recipients import Delimiter, RecipientCheck, server_of
from roles.mta.rules import MtaRules
from roles.mta.tls.settings import Tls
from roles.problems import problems
from roles.reports.settings import Reports
from roles.updates.settings import Updates

Mta = Literal["postfix", "sendmail"]
# Rows of roles/platforms.py.
PlatformName = Literal["debian12", "debian13", "el9"]

# Data of the same inventory that is not ours to type: pyinfra's connectors and global arguments (_*), and audit/vantage.py's.
FOREIGN_PREFIXES = ("ssh_", "fake_", "_", "audit_")

# Where the engines listen; the distributions' units and our configuration agree on these.
CLAMD_SOCKET = "/run/clamav/clamd.ctl"
SPAMD_SOCKET = "/run/spamd/spamd.sock"
# Of kept messages; it is made on the gateway and never leaves it.
STORE_KEY = "/etc/filterd/store.key"

Bytes = Annotated[int, Meta(ge=65_536)]


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gateway's settings; a field's ``Meta`` says what it means and in which unit."""

    hostname: Annotated[
        str,
        Meta(description="Fully qualified name that the gateway greets with and signs Received lines with."),
    ]
    mta: Annotated[
        Mta,
        Meta(
            description="The MTA that stands in front. Both pass the same probes; docs/mta.md compares them."
        ),
    ] = "postfix"
    platform: Annotated[
        PlatformName,
        Meta(
            description="What the host runs. A deploy refuses a host that runs another, before it changes anything. What `el9` "
            "cannot have yet docs/platforms.md says."
        ),
    ] = "debian12"
    relay_domains: Annotated[
        dict[str, str],
        Meta(
            description="Domains that the gateway accepts mail for, each with its next hop in the words of transport(5): "
            "`[198.51.100.7]:25`, `[mail.internal.example]` or a domain whose MX is asked. Several stand with commas between "
            "them, in the order in which they are tried. A domain beyond ASCII may be written as it is read.",
            min_length=1,
        ),
    ]
    recipients: Annotated[
        dict[str, RecipientCheck],
        Meta(
            description="By relayed domain, how its mailboxes are known; domains that are not named ask their next hop."
        ),
    ] = {}
    recipient_delimiter: Delimiter = ""
    own_domains_proven: Annotated[
        bool,
        Meta(
            description="Refuse mail from outside with an envelope sender of a relayed domain unless SPF passes for it or DKIM "
            "for an address in From of that domain. List every host that sends in your name in the domain's SPF record first."
        ),
    ] = True
    relay_networks: Annotated[
        tuple[RelayNetwork, ...],
        Meta(description="Networks whose hosts may send anywhere through the gateway; none: nobody's."),
    ] = ()
    outbound: Annotated[Outbound, Meta(description="What those hosts may send, and by which way.")] = (
        Outbound()
    )
    queue: Annotated[Queue, Meta(description="How long mail waits for its next hop.")] = Queue()
    mta_rules: Annotated[
        MtaRules,
        Meta(description="Whom and what the MTA refuses or lets in by name, and what it asks of strangers."),
    ] = MtaRules()
    mta_limits: Annotated[Limits, Meta(description="How much of the gateway one client may have.")] = Limits()
    tls: Annotated[Tls, Meta(description="The gateway's certificate, and what is asked of others.")] = Tls()
    admin_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR, both families) that may open ssh to the gateway. Name the one that you deploy from.",
            min_length=1,
        ),
    ]
    administrator: Annotated[
        str,
        Meta(
            description="Address that gets the gateway's own mail (postmaster, root, abuse); "
            "empty: postmaster at the first relayed domain."
        ),
    ] = ""
    sshd_port: Annotated[
        int,
        Meta(
            ge=1,
            le=65535,
            description="TCP port that sshd listens on, and listened on before the first deploy.",
        ),
    ] = 22
    resolvers: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses of the DNS resolvers that the gateway may ask, and no others; its own resolver passes "
            "its questions on to them. Empty: it asks the name servers of the world itself, from the root on, on port 53."
        ),
    ] = ()
    dns: Annotated[Dns, Meta(description="How the local resolver judges answers.")] = Dns()
    dnsbl: Annotated[
        tuple[BlockList, ...],
        Meta(
            description="Lists of addresses that are asked about each client. Each is tested before it is used, and every "
            "hour: docs/dns.md."
        ),
    ] = ()
    dnsbl_threshold: Annotated[
        int,
        Meta(ge=1, le=1000, description="Points (the sum of `score`) at which a client is refused."),
    ] = 3
    dnsbl_allow: Annotated[
        tuple[str, ...],
        Meta(description="Networks (CIDR) of clients that no list is asked about and no greeting delays."),
    ] = ()
    postscreen: Annotated[
        bool,
        Meta(
            description="Under Postfix: look at each new client before it speaks to the MTA. It waits 6 s for its greeting "
            "once a day, and is cut off if it talks before; lists are asked meanwhile."
        ),
    ] = True
    postscreen_deep: Annotated[
        tuple[Literal["pipelining", "non_smtp_command", "bare_newline"], ...],
        Meta(
            description="Under Postfix: what else a new client is tried for. Each of these makes every new client come "
            "again (450), and mail from big senders late, as they come again from another address."
        ),
    ] = ()
    publish: Annotated[
        Publish, Meta(description="What you publish by DNS, of which `python -m publish` prints the records.")
    ] = Publish()
    dhcp: Annotated[
        bool,
        Meta(
            description="Whether an interface gets its address by DHCP; a gateway's addresses are better static."
        ),
    ] = False
    firewall: Annotated[
        Firewall, Meta(description="The networks around the gateway, and what one client may do to it.")
    ] = Firewall()
    hardening_level: Annotated[
        Level,
        Meta(
            description="How much convenience is given up for safety: `lax` takes what nobody notices, `moderate` what a mail "
            "gateway does not miss, `paranoid` also what makes an administrator's work harder. docs/defences.md names the level "
            "and the cost of each defence."
        ),
    ] = "moderate"
    hardening: Annotated[
        Hardening, Meta(description="What the operating system's defences need to know of your site.")
    ] = Hardening()
    firewall_confirm_seconds: Annotated[
        int,
        Meta(
            ge=15,
            le=600,
            description="Seconds after which a new ruleset, or what else could shut you out, is undone unless a new login confirms it.",
        ),
    ] = 30
    message_size_limit: Annotated[
        Bytes,
        Meta(
            le=1_000_000_000,
            description="Largest message accepted, in bytes; announced by SIZE (RFC 1870). clamd and filterd are sized from it, "
            "so that nothing accepted is too large to be scanned.",
        ),
    ] = 26_214_400
    recipient_limit: Annotated[
        int,
        Meta(
            ge=100,
            le=10_000,
            description="Recipients of one message (RFC 5321 4.5.3.1.8 asks for at least 100).",
        ),
    ] = 100
    spam_precision: Annotated[
        Literal["low", "medium", "high", "very_high"],
        Meta(
            description="How readily mail is taken for spam: the scores of each level are in docs/policy.md; "
            "each level finds all that the one before it finds."
        ),
    ] = "medium"
    internal_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) whose mail is outbound, beside `relay_networks`, and which may send to relayed domains "
            "only; mail from anywhere else is inbound."
        ),
    ] = ()
    reports: Annotated[Reports, Meta(description="The daily report.")] = Reports()
    updates: Annotated[Updates, Meta(description="The nightly updates of the operating system.")] = Updates()
    integrity: Annotated[Integrity, Meta(description="How changes are watched for.")] = Integrity()
    notify_admin: Annotated[
        str,
        Meta(description="Address that gets filterd's notices to the administrator; empty: `administrator`."),
    ] = ""
    filterd_policy: Annotated[
        dict[str, Any],
        Meta(
            description="Your own policy, shaped as filterd.toml is: chains, groups, content rules, modes of rules, "
            "stamps and more; docs/policy.md has the language and examples."
        ),
    ] = {}
    filterd_workers: Annotated[
        int, Meta(ge=0, le=64, description="Milter worker processes; 0: one a processor core.")
    ] = 0
    filterd_store_encrypted: Annotated[
        bool,
        Meta(
            description="Encrypt kept messages on disk. The key is made on the gateway where it is missing "
            "(`/etc/filterd/store.key`) and stays there: back it up apart from the store, which nothing else opens. "
            "Off again only when nothing encrypted is kept any more."
        ),
    ] = False
    ledger: Annotated[Ledger, Meta(description="Where the record of each message is kept.")] = Ledger()
    filterd_metrics_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="TCP port of 127.0.0.1 on which filterd serves `/metrics` and `/health` by HTTP; 0: none, only its "
            "unix socket.",
        ),
    ] = 0
    clamav_official_databases: Annotated[
        bool,
        Meta(
            description="Keep ClamAV's own databases. Off only where `clamav_extra_databases` brings all signatures."
        ),
    ] = True
    clamav_extra_databases: Annotated[
        tuple[str, ...],
        Meta(description="URLs of further signature databases (freshclam.conf(5) DatabaseCustomURL)."),
    ] = ()
    clamav_private_mirror: Annotated[
        str,
        Meta(
            description="URL of a mirror of your own (kept by cvdupdate, say) that ClamAV's own databases come from; empty: "
            "ClamAV's servers, which put off a host that asks too often for hours (HTTP 429)."
        ),
    ] = ""
    clamav_checks_per_day: Annotated[
        int, Meta(ge=1, le=50, description="How often a day freshclam looks for new signatures.")
    ] = 24
    spamd_children: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="SpamAssassin processes; also how many messages filterd hands over at a time.",
        ),
    ] = 4
    clamd_threads: Annotated[
        int,
        Meta(ge=1, le=64, description="clamd threads; also how many messages filterd hands over at a time."),
    ] = 4

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Return the typed settings of one host.

        ``data`` is the host's inventory data, plain values. Raises SettingError that names the setting and the
        remedy, for an unknown name, a missing or ill-typed value, or values that contradict each other.
        """
        own = {key: value for key, value in data.items() if not key.startswith(FOREIGN_PREFIXES)}
        try:
            gateway = msgspec.convert(in_a_labels(completed(own)), cls)
        except msgspec.ValidationError as error:
            raise SettingError(explained(str(error), cls.__struct_fields__)) from error
        for name, problem in problems(gateway):
            raise SettingError(f"setting `{name}`: {problem}")
        return gateway

    def declared_ports(self, source: str) -> frozenset[int]:
        """Return the TCP ports that are open to ``source``, an IP address."""
        address = ipaddress.ip_address(source)
        administers = any(address in ipaddress.ip_network(network) for network in self.admin_networks)
        zones = zone_of(self.firewall, source)
        services = {service for zone in zones for service in zone.services} if zones else {"smtp", "ssh"}
        found = {SMTP_PORT} if "smtp" in services else set()
        if self.proves_by_http and (not zones or any(not zone.networks for zone in zones)):
            found.add(HTTP_PORT)
        return frozenset(found | ({self.sshd_port} if administers and "ssh" in services else set()))

    def open_ports(self, family: int) -> frozenset[str]:
        """Return all ports of one family that are open to anybody, each as ``tcp/25``."""
        administered = any(ipaddress.ip_network(each).version == family for each in self.admin_networks)
        found = {f"tcp/{SMTP_PORT}"} | ({f"tcp/{self.sshd_port}"} if administered else set())
        if self.proves_by_http:
            found.add(f"tcp/{HTTP_PORT}")
        if self.dhcp and family == 6:  # noqa: PLR2004 - the family; DHCPv4 replies pass no rule (RFC 2131 4.1)
            found.add("udp/546")
        return frozenset(found)

    @property
    def proves_by_http(self) -> bool:
        """Whether the certificate's authority looks for proofs on port 80 (RFC 8555 8.3)."""
        return self.tls.certificate == "acme" and self.tls.acme.challenge == "http-01"

    @property
    def administrator_address(self) -> str:
        """The address that gets the gateway's own mail."""
        return self.administrator or f"postmaster@{self.domains[0]}"

    @property
    def tls_report_address(self) -> str:
        """The address that other servers are to send TLS reports to."""
        return self.tls.report_address or self.administrator_address

    @property
    def notify_admin_address(self) -> str:
        """The address that gets filterd's notices to the administrator."""
        return self.notify_admin or self.administrator_address

    def filterd_chain(self, name: str) -> tuple[str, ...]:
        """Return the steps that filterd takes for a class of mail, named as in ``[policy.chains]``."""
        return policy.chain(self.filterd_policy, name)

    def filterd_lines(self, table: str) -> str:
        """Return the operator's own lines of a table of filterd.toml."""
        return policy.lines(self.filterd_policy, table)

    @property
    def filterd_tables(self) -> str:
        """The operator's own tables of filterd.toml."""
        return policy.tables(self.filterd_policy)

    @property
    def next_hop_ports(self) -> tuple[int, ...]:
        """The TCP ports that mail leaves by, in order: SMTP's, and those that next hops name."""
        return tuple(sorted({SMTP_PORT, *(next_hop_port(hop) for hop in self.every_next_hop)}))

    @property
    def every_next_hop(self) -> tuple[str, ...]:
        """The next hops of all relayed domains, and those of what goes out, each as transport(5) writes it."""
        texts = (*self.relay_domains.values(), self.outbound.smarthost)
        return tuple(dict.fromkeys(hop for text in texts for hop in next_hops(text)))

    @property
    def outbound_networks(self) -> tuple[str, ...]:
        """The networks whose mail is outbound: those that may relay are, and what is declared beside them."""
        return tuple(dict.fromkeys((*(one.network for one in self.relay_networks), *self.internal_networks)))

    @property
    def sender_domains(self) -> tuple[str, ...]:
        """The domains of the house, by which its mail is known, as an envelope may name them, in a fixed order."""
        return spellings(self, *sorted({*self.relay_domains, *self.outbound.sender_domains}))

    @property
    def directory_ports(self) -> tuple[int, ...]:
        """The TCP ports by which the MTA asks directories for recipients, in order."""
        servers = (
            server_of(each)
            for check in self.recipients.values()
            if check.ldap is not None
            for each in check.ldap.servers
        )
        return tuple(sorted({server[1] for server in servers if server is not None}))

    @property
    def domains(self) -> tuple[str, ...]:
        """The relayed domains in a fixed order."""
        return tuple(sorted(self.relay_domains))
