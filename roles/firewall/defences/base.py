"""What the packet filter's records share: families, chains, how rules are said of both."""

from collections.abc import Callable
from typing import Final

from roles.claims import Answers, Scan, Scanner, Vantage
from roles.firewall.settings import Network
from roles.kinds import FirewallRule
from roles.settings import Gateway

Rules = Callable[[Gateway], tuple[str, ...]]
FAMILIES: Final = (4, 6)
# Of one client's addresses: an IPv6 host has a /64 of its own to choose from.
CLIENT: Final = {4: 32, 6: 64}
NEW: Final = "-m conntrack --ctstate NEW"
SYN: Final = "--tcp-flags FIN,SYN,RST,ACK SYN"
# Of a rule's table of clients: 262,144 of them, some 30 MB, when a flood fills it. What is past its time is looked for twice
# a second.
ROOM: Final = " --hashlimit-htable-size 65536 --hashlimit-htable-max 262144 --hashlimit-htable-gcinterval 500"

# What a host without this filter shows: its closed ports answer with RST.
_OPEN_HOST: Final = Answers(answered=frozenset({22, 25, 80}), declared=frozenset({25}))


def fixed(*rules: str) -> Rules:
    """Return rules that no setting changes."""
    return lambda _gateway: rules


def both(chain: str, *rules: str) -> tuple[FirewallRule, ...]:
    """Return the same rules for both families."""
    return tuple(FirewallRule(family=family, chain=chain, rules=fixed(*rules)) for family in FAMILIES)


def each(chain: str, rules: Callable[[int], Rules]) -> tuple[FirewallRule, ...]:
    """Return the rules that ``rules`` gives for each family."""
    return tuple(FirewallRule(family=family, chain=chain, rules=rules(family)) for family in FAMILIES)


def accepted(rules: Rules) -> Rules:
    """Return the rules with their target: what matches passes."""
    return lambda gateway: tuple(f"{rule} -j ACCEPT" for rule in rules(gateway))


def sources(networks: tuple[Network, ...], family: int) -> tuple[str, ...]:
    """Return the match of each network of one family as a source, no network twice."""
    return tuple(dict.fromkeys(f"-s {network} " for network in networks if network.version == family))


def hashlimit(name: str, family: int, above: str, burst: int, *, room: str = ROOM) -> str:
    """Return the match of a client that is above a rate, in iptables-save's spelling; each name counts for itself.

    A rule whose table is full drops what it cannot count (xt_hashlimit), whatever its target: ``room`` is for a flood.
    """
    mask = f" --hashlimit-srcmask {CLIENT[family]}" if CLIENT[family] != 32 else ""  # noqa: PLR2004 - the default
    return (
        f"-m hashlimit --hashlimit-above {above} --hashlimit-burst {burst} --hashlimit-mode srcip "
        f"--hashlimit-name bastide-{name}{family}{room}{mask}"
    )


def logged(chain: str, word: str) -> tuple[FirewallRule, ...]:
    """Return the rules that log what comes to a chain: little of one source, little of all together.

    A flood of one source leaves room for others in the log, and all floods together do not fill the disk. Of many sources
    only some are counted at all: a table that they filled would end their packets here, before the rules behind this one.
    """

    def rules(family: int) -> Rules:
        one = hashlimit(f"log-{word}", family, "5/min", 5, room="").replace("-above", "-upto")
        return fixed(
            f"-m limit --limit 100/sec --limit-burst 100 {one} -m limit --limit 1/sec --limit-burst 20 "
            f'-j LOG --log-prefix "bastide {word}: "'
        )

    return each(chain, rules)


def scans(scanners: tuple[Scanner, ...], vantages: tuple[Vantage, ...] = ("wan", "lan")) -> tuple[Scan, ...]:
    """Return scans that nothing may answer, of both families, from both sides."""
    return tuple(
        Scan(scanner=scanner, family=family, expects="none", refuted_by=_OPEN_HOST, vantage=vantage)
        for scanner in scanners
        for family in (4, 6)
        for vantage in vantages
    )


def declared(scanner: Scanner) -> tuple[Scan, ...]:
    """Return scans that exactly the declared ports may answer, of both families, from both sides."""
    return tuple(
        Scan(scanner=scanner, family=family, expects="declared", refuted_by=_OPEN_HOST, vantage=vantage)
        for family in (4, 6)
        for vantage in ("wan", "lan")
    )
