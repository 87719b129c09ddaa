"""The ruleset: its canonical text, made of the records. Pure; roles/firewall/loading.py puts it into the kernel."""

from collections.abc import Sequence
from ipaddress import ip_network

from roles.defence import Defence
from roles.firewall.link import advertised, asked, leased
from roles.kinds import ChainPolicy, FirewallRule
from roles.settings import Gateway

# netfilter-persistent(8) loads rules.v4 and rules.v6 from here.
BOOT_DIRECTORY = "/etc/iptables"
CHAINS = ("INPUT", "FORWARD", "OUTPUT")


def ruleset(defences: Sequence[Defence], gateway: Gateway, family: int) -> str:
    """Return the filter table of one family as iptables-save(8) prints it, without counters.

    In each chain the order is the records'; our own chains come behind the kernel's, by name. Every rule carries its
    defence's id as a comment.
    """
    policies = {
        setting.chain: setting.policy
        for defence in defences
        for setting in defence.sets
        if isinstance(setting, ChainPolicy) and setting.family == family
    }
    found: dict[str, list[str]] = {chain: [] for chain in CHAINS}
    for defence in defences:
        for setting in defence.sets:
            if isinstance(setting, FirewallRule) and setting.family == family:
                found.setdefault(setting.chain, []).extend(
                    f"-A {setting.chain} {_commented(rule, defence.id)}" for rule in setting.rules(gateway)
                )
    own = sorted(found.keys() - set(CHAINS))
    head = [f":{chain} {policies[chain]} [0:0]" for chain in CHAINS] + [f":{chain} - [0:0]" for chain in own]
    rules = [rule for chain in (*CHAINS, *own) for rule in found[chain]]
    return "\n".join(["*filter", *head, *rules, "COMMIT", ""])


def _commented(rule: str, text: str) -> str:
    """Put the comment where iptables-save prints it: behind the matches, before the target."""
    match, _, target = rule.rpartition("-j ")
    return f'{match}-m comment --comment "{text}" -j {target}'


def canonical(text: str) -> list[str]:
    """Return the lines of an iptables-save text that say something: no comments, no counters."""
    kept = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [line.split(" [")[0] if line.startswith(":") else line for line in kept]


def closed(gateway: Gateway, family: int) -> str:
    """Return a filter table that needs nothing of the host: administrators get in, replies pass, no more but what keeps its addresses.

    It names no user and no set, so nothing that is missing keeps the kernel from taking it.
    """
    admins = [ip_network(each) for each in gateway.admin_networks]
    neighbours = [f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT" for kind in (135, 136)]
    known = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    inward = [
        "-i lo -j ACCEPT",
        known,
        *(
            f"-s {network} -p tcp -m tcp --dport {gateway.sshd_port} -m conntrack --ctstate NEW -j ACCEPT"
            for network in admins
            if network.version == family
        ),
    ]
    outward = ["-o lo -j ACCEPT", known]
    if family == 6:  # noqa: PLR2004 - the family
        inward += [*neighbours, *advertised(gateway)]
        outward += [*neighbours, *asked(gateway)]
    inward += leased(gateway, family, "INPUT")
    outward += leased(gateway, family, "OUTPUT")
    rules = [*(f"-A INPUT {rule}" for rule in inward), *(f"-A OUTPUT {rule}" for rule in outward)]
    return "\n".join(["*filter", *(f":{chain} DROP [0:0]" for chain in CHAINS), *rules, "COMMIT", ""])
