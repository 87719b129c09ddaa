"""The packet filter's defences, in the order of the ruleset: the first rule that matches decides."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from roles.claims import Answers, Scan, Scanner, Vantage
from roles.defence import Defence
from roles.firewall.ruleset import BOOT_DIRECTORY, CHAINS, canonical, ruleset
from roles.kinds import ChainPolicy, FilterTable, FirewallRule, HostAnswer, UnitOption
from roles.kinds.packets import TOOLS
from roles.settings import Gateway

Rules = Callable[[Gateway], tuple[str, ...]]
FAMILIES = (4, 6)
LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}

# What a host without this filter shows: its closed ports answer with RST.
_OPEN_HOST = Answers(answered=frozenset({22, 25, 80}), declared=frozenset({25}))


def _fixed(*rules: str) -> Rules:
    """Return rules that no setting changes."""
    return lambda _gateway: rules


def _both(chain: str, *rules: str) -> tuple[FirewallRule, ...]:
    """Return the same rules for both families."""
    return tuple(FirewallRule(family=family, chain=chain, rules=_fixed(*rules)) for family in FAMILIES)


def _from_admins(family: int) -> Rules:
    """Return the rules that let administrators open ssh, one a network of this family."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        networks = [ip_network(network) for network in gateway.admin_networks]
        return tuple(
            f"-s {network} -p tcp -m tcp --dport {gateway.sshd_port} -m conntrack --ctstate NEW"
            for network in networks
            if network.version == family
        )

    return rules


