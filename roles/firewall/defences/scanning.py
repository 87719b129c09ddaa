"""Scans: who tries closed ports is noticed by the kernel and kept out for a while."""

from ipaddress import ip_network

from roles.defence import Defence
from roles.firewall.defences.base import Rules, both, each, hashlimit, logged, sources
from roles.firewall.defences.services import unlimited
from roles.firewall.sets import BANNED, MEMBERS, PROBED, SETS
from roles.firewall.settings import Network, parsed
from roles.forms import is_address
from roles.kinds import HostAnswer
from roles.settings import Gateway


def never_banned(gateway: Gateway) -> tuple[Network, ...]:
    """Return the networks that no scan of theirs has banned: administrators', own ones, whom no limit bounds."""
    # `[192.0.2.1]:25`, and of IPv6 `[ipv6:2001:db8::1]` (transport(5)); names have addresses that change.
    hops = (hop.lower().partition("]")[0].strip("[").removeprefix("ipv6:") for hop in gateway.every_next_hop)
    addresses = [ip_network(hop) for hop in hops if is_address(hop)]
    return tuple(
        dict.fromkeys(
            (*parsed(gateway.firewall.never_banned), *unlimited(gateway), *sorted(addresses, key=str))
        )
    )


def _noticed(family: int) -> Rules:
    """Return the rules that count the different closed ports that one source tries."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        if not gateway.firewall.ban_seconds:
            return ()
        many = hashlimit("scan", family, "10/min", gateway.firewall.scan_ports)
        return (
            *(f"{network}-j RETURN" for network in sources(never_banned(gateway), family)),
            f"-m set --match-set {PROBED[family]} src,dst -j RETURN",
            f"-j SET --add-set {PROBED[family]} src,dst --exist",
            f"{many} -j banned",
        )

    return rules


def _banned(family: int) -> Rules:
    """Return the rule that bans a source, each time anew."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        seconds = gateway.firewall.ban_seconds
        return (f"-j SET --add-set {BANNED[family]} src --exist --timeout {seconds}",) if seconds else ()

    return rules


def _kept_out(family: int) -> Rules:
    return lambda gateway: (
        (f"-m set --match-set {BANNED[family]} src -j DROP",) if gateway.firewall.ban_seconds else ()
    )


KEPT_OUT = Defence(
    id="firewall.bans",
    title="Who scanned is kept out for a while; connections that stand, and administrators, never are",
    why="A scan comes before an attack, and automatic attacks go on to the next host when nothing answers.",
    rows=("H04",),
    sets=each("INPUT", _kept_out),
    unseen="The audit does not have itself banned; the acceptance tests do.",
    weight=4,
)
SCANS = Defence(
    id="firewall.scans",
    title="Who tries many closed ports is noticed by the kernel itself",
    why="A detector that reads a log can be fed forged lines and falls behind in a flood; the kernel counts each source's "
    "different ports as they are tried. Senders can be forged, so bans are short and whole networks can be left out.",
    rows=("H03", "H04"),
    sets=(
        # Neighbours call into the whole link for services that are none of ours.
        *both("INPUT", "-m pkttype --pkt-type broadcast -j DROP", "-m pkttype --pkt-type multicast -j DROP"),
        *both("INPUT", "-j scanned"),
        *logged("scanned", "in"),
        *each("scanned", _noticed),
        *logged("banned", "scan"),
        *each("banned", _banned),
        HostAnswer(
            subject="sets of bans and tried ports",
            command="ipset list -t | awk '/^Name: bastide-/ { n = $2 } /^Type:/ { t = $2 } "
            '/^Header:/ && n { for (i = 1; i < NF; i++) if ($i == "maxelem") print n, t, $(i + 1); n = "" }\' | sort',
            matches="\n".join(sorted(f"{line.split()[1]} {line.split()[2]} {MEMBERS}" for line in SETS)),
            refuted_by="",
        ),
    ),
    unseen="The audit does not have itself banned; the acceptance tests do.",
    weight=4,
)
