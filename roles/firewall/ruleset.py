"""The ruleset: its canonical text, made of the records. Pure; roles/firewall/loading.py puts it into the kernel."""

from collections.abc import Iterable

from roles.defence import Defence
from roles.kinds import ChainPolicy, FirewallRule
from roles.settings import Gateway

# netfilter-persistent(8) loads rules.v4 and rules.v6 from here.
BOOT_DIRECTORY = "/etc/iptables"
CHAINS = ("INPUT", "FORWARD", "OUTPUT")


def ruleset(defences: Iterable[Defence], gateway: Gateway, family: int) -> str:
    """Return the filter table of one family as iptables-save(8) prints it, without counters.

    The order of the text is the order of the records; every rule carries its defence's id as a comment.
    """
    policies = {
        setting.chain: setting.policy
        for defence in defences
        for setting in defence.sets
        if isinstance(setting, ChainPolicy) and setting.family == family
    }
    rules = [
        f"-A {chain} {_commented(rule, defence.id)}"
        for chain in CHAINS
        for defence in defences
        for setting in defence.sets
        if isinstance(setting, FirewallRule) and setting.family == family and setting.chain == chain
        for rule in setting.rules(gateway)
    ]
    head = [f":{chain} {policies[chain]} [0:0]" for chain in CHAINS]
    return "\n".join(["*filter", *head, *rules, "COMMIT", ""])


def _commented(rule: str, text: str) -> str:
    """Put the comment where iptables-save prints it: behind the matches, before the target."""
    match, _, target = rule.rpartition("-j ")
    return f'{match}-m comment --comment "{text}" -j {target}'


def canonical(text: str) -> list[str]:
    """Return the lines of an iptables-save text that say something: no comments, no counters."""
    kept = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [line.split(" [")[0] if line.startswith(":") else line for line in kept]