def _to_resolvers(family: int) -> Rules:
    """Return the rules for DNS queries outwards: to the declared resolvers, or to any where none is declared."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        addresses = [ip_address(resolver) for resolver in gateway.resolvers]
        targets = [
            f"-d {address}/{address.max_prefixlen} " for address in addresses if address.version == family
        ]
        return tuple(
            f"{target}-p {protocol} -m {protocol} --dport 53"
            for target in (targets if addresses else [""])
            for protocol in ("udp", "tcp")
        )

    return rules


def _accepted(rules: Rules) -> Rules:
    return lambda gateway: tuple(f"{rule} -j ACCEPT" for rule in rules(gateway))


def _dhcp(family: int, chain: str) -> Rules:
    """Return the rules for a DHCP client (RFC 2131 4.1, RFC 8415 7.2), where the gateway is one."""
    rules = {
        (4, "OUTPUT"): "-p udp -m udp --sport 68 --dport 67",
        (6, "OUTPUT"): "-p udp -m udp --sport 546 --dport 547",
        (6, "INPUT"): "-s fe80::/10 -p udp -m udp --sport 547 --dport 546",
    }
    return lambda gateway: (f"{rules[family, chain]} -j ACCEPT",) if gateway.dhcp else ()


def _whole_table(family: int) -> Rules:
    """Return the lines of the whole table, made of all records of this file."""
    return lambda gateway: tuple(canonical(ruleset(DEFENCES, gateway, family)))


def _mail_out(gateway: Gateway) -> tuple[str, ...]:
    return tuple(
        f"-p tcp -m tcp --dport {port} -m conntrack --ctstate NEW" for port in gateway.next_hop_ports
    )


def _to_directories(gateway: Gateway) -> tuple[str, ...]:
    return tuple(
        f"-p tcp -m tcp --dport {port} -m conntrack --ctstate NEW" for port in gateway.directory_ports
    )


def _http_in(gateway: Gateway) -> tuple[str, ...]:
    """Return the rule that lets an ACME authority look for its proof (RFC 8555 8.3), where it does so by HTTP."""
    rule = "-p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j ACCEPT"
    return (rule,) if gateway.proves_by_http else ()


def _early_talk(gateway: Gateway) -> tuple[str, ...]:
    """Return the rule against what is sent over a connection that only the SYN has been answered on, under Sendmail."""
    # The kernel sets PSH at the end of what a program wrote; an empty ACK never has it.
    rule = (
        "-p tcp -m tcp --dport 25 --tcp-flags PSH PSH "
        "-m connbytes --connbytes 0:1 --connbytes-mode packets --connbytes-dir reply -j REJECT --reject-with tcp-reset"
    )
    return (rule,) if gateway.mta == "sendmail" else ()


def _scans(scanners: tuple[Scanner, ...], vantages: tuple[Vantage, ...] = ("wan", "lan")) -> tuple[Scan, ...]:
    """Return scans that nothing may answer, of both families, from both sides."""
    return tuple(
        Scan(scanner=scanner, family=family, expects="none", refuted_by=_OPEN_HOST, vantage=vantage)
        for scanner in scanners
        for family in (4, 6)
        for vantage in vantages
    )


def _declared(scanner: Scanner) -> tuple[Scan, ...]:
    """Return scans that exactly the declared ports may answer, of both families, from both sides."""
    return tuple(
        Scan(scanner=scanner, family=family, expects="declared", refuted_by=_OPEN_HOST, vantage=vantage)
        for family in (4, 6)
        for vantage in ("wan", "lan")
    )


DEFENCES = (
    Defence(
        id="firewall.default-drop",
        title="What no rule allows is dropped, in and out",
        why="A service that nobody meant to offer, and a connection home that malware opens, are stopped without having been foreseen.",
        rows=("H03",),
        sets=tuple(
            ChainPolicy(family=family, chain=chain, policy="DROP") for family in FAMILIES for chain in CHAINS
        ),
        claims=(*_declared("syn"), *_scans(("udp",))),
    ),
    Defence(
        id="firewall.loopback",
        title="Loopback is open to the host itself, and its addresses come from nowhere else",
        why="Daemons that trust loopback must not meet a packet from outside that claims to come from there.",
        rows=("H05",),
        sets=tuple(
            rule
            for family in FAMILIES
            for rule in (
                FirewallRule(
                    family=family,
                    chain="INPUT",
                    rules=_fixed("-i lo -j ACCEPT", f"-s {LOOPBACK[family]} ! -i lo -j DROP"),
                ),
                FirewallRule(family=family, chain="OUTPUT", rules=_fixed("-o lo -j ACCEPT")),
            )
        ),
        unseen="A dropped packet with a forged loopback source leaves nothing that its sender could see.",
    ),
    Defence(
        id="firewall.invalid",
        title="Packets that belong to no connection and open none are dropped",
        why="NULL, FIN, Xmas and ACK scans tell open from closed ports by packets that no honest client sends.",
        rows=("H03", "H05"),
        sets=_both(
            "INPUT",
            "-m conntrack --ctstate INVALID -j DROP",
            "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
        ),
        claims=_scans(("null", "fin", "xmas", "ack")),
    ),
    Defence(
        id="firewall.early-talker",
        title="Who speaks SMTP before the gateway does is cut off, before Sendmail says so in words that name it",
        why="To early talkers Sendmail greets with a text that no setting changes, and that service detection knows it by. "
        "Nobody who waits for the greeting (RFC 5321 3.1) meets this rule.",
        rows=("A05", "A20"),
        when=lambda gateway: gateway.mta == "sendmail",
        sets=tuple(FirewallRule(family=family, chain="INPUT", rules=_early_talk) for family in FAMILIES),
        unseen="mta.early-talker looks at the connection being cut off, mta.anonymous at the words of all replies.",
    ),
    Defence(
        id="firewall.stateful",
        title="Replies to known connections pass, and nothing else by virtue of looking like one",
        why="Without state a filter must open all high ports for replies; an attacker picks a source port and walks in.",
        rows=("H04",),
        sets=tuple(
            rule
            for chain in ("INPUT", "OUTPUT")
            for rule in _both(chain, "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        ),
        claims=_declared("fragments"),
    ),
    Defence(
        id="firewall.icmp",
        title="Echo is answered slowly, neighbour discovery and error messages work",
        why="Path MTU discovery and IPv6 need ICMP; a flood of echo requests does not need an answer each.",
        rows=("H03",),
        sets=(
            FirewallRule(
                family=4,
                chain="INPUT",
                rules=_fixed(
                    "-p icmp -m icmp --icmp-type 8 -m limit --limit 10/sec --limit-burst 20 -j ACCEPT"
                ),
            ),
            FirewallRule(family=4, chain="OUTPUT", rules=_fixed("-p icmp -m icmp --icmp-type 8 -j ACCEPT")),
            # RFC 4890 4.4.1: errors are RELATED; neighbour discovery is not, and dies without these.
            FirewallRule(
                family=6,
                chain="INPUT",
                rules=_fixed(
                    *(
                        f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 255 -j ACCEPT"
                        for kind in (135, 136)
                    ),
                    # A switch that snoops multicast forgets a host that does not hear its queries (RFC 2710 3).
                    "-s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 130 -j ACCEPT",
                    "-p ipv6-icmp -m icmp6 --icmpv6-type 128 -m limit --limit 10/sec --limit-burst 20 -j ACCEPT",
                ),
            ),
            FirewallRule(
                family=6,
                chain="OUTPUT",
                rules=_fixed(
                    *(
                        f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT"
                        for kind in (128, 133, 135, 136, 143)
                    ),
                ),
            ),
        ),
        unseen="That too few echo replies come says nothing to one who cannot tell loss from a limit.",
    ),
    Defence(
        id="firewall.ssh",
        title="Only administrators' networks reach sshd",
        why="A service that the internet cannot reach cannot be guessed at, nor attacked by its next flaw.",
        rows=("H03",),
        sets=tuple(
            FirewallRule(family=family, chain="INPUT", rules=_accepted(_from_admins(family)))
            for family in FAMILIES
        ),
        unseen="firewall.default-drop's scans see port 22 closed from wan and lan; that it is open to administrators shows in each deploy.",
    ),
    Defence(
        id="firewall.smtp",
        title="SMTP is open to everybody, and outwards",
        why="A gateway that takes mail must be reachable on port 25, and on nothing beside it.",
        rows=("H03", "A01"),
        sets=(
            *_both("INPUT", "-p tcp -m tcp --dport 25 -m conntrack --ctstate NEW -j ACCEPT"),
            *(FirewallRule(family=family, chain="OUTPUT", rules=_accepted(_mail_out)) for family in FAMILIES),
        ),
        unseen="firewall.default-drop's scans see exactly this port open.",
    ),
    Defence(
        id="firewall.acme",
        title="HTTP is let in only where a certificate's authority looks for its proof there",
        why="A port that is open for good invites a service behind it; here nothing listens but while a proof is under way.",
        rows=("H03",),
        sets=tuple(FirewallRule(family=family, chain="INPUT", rules=_http_in) for family in FAMILIES),
        unseen="firewall.default-drop's scans see exactly the declared ports open.",
    ),
    Defence(
        id="firewall.egress",
        title="Outwards only DNS, package and signature downloads, and time",
        why="A daemon that is taken over finds no way out but on the few ports that the gateway needs itself.",
        rows=("H03",),
        sets=tuple(
            rule
            for family in FAMILIES
            for rule in (
                FirewallRule(family=family, chain="OUTPUT", rules=_accepted(_to_resolvers(family))),
                FirewallRule(
                    family=family,
                    chain="OUTPUT",
                    rules=_fixed(
                        *(
                            f"-p tcp -m tcp --dport {port} -m conntrack --ctstate NEW -j ACCEPT"
                            for port in (80, 443)
                        ),
                        "-p udp -m udp --dport 123 -j ACCEPT",
                    ),
                ),
            )
        ),
        unseen="Egress is seen from the host; the acceptance tests try connections outwards from there.",
    ),
    Defence(
        id="firewall.directory",
        title="Directories are asked only where one is declared",
        why="A gateway that knows its recipients otherwise has nothing to ask of a directory of the house.",
        rows=("H03",),
        sets=tuple(
            FirewallRule(family=family, chain="OUTPUT", rules=_accepted(_to_directories))
            for family in FAMILIES
        ),
        unseen="Egress is seen from the host; the acceptance tests ask a directory from there.",
    ),
    Defence(
        id="firewall.dhcp",
        title="Addresses are leased only where that is declared",
        why="A client that takes leases takes its addresses, and with them its route, from any neighbour who answers first.",
        rows=("H03",),
        sets=tuple(
            FirewallRule(family=family, chain=chain, rules=_dhcp(family, chain))
            for family, chain in ((4, "OUTPUT"), (6, "OUTPUT"), (6, "INPUT"))
        ),
        unseen="Only a DHCP server on the gateway's own link would see its requests.",
    ),
    Defence(
        id="firewall.log",
        title="Drops are logged, at a rate that cannot fill the disk",
        why="A scan that leaves no trace cannot be noticed; a log that an attacker can flood hides the rest.",
        rows=("H04",),
        sets=tuple(
            rule
            for chain, word in (("INPUT", "in"), ("OUTPUT", "out"))
            for rule in _both(chain, f'-m limit --limit 10/min -j LOG --log-prefix "bastide drop {word}: "')
        ),
        unseen="Log lines are written for the administrator; an outsider sees nothing of them.",
    ),
    Defence(
        id="firewall.nothing-else",
        title="The kernel holds these rules and no others",
        why="One rule added by hand in front of the rest opens everything, and every other rule still stands there.",
        rows=("H03",),
        sets=(
            *(FilterTable(family=family, table=_whole_table(family)) for family in FAMILIES),
            *(
                HostAnswer(
                    subject=f"IPv{family} rules in other tables",
                    # Address translation, say, leads packets past what the filter sees.
                    command=f"tables=$({TOOLS[family]}-save) && "
                    """{ printf '%s' "$tables" | sed '/^\\*filter/,/^COMMIT/d' | grep -c '^-A' || true; }""",
                    matches="0",
                    refuted_by="1",
                )
                for family in FAMILIES
            ),
        ),
        unseen="A rule towards a port that nothing listens on looks like a closed port from outside.",
    ),
    Defence(
        id="firewall.at-boot",
        title="The rules are loaded at boot, before the network is up",
        why="A filter that is gone after the next restart protects until then.",
        rows=("H03",),
        sets=(
            UnitOption(unit="netfilter-persistent.service", option="UnitFileState", value="enabled"),
            *(
                FilterTable(
                    family=family, table=_whole_table(family), at_boot=f"{BOOT_DIRECTORY}/rules.v{family}"
                )
                for family in FAMILIES
            ),
        ),
        unseen="Seen from outside it would take a restart.",
    ),
)
