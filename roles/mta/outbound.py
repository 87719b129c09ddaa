"""Directions as the MTAs' tables and rules: who inside may send as whom, what is told to strangers, what leaves a trace."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import takewhile
from typing import Final

from roles.forms import next_hops
from roles.mta.networks import declared
from roles.settings import Gateway

DIRECTORY: Final = "/etc/postfix/directions"
INSIDE: Final = f"cidr:{DIRECTORY}/inside.cidr"
SENDERS: Final = f"pcre:{DIRECTORY}/senders.pcre"
TRACE: Final = f"pcre:{DIRECTORY}/trace.pcre"
BOUNCES: Final = f"pcre:{DIRECTORY}/bounces.pcre"
STRANGERS: Final = f"pcre:{DIRECTORY}/strangers.pcre"
# The class of restrictions (postconf(5), smtpd_restriction_classes) for hosts inside.
CLASS: Final = "inside_senders"

# Sendmail's table of what the records name: a word that says for what, a colon, and a network's key or a name.
DECLARED: Final = "declared"
# Characters of one expression: compiled it has 64 KiB at most (pcre2limits(3)), and each alternative takes some more.
_PATTERN: Final = 8_000
_NOTICE: Final = "bounce-cleanup"
_RECEIPT: Final = "trace-cleanup"
# Services by their names in master.cf, with the parameters that differ there.
SERVICES: Final[Mapping[str, Mapping[str, str]]] = {
    # Mail for relayed domains leaves by `relay`, so this is what goes out into the world.
    "smtp": {"smtp_header_checks": TRACE},
    "bounce": {"cleanup_service_name": _NOTICE},
    "defer": {"cleanup_service_name": _NOTICE},
    # The checks of headers are made of its notices for this: who asked for a receipt may not be who will get it.
    "trace": {"cleanup_service_name": _RECEIPT, "internal_mail_filter_classes": "bounce"},
    _NOTICE: {"virtual_alias_maps": f"{BOUNCES},texthash:/etc/postfix/virtual"},
    _RECEIPT: {
        "header_checks": STRANGERS,
        "non_smtpd_milters": "",
        "mime_header_checks": "",
        "nested_header_checks": "",
        "body_checks": "",
    },
}


def overrides() -> tuple[str, ...]:
    """Return the answer of `postconf -P` to these services, a line each."""
    return tuple(
        f"{service}/unix/{name} = {value}".strip()
        for service, settings in SERVICES.items()
        for name, value in settings.items()
    )


def restricts_senders(gateway: Gateway) -> bool:
    """Say whether hosts inside may send as the house alone."""
    return bool(gateway.relay_networks) and not gateway.outbound.any_sender


def relayhost(gateway: Gateway) -> str:
    """Return the next hops of what goes out, as `relayhost` has them (Postfix 3.5 and later takes several)."""
    return ", ".join(next_hops(gateway.outbound.smarthost))


def transport(gateway: Gateway) -> dict[str, str]:
    """Return each relayed domain with its mailer and next hops (transport(5))."""
    return {domain: f"relay:{', '.join(next_hops(hops))}" for domain, hops in gateway.relay_domains.items()}


def files(gateway: Gateway) -> dict[str, str]:
    """Return the tables by their names in the directory."""
    made = {
        "bounces.pcre": ("pcre_table(5)", _bounces(gateway)),
        "strangers.pcre": ("pcre_table(5)", _strangers(gateway)),
        "trace.pcre": ("pcre_table(5), header_checks(5)", _trace(gateway)),
    }
    if restricts_senders(gateway):
        made["inside.cidr"] = ("cidr_table(5)", _inside(gateway))
        made["senders.pcre"] = ("pcre_table(5), access(5)", _senders(gateway))
    return {
        name: "".join(
            (
                f"# Written by Bastide; changes are undone by the next deploy. See {manual}.\n",
                *(f"{line}\n" for line in lines),
            )
        )
        for name, (manual, lines) in made.items()
    }


def _together(parts: Iterable[str]) -> Iterator[str]:
    """Give alternatives of regular expressions, as many of the parts together as one compiled expression may hold."""
    found, size = list[str](), 0
    for part in parts:
        if found and size + len(part) > _PATTERN:
            yield "|".join(found)
            found, size = [], 0
        found.append(part)
        size += len(part) + 1
    if found:
        yield "|".join(found)


def _domains(names: Iterable[str]) -> Iterator[str]:
    return _together(re.escape(name) for name in names)


def _strange(gateway: Gateway, end: str, *lines: str) -> Iterator[str]:
    """Give lines that are for what belongs neither to the house nor to the gateway itself; ``end``: what follows its domain."""
    own = list(_domains((*gateway.sender_domains, gateway.hostname)))
    yield from (f"if !/@({names}){end}$/" for names in own)
    yield from lines
    yield from ("endif" for _ in own)


def _inside(gateway: Gateway) -> Iterator[str]:
    yield "# mta.outbound-senders"
    for entry in gateway.relay_networks:
        yield f"{ip_network(entry.network)} {CLASS}"


def _senders(gateway: Gateway) -> Iterator[str]:
    yield "# mta.outbound-senders"
    yield "/^<>$/ OK"
    for names in _domains(gateway.sender_domains):
        yield f"/@({names})$/ OK"
    yield "/^/ REJECT 5.7.1 This sender is none of the house (rule mta.outbound-senders)"


def _bounces(gateway: Gateway) -> Iterator[str]:
    yield "# mta.backscatter: a notice for a stranger goes to who administers the gateway."
    yield from _strange(gateway, "", f"/^/ {gateway.administrator_address}")


def _strangers(gateway: Gateway) -> Iterator[str]:
    yield "# mta.backscatter"
    yield from _strange(gateway, ">?", "/^To:/ DISCARD a receipt for a stranger")


def _trace(gateway: Gateway) -> Iterator[str]:
    networks = [ip_network(network) for network in gateway.outbound_networks]
    if gateway.outbound.hide_trace and networks:
        yield "# mta.outbound-trace: of the line that the gateway itself writes, what names the host inside."
        by = rf"(by {re.escape(gateway.hostname)}\s.*)"
        for addresses in _together(address_pattern(network) for network in networks):
            yield rf"/^Received: from .+ \(\S+ \[(?:{addresses})\]\)\s.*\b{by}$/ REPLACE Received: $1"


def address_pattern(network: IPv4Network | IPv6Network) -> str:
    """Return a regular expression of a network's addresses as a Received line shows them.

    Of an IPv6 network it matches also some of its neighbours': an address has many spellings, and this one looks at the
    whole groups in front of the first that is zero.
    """
    if isinstance(network, IPv6Network):
        groups = network.network_address.exploded.split(":")[: network.prefixlen // 16]
        named = [f"{int(group, 16):x}" for group in takewhile(lambda group: int(group, 16), groups)]
        return "IPv6:" + "".join(f"{group}:" for group in named) + "[0-9a-f:.]*"
    whole, bits = divmod(network.prefixlen, 8)
    octets = [str(octet) for octet in network.network_address.packed[:whole]]
    if bits:
        first = network.network_address.packed[whole]
        octets.append(f"(?:{'|'.join(str(first + more) for more in range(2 ** (8 - bits)))})")
    return r"\.".join([*octets, *[r"\d+"] * (4 - len(octets))])


def senders(gateway: Gateway) -> dict[str, str]:
    """Return the entries of Sendmail's table of who inside may send as whom."""
    return {
        **declared("relaying", (entry.network for entry in gateway.relay_networks)),
        **{f"sender:{name}": "MATCH" for name in gateway.sender_domains},
    }


