"""What is wrong with settings that have the right type: each with the setting's name and the remedy."""

import ipaddress
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from roles.absent import absent_problems
from roles.dns.published import publish_problems
from roles.dns.settings import dns_problems, list_problems
from roles.filterd import policy
from roles.filterd.settings import ledger_problems
from roles.firewall.settings import firewall_problems
from roles.forms import (
    SMTP_PORT,
    internet_problem,
    is_address,
    is_fqdn,
    is_mail_address,
    network_problem,
)
from roles.hardening.settings import hardening_problems
from roles.integrity.settings import integrity_problems
from roles.mta.directions import direction_problems, hops_problem
from roles.mta.limits import limit_problems
from roles.mta.recipients import recipient_problems
from roles.mta.rule_problems import rules_problems
from roles.mta.sendmail_problems import sendmail_problems
from roles.mta.tls import settings as tls
from roles.reports.settings import report_problems
from roles.updates.settings import update_problems

if TYPE_CHECKING:
    from roles.settings import Gateway

# No administration comes from a network larger than these.
SHORTEST_PREFIX = {4: 8, 6: 16}


def problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for each value that has the right type but cannot be used."""
    yield from absent_problems(gateway)
    yield from _name_problems(gateway)
    yield from _domain_problems(gateway)
    yield from recipient_problems(gateway.recipients, gateway.relay_domains)
    yield from rules_problems(gateway.mta_rules)
    yield from limit_problems(gateway.mta_limits, gateway.relay_networks)
    yield from direction_problems(gateway.outbound, gateway.queue, gateway.relay_domains, gateway.hostname)
    yield from report_problems(gateway.reports)
    yield from update_problems(gateway.updates)
    yield from integrity_problems(gateway.integrity)
    yield from _network_problems(gateway)
    yield from firewall_problems(gateway)
    yield from _process_problems(gateway)
    yield from _database_problems(gateway)
    yield from _policy_problems(gateway)
    yield from ledger_problems(gateway.ledger, gateway.platform)
    yield from _dns_problems(gateway)
    yield from tls.problems(gateway)
    yield from sendmail_problems(gateway)
    yield from hardening_problems(gateway)


def _name_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    if not is_fqdn(gateway.hostname):
        yield (
            "hostname",
            f"{gateway.hostname!r} is not a fully qualified host name; write it like mx1.example.org",
        )
    if gateway.hostname.lower() in {domain.lower() for domain in gateway.relay_domains}:
        yield (
            "hostname",
            f"{gateway.hostname!r} is a relayed domain as well; the gateway needs a name of its own",
        )
    if gateway.administrator and not is_mail_address(gateway.administrator):
        yield (
            "administrator",
            f"{gateway.administrator!r} is not a mail address; write it like postmaster@example.org",
        )
    elif odd := re.search(r"[^\w.+=@-]", gateway.administrator):
        yield (
            "administrator",
            f"{gateway.administrator!r} has {odd[0]!r}, which means something else to m4 and to shells; name an alias without",
        )
    if gateway.administrator.rpartition("@")[2].lower() == gateway.hostname.lower():
        yield (
            "administrator",
            f"{gateway.administrator!r} is on the gateway itself, which keeps no mailboxes; name one elsewhere",
        )


def _domain_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    for domain, hop in gateway.relay_domains.items():
        if not is_fqdn(domain) or domain != domain.lower():
            yield "relay_domains", f"{domain!r} is not a domain name in lower case; write it like example.org"
        if problem := hops_problem(hop, domain, gateway.relay_domains, gateway.hostname):
            yield "relay_domains", problem


def _process_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    if gateway.sshd_port == SMTP_PORT:
        yield "sshd_port", "port 25 is the MTA's; sshd needs another one"
    served = min(gateway.clamd_threads, gateway.spamd_children)
    if gateway.filterd_workers > served:
        yield (
            "filterd_workers",
            f"{gateway.filterd_workers} workers, but the engines serve {served} messages at a time",
        )


def _network_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    for network in gateway.admin_networks:
        if problem := _network_problem(network):
            yield "admin_networks", problem
    for resolver in gateway.resolvers:
        if not is_address(resolver):
            yield "resolvers", f"{resolver!r} is not an IP address"


def _dns_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    yield from dns_problems(gateway.dns)
    yield from publish_problems(gateway.publish)
    yield from list_problems(gateway.dnsbl, gateway.dnsbl_threshold, gateway.dnsbl_allow, gateway.resolvers)
    if not gateway.postscreen and gateway.mta == "postfix" and (gateway.dnsbl or gateway.postscreen_deep):
        problem = (
            "it is off, but `dnsbl` or `postscreen_deep` is set, and under Postfix it is postscreen that asks"
        )
        yield "postscreen", f"{problem}; switch it on or empty those"


def _policy_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    for network in gateway.internal_networks:
        if problem := network_problem(network):
            yield "internal_networks", problem
            return
    # By these mail is outbound, and so is that of `relay_networks`.
    if problem := internet_problem(gateway.outbound_networks):
        yield "internal_networks", problem
        return
    if gateway.notify_admin and not is_mail_address(gateway.notify_admin):
        yield (
            "notify_admin",
            f"{gateway.notify_admin!r} is not a mail address; write it like postmaster@example.org",
        )
        return
    if found := policy.problem(
        gateway.filterd_policy,
        precision=gateway.spam_precision,
        internal_networks=gateway.outbound_networks,
        admin=gateway.notify_admin_address,
    ):
        yield "filterd_policy", found


def _database_problems(gateway: "Gateway") -> Iterator[tuple[str, str]]:
    if not gateway.clamav_official_databases and not gateway.clamav_extra_databases:
        yield (
            "clamav_official_databases",
            "without them clamd needs at least one database in `clamav_extra_databases`",
        )
    if mirror := gateway.clamav_private_mirror:
        if not re.fullmatch(r"https?://[!-~]+", mirror):
            yield "clamav_private_mirror", f"{mirror!r} is not an http or https URL"
        elif not gateway.clamav_official_databases:
            yield (
                "clamav_private_mirror",
                "it is for ClamAV's own databases, and `clamav_official_databases` is off; empty one or switch the other on",
            )
    for url in gateway.clamav_extra_databases:
        if not re.fullmatch(r"(https?|file)://[!-~]+", url):
            yield "clamav_extra_databases", f"{url!r} is not an http, https or file URL"


def _network_problem(network: str) -> str:
    """Return what is wrong with an administrators' network, or an empty text."""
    if problem := network_problem(network):
        return problem
    parsed = ipaddress.ip_network(network)
    if parsed.prefixlen < SHORTEST_PREFIX[parsed.version]:
        return f"{network} lets a good part of the internet at sshd; name the networks that administrators come from"
    return ""
