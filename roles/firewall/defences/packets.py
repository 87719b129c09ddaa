"""What every packet is held against before any service is thought of."""

from roles.defence import Defence
from roles.firewall.bogons import DATE, SOURCE, bogons, used_parts
from roles.firewall.defences.base import FAMILIES, Rules, both, declared, each, fixed, logged, scans
from roles.firewall.ruleset import CHAINS
from roles.firewall.settings import parsed
from roles.kinds import ChainPolicy, FirewallRule
from roles.settings import Gateway

LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
_FLAGS = ("FIN,SYN", "FIN,RST", "SYN,RST")


def _strangers(family: int) -> Rules:
    """Return the rules against packets from a network that is at home behind another interface."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        return tuple(
            f"-s {network} ! -i {zone.interface} -j spoofed"
            for zone in gateway.firewall.zones.values()
            for network in parsed(zone.networks)
            if network.version == family
        )

    return rules


def _from_outside(gateway: Gateway) -> tuple[str, ...]:
    """Return the rules that hold what the internet sends against the bogons; without zones that is everything."""
    ways = [f"-i {zone.interface} " for zone in gateway.firewall.outside] or [""]
    return tuple(f"{way}-j bogons" for way in ways)


def _bogons(family: int) -> Rules:
    """Return the rules against bogons: all of them from the internet's zones, or without zones what is never valid."""

    def rules(gateway: Gateway) -> tuple[str, ...]:
        house = bool(gateway.firewall.outside)
        return (
            *(f"-s {network} -j RETURN" for network in used_parts(gateway, family, house=house)),
            *(f"-s {network} -j spoofed" for network in bogons(gateway, family, house=house)),
        )

    return rules


DEFAULT_DROP = Defence(
    id="firewall.default-drop",
    title="What no rule allows is dropped, in and out",
    why="A service that nobody meant to offer, and a connection home that malware opens, are stopped without having been foreseen.",
    rows=("H03",),
    sets=tuple(
        ChainPolicy(family=family, chain=chain, policy="DROP") for family in FAMILIES for chain in CHAINS
    ),
    claims=(*declared("syn"), *scans(("udp",))),
    weight=10,
)
LOOPBACK_OPEN = Defence(
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
                rules=fixed("-i lo -j ACCEPT", f"-s {LOOPBACK[family]} ! -i lo -j spoofed"),
            ),
            FirewallRule(family=family, chain="OUTPUT", rules=fixed("-o lo -j ACCEPT")),
        )
    ),
    unseen="A dropped packet with a forged loopback source leaves nothing that its sender could see.",
    weight=7,
)
ODD_FLAGS = Defence(
    id="firewall.odd-flags",
    title="Flags that no TCP sends are dropped, and their sender is known for a scanner",
    why="NULL, FIN and Xmas scans, and SYN with FIN or RST, look for a filter that forgot them; no honest host sends one.",
    rows=("H03", "H05"),
    sets=(
        *both("INPUT", *(f"-p tcp -m tcp --tcp-flags {flags} {flags} -j odd" for flags in _FLAGS)),
        # RFC 9293 3.10.7: but for the first SYN and a RST each segment has ACK.
        *both("INPUT", "-p tcp -m tcp --tcp-flags SYN,RST,ACK NONE -j odd"),
        *both("odd", "-j scanned", "-j invalid"),
    ),
    claims=scans(("null", "fin", "xmas")),
    weight=4,
)
INVALID = Defence(
    id="firewall.invalid",
    title="Packets that belong to no connection and open none are dropped",
    why="ACK scans tell filtered from open ports by packets of connections that never were.",
    rows=("H03", "H05"),
    sets=(
        *both(
            "INPUT",
            "-m conntrack --ctstate INVALID -j invalid",
            "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j invalid",
        ),
        *logged("invalid", "invalid"),
        *both("invalid", "-j DROP"),
    ),
    claims=scans(("ack",)),
    weight=4,
)
STATEFUL = Defence(
    id="firewall.stateful",
    title="Replies to known connections pass, and nothing else by virtue of looking like one",
    why="Without state a filter must open all high ports for replies; an attacker picks a source port and walks in.",
    rows=("H04",),
    sets=tuple(
        rule
        for chain in ("INPUT", "OUTPUT")
        for rule in both(chain, "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    ),
    claims=declared("fragments"),
    weight=9,
)
SPOOFED = Defence(
    id="firewall.spoofed",
    title="Forged sources are dropped: our own addresses, and those at home behind another interface",
    why="Trust by address is worth what it takes to forge one; a packet from outside cannot come from inside.",
    rows=("H05",),
    sets=(
        *both(
            "INPUT",
            "-m addrtype --src-type LOCAL -j spoofed",
            "-m addrtype --src-type MULTICAST -j spoofed",
        ),
        *each("INPUT", _strangers),
        *logged("spoofed", "spoofed"),
        *both("spoofed", "-j DROP"),
    ),
    unseen="The sender of a forged packet sees no answer, dropped or not; the acceptance tests look at the rules' counters.",
    weight=7,
)
BOGONS = Defence(
    id="firewall.bogons",
    title="Networks that nobody on the internet has are no sources",
    why="What comes from them is forged, or could never be answered; the part of one that a setting names is let in. "
    f"The list is of the {SOURCE}, as of {DATE}.",
    rows=("H05",),
    sets=(*each("INPUT", lambda _family: _from_outside), *each("bogons", _bogons)),
    unseen="The sender of a forged packet sees no answer, dropped or not; the acceptance tests look at the rules' counters.",
    weight=4,
)