# Only hosts that may relay are asked; the null sender of bounces is welcome from all.
SENDER_RULES: Final = (
    "R$*\t$: $1 $| $>Declared relaying $| $&{client_addr}",
    "R$* $| MATCH\t$: $1 $| $>PlainSender $1",
    "R$* $| $* @ $+\t$: $1 $| $(declared sender:$3 $: NONE $)",
    'R$* $| NONE\t$#error $@ 5.7.1 $: "554 This sender is none of the house (rule mta.outbound-senders)"',
    "R$* $| $*\t$: $1",
)


def hides(gateway: Gateway) -> bool:
    """Say whether there are hosts inside whose trace is kept from the world."""
    return gateway.outbound.hide_trace and bool(gateway.outbound_networks)


def inside(gateway: Gateway) -> dict[str, str]:
    """Return the entries of Sendmail's table of the hosts whose mail is outbound."""
    return declared("inside", gateway.outbound_networks) if hides(gateway) else {}


def inside_rules(gateway: Gateway) -> tuple[str, ...]:
    """Return the rules that note a host inside for the line that the way out writes."""
    if not hides(gateway):
        return ()
    return (
        "R$*\t$: $1 $| $>Declared inside $| $&{client_addr}",
        "R$* $| MATCH\t$: $1 $(kept {Inside} $@ yes $)",
        "R$* $| NO\t$: $1",
    )


def house(gateway: Gateway) -> dict[str, str]:
    """Return the entries of Sendmail's table of addresses that a notice may go to: those of the house, and who administers it."""
    names = (*gateway.sender_domains, gateway.hostname, gateway.administrator_address)
    return {f"house:{name}": "MATCH" for name in names}


# check_compat is asked at each delivery. What Sendmail writes itself came by no protocol ($r).
NOTICE_RULES: Final = (
    "RMAILER-DAEMON $* $| $*\t$: $2 $| <$&r>",
    "R$* $| <>\t$: NOTICE $| $>CanonAddr $1",
    "RNOTICE $| $* < @ $+ . > $*\t$: NOTICE $| $1 < @ $2 > $3",
    "RNOTICE $| $* < @ $+ > $*\t$: $1@$2 $| $(declared house:$2 $: STRANGER $)",
    "R$* $| STRANGER\t$: $1 $| $(declared house:$1 $: STRANGER $)",
    "R$* $| STRANGER\t$#discard $: discard",
)
