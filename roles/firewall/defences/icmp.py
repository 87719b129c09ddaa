"""ICMP: what a host needs of it (RFC 4890 4.4 for hosts' own firewalls; RFC 1191, RFC 792), and no more."""

from roles.defence import Defence
from roles.firewall.defences.base import FAMILIES, fixed, hashlimit
from roles.firewall.link import advertised, hears_routers
from roles.kinds import FirewallRule

# Echo a second from one source: enough for any tool that people use.
_ECHO = "10/sec"
_BURST = 20
# A host on a link lives by these; a router in between would have counted the hop limit down (RFC 4861 7.1, RFC 3971).
_NEIGHBOURS = (135, 136)
# RFC 4890 4.4.1: a host that does not hear its listener queries is forgotten by switches that snoop (RFC 2710, RFC 3810).
_LISTENERS = (130,)
# Solicitations and advertisements of neighbours, solicitations of routers, reports of listeners (both versions): the kernel's.
_OUT = (131, 132, 133, 135, 136, 143)
# Who looks for a fault is root; an echo carries whatever its sender likes, and every user may send one (ping_group_range).
_ASKED = "-m limit --limit 5/sec --limit-burst 20 -m owner --uid-owner root -j ACCEPT"

_MATCH = {4: "-p icmp -m icmp --icmp-type 8", 6: "-p ipv6-icmp -m icmp6 --icmpv6-type 128"}

ECHO_FLOOD = Defence(
    id="firewall.echo-flood",
    title="Echo requests of one source are answered up to a rate",
    why="A flood of them does not need an answer each. To the kernel requests with one identifier are a connection, whose "
    "packets all pass as soon as one was answered; so each is counted before that is asked.",
    rows=("H04",),
    sets=tuple(
        FirewallRule(
            family=family,
            chain="INPUT",
            rules=fixed(f"{_MATCH[family]} {hashlimit('echo', family, _ECHO, _BURST)} -j DROP"),
        )
        for family in FAMILIES
    ),
    unseen="That too few replies come says nothing to one who cannot tell loss from a limit; the acceptance tests look.",
)
ICMP = Defence(
    id="firewall.icmp",
    title="Echo, neighbour discovery and error messages work, all other ICMP is dropped",
    why="Path MTU discovery and IPv6 die without ICMP (RFC 4890 4.3.1); redirects, router advertisements, timestamps and node "
    "information questions serve an attacker alone. Outwards an echo can carry data: root alone asks, a few a second.",
    rows=("H03",),
    sets=(
        # Errors (RFC 4890 4.4.1: unreachable, too big, time exceeded, parameter problem) are RELATED where they are about a
        # connection of ours, and come in by firewall.stateful; about others they are forged.
        FirewallRule(
            family=4,
            chain="INPUT",
            rules=fixed(
                "-p icmp -m icmp --icmp-type 8 -j ACCEPT",
            ),
        ),
        FirewallRule(family=4, chain="OUTPUT", rules=fixed(f"{_MATCH[4]} {_ASKED}")),
        FirewallRule(
            family=6,
            chain="INPUT",
            rules=fixed(
                "-p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT",
            ),
        ),
        FirewallRule(
            family=6,
            chain="OUTPUT",
            rules=fixed(
                f"{_MATCH[6]} {_ASKED}",
                *(f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT" for kind in _OUT),
            ),
        ),
    ),
    unseen="What ICMP is answered the acceptance tests look at, from the wan side.",
)
NEIGHBOURS = Defence(
    id="firewall.neighbours",
    title="Neighbours on the link are heard, and from farther away nobody passes for one",
    why="IPv6 finds the addresses on a link by ICMP; a hop limit of 255 proves that a packet has passed no router.",
    rows=("H03",),
    sets=(
        FirewallRule(
            family=6,
            chain="INPUT",
            rules=fixed(
                *(
                    f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -m hl --hl-eq 255 -j ACCEPT"
                    for kind in _NEIGHBOURS
                ),
                *(
                    f"-s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT"
                    for kind in _LISTENERS
                ),
            ),
        ),
    ),
    unseen="Seeing it takes a host on the gateway's own link; without it IPv6 would not answer at all.",
    weight=4,
)
ROUTERS = Defence(
    id="firewall.routers",
    title="Routers' advertisements come from the link alone, where a setting has them believed",
    why="The way out that an advertisement gave is gone when its time is over and no new one came in. Who believes routers, by the "
    "setting `hardening.left_out`, hears those of the link, and nobody who only says that he is there.",
    rows=("H03",),
    when=hears_routers,
    sets=(FirewallRule(family=6, chain="INPUT", rules=advertised),),
    unseen="Seeing it takes a router on the gateway's own link; the acceptance tests are one.",
    weight=4,
)
