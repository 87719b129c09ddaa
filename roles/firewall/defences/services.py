"""What is open, to whom, and how much of it one client may have."""

from ipaddress import ip_network

from roles.defence import Defence
from roles.firewall.defences.base import (
    NEW,
    SYN,
    Rules,
    accepted,
    each,
    fixed,
    hashlimit,
    logged,
    sources,
)
from roles.firewall.link import leased
from roles.firewall.settings import Network, Service, known_networks, parsed
from roles.kinds import FirewallRule
from roles.settings import Gateway

_MAIL = "-p tcp -m tcp --dport 25"


def _interfaces(gateway: Gateway, service: Service) -> list[str]:
    """Return the match of each interface that a service is open on; one that matches all where no zones are declared."""
    zones = gateway.firewall.zones.values()
    return [f"-i {zone.interface} " for zone in zones if service in zone.services] if zones else [""]


def _from_admins(family: int) -> Rules:
    """Return the rules that let administrators open ssh, one a network of this family and a zone."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        networks = parsed(gateway.admin_networks)
        return tuple(
            f"{network}{way}-p tcp -m tcp --dport {gateway.sshd_port} {NEW}"
            for network in sources(networks, family)
            for way in _interfaces(gateway, "ssh")
        )

    return rules


def _mail_in(gateway: Gateway) -> tuple[str, ...]:
    return tuple(f"{way}{_MAIL} {NEW} -j ACCEPT" for way in _interfaces(gateway, "smtp"))


def _http_in(gateway: Gateway) -> tuple[str, ...]:
    """Return the rule that lets an ACME authority look for its proof (RFC 8555 8.3), where it does so by HTTP."""
    ways = [f"-i {zone.interface} " for zone in gateway.firewall.outside] or [""]
    rules = tuple(f"{way}-p tcp -m tcp --dport 80 {NEW} -j ACCEPT" for way in ways)
    return rules if gateway.proves_by_http else ()


def unlimited(gateway: Gateway) -> tuple[Network, ...]:
    """Return the networks whose connections to port 25 are not counted: those that the MTA does not count either."""
    return tuple(
        dict.fromkeys((*(ip_network(each) for each in gateway.mta_limits.exempt), *known_networks(gateway)))
    )


def _syns(family: int) -> Rules:
    def rules(gateway: Gateway) -> tuple[str, ...]:
        rate = gateway.firewall.syns_per_second
        return (f"{_MAIL} {SYN} {hashlimit('syn', family, f'{rate}/sec', 2 * rate)} -j DROP",)

    return rules


def _counted(family: int) -> Rules:
    """Return the rules that a connection passes once, with the packet that ends its handshake."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        rate = gateway.firewall.connections_per_second
        return (
            *(f"{network}-j RETURN" for network in sources(unlimited(gateway), family)),
            f"{hashlimit('smtp', family, f'{rate}/sec', 10 * rate)} -j limited",
            "-j CONNMARK --set-xmark 0x1/0xffffffff",
        )

    return rules


def _early_talk(gateway: Gateway) -> tuple[str, ...]:
    """Return the rule against what is sent over a connection that only the SYN has been answered on, under Sendmail."""
    # The kernel sets PSH at the end of what a program wrote; an empty ACK never has it.
    rule = (
        f"{_MAIL} --tcp-flags PSH PSH "
        "-m connbytes --connbytes 0:1 --connbytes-mode packets --connbytes-dir reply -j REJECT --reject-with tcp-reset"
    )
    return (rule,) if gateway.mta == "sendmail" else ()


EARLY_TALKER = Defence(
    id="firewall.early-talker",
    title="Who speaks SMTP before the gateway does is cut off, before Sendmail says so in words that name it",
    why="To early talkers Sendmail greets with a text that no setting changes, and that service detection knows it by. "
    "Nobody who waits for the greeting (RFC 5321 3.1) meets this rule.",
    rows=("A05", "A20"),
    when=lambda gateway: gateway.mta == "sendmail",
    sets=each("INPUT", lambda _family: _early_talk),
    unseen="mta.early-talker looks at the connection being cut off, mta.anonymous at the words of all replies.",
    weight=4,
)
SSH = Defence(
    id="firewall.ssh",
    title="Only administrators' networks reach sshd",
    why="A service that the internet cannot reach cannot be guessed at, nor attacked by its next flaw.",
    rows=("H03",),
    sets=each("INPUT", lambda family: accepted(_from_admins(family))),
    unseen="firewall.default-drop's scans see port 22 closed from wan and lan; that it is open to administrators shows in each deploy.",
    weight=9,
)
SYN_FLOOD = Defence(
    id="firewall.syn-flood",
    title="The gateway answers no flood of SYN packets to one address",
    why="Who forges a victim's address has the gateway's answers sent there. The bound is far above what any sender needs, for a "
    "forger could use up his victim's share too; against the flood itself stand SYN cookies, which keep no state.",
    rows=("H04",),
    sets=each("INPUT", _syns),
    unseen="Seeing it takes a flood, which an audit does not send; the acceptance tests do, in the lab.",
)
COUNTED = Defence(
    id="firewall.connections",
    title="One client gets so many connections to port 25 a second",
    why="Who opens connections faster than mail can come takes them from others. They are counted when the handshake is "
    "finished: what is forged never comes so far, and uses up nobody's share. The kernel's own count of connections that stand "
    "(connlimit) is made of first packets, which anybody can forge; there the MTA's bounds hold (mta.client-limits).",
    rows=("H04",),
    sets=(
        # A connection that was counted bears a mark; one that was reset is looked at anew with each further packet.
        *each(
            "INPUT",
            lambda _family: fixed(
                f"{_MAIL} -m conntrack --ctstate ESTABLISHED --ctdir ORIGINAL -m connmark --mark 0x0 -j counted"
            ),
        ),
        *each("counted", _counted),
        *logged("limited", "limited"),
        *each("limited", lambda _family: fixed("-p tcp -j REJECT --reject-with tcp-reset")),
    ),
    unseen="Seeing it would take the audit over the limit; the acceptance tests do that in the lab.",
    weight=6,
)
SMTP = Defence(
    id="firewall.smtp",
    title="SMTP is open to everybody",
    why="A gateway that takes mail must be reachable on port 25, and on nothing beside it.",
    rows=("H03", "A01"),
    sets=each("INPUT", lambda _family: _mail_in),
    unseen="firewall.default-drop's scans see exactly this port open.",
    weight=2,
)
ACME = Defence(
    id="firewall.acme",
    title="HTTP is let in only where a certificate's authority looks for its proof there",
    why="A port that is open for good invites a service behind it; here nothing listens but while a proof is under way.",
    rows=("H03",),
    sets=each("INPUT", lambda _family: _http_in),
    unseen="firewall.default-drop's scans see exactly the declared ports open.",
    weight=3,
)


def _dhcp(family: int, chain: str) -> Rules:
    """Return the rules for a DHCP client, where the gateway is one."""
    return lambda gateway: leased(gateway, family, chain)


DHCP = Defence(
    id="firewall.dhcp",
    title="Addresses are leased only where that is declared",
    why="A client that takes leases takes its addresses, and with them its route, from any neighbour who answers first.",
    rows=("H03",),
    sets=tuple(
        FirewallRule(family=family, chain=chain, rules=_dhcp(family, chain))
        for family, chain in ((4, "OUTPUT"), (6, "OUTPUT"), (6, "INPUT"))
    ),
    unseen="Only a DHCP server on the gateway's own link would see its requests.",
)
