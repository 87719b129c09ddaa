"""The kernel's network parameters."""

from roles.defence import Defence
from roles.kinds import InterfaceSysctl, Sysctl

_NOT_ECHOED = "The kernel acts on it silently; an outsider cannot tell its absence from a lost packet."


def _per_interface(family: str, key: str, value: str) -> tuple[InterfaceSysctl]:
    """Return a parameter for every interface, those that come later (``default``) and all of them (``all``)."""
    return (InterfaceSysctl(f"net.{family}.conf.*.{key}", value),)


DEFENCES = (
    Defence(
        id="hardening.no-forwarding",
        title="The host routes no packets",
        why="A gateway for mail that also forwards packets is a way around every other control between its networks.",
        rows=("H05",),
        sets=(
            Sysctl("net.ipv4.ip_forward", "0"),
            *_per_interface("ipv4", "forwarding", "0"),
            *_per_interface("ipv6", "forwarding", "0"),
        ),
        unseen="firewall.default-drop drops forwarded packets too, so an outsider sees one answer for both.",
        weight=8,
    ),
    Defence(
        id="hardening.rp-filter",
        title="Packets whose source is not reachable by the way they came are dropped",
        why="A forged source address is the first step of spoofing and of reflected floods (RFC 3704).",
        rows=("H05",),
        sets=_per_interface("ipv4", "rp_filter", "1"),
        unseen=_NOT_ECHOED,
        weight=6,
    ),
    Defence(
        id="hardening.no-redirects",
        title="ICMP redirects are neither believed nor sent",
        why="A redirect lets a neighbour pull the gateway's traffic through himself.",
        rows=("H05",),
        sets=(
            *_per_interface("ipv4", "accept_redirects", "0"),
            *_per_interface("ipv4", "secure_redirects", "0"),
            *_per_interface("ipv4", "send_redirects", "0"),
            *_per_interface("ipv6", "accept_redirects", "0"),
        ),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.no-source-route",
        title="Source-routed packets are dropped",
        why="The sender of a packet must not choose the path that the answer takes.",
        rows=("H05",),
        sets=(
            *_per_interface("ipv4", "accept_source_route", "0"),
            *_per_interface("ipv6", "accept_source_route", "0"),
        ),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.log-martians",
        title="Packets with impossible addresses are logged",
        why="They are either a misrouted network or somebody who tries; both want to be known.",
        rows=("H05",),
        sets=_per_interface("ipv4", "log_martians", "1"),
        unseen="Log lines are written for the administrator; an outsider sees nothing of them.",
        weight=3,
    ),
    Defence(
        id="hardening.syncookies",
        title="A flood of half-open connections does not fill the backlog",
        why="Without SYN cookies a few hundred forged packets a second keep honest senders from connecting (RFC 4987).",
        rows=("H04",),
        sets=(Sysctl("net.ipv4.tcp_syncookies", "1"),),
        unseen="Cookies are only sent under a flood, which the audit does not make.",
        weight=6,
    ),
    Defence(
        id="hardening.rfc1337",
        title="A reset does not end a connection in TIME-WAIT",
        why="A stray or forged RST could let old segments into a new connection (RFC 1337).",
        rows=("H05",),
        sets=(Sysctl("net.ipv4.tcp_rfc1337", "1"),),
        unseen=_NOT_ECHOED,
        weight=2,
    ),
    Defence(
        id="hardening.no-router-advertisements",
        title="IPv6 router advertisements are ignored",
        why="Any neighbour can send one and become the gateway's default route; a server's route is configured.",
        rows=("H05",),
        sets=_per_interface("ipv6", "accept_ra", "0"),
        unseen=_NOT_ECHOED,
    ),
    Defence(
        id="hardening.no-broadcast-echo",
        title="Broadcast echo and bogus ICMP errors are ignored",
        why="Answering a broadcast makes the host an amplifier for floods against others.",
        rows=("H05",),
        sets=(
            Sysctl("net.ipv4.icmp_echo_ignore_broadcasts", "1"),
            Sysctl("net.ipv4.icmp_ignore_bogus_error_responses", "1"),
        ),
        unseen=_NOT_ECHOED,
        weight=3,
    ),
)
