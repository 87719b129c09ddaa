"""Kinds of the packet filter: rules, policies, whole tables, in iptables-save's own spelling."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from roles.settings import Gateway

TOOLS = {4: "iptables", 6: "ip6tables"}
# The shell's way to leave comments and counters out of iptables-save's text.
STRIPPED = "sed -e '/^#/d' -e '/^:/s/ \\[.*//'"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """Rules of one chain of the filter table, in iptables-save's own spelling (iptables-extensions(8)).

    ``family`` is 4 or 6. ``rules`` gives the rules' text between ``-A CHAIN`` and the comment, in order, for one
    gateway; the ruleset adds the defence's id as the comment.
    """

    family: int
    chain: str
    rules: Callable[[Gateway], tuple[str, ...]]

    def name(self) -> str:
        return f"IPv{self.family} {self.chain}"

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(self.rules(gateway))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"{TOOLS[self.family]}-save -t filter"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        # The comment is ours and says nothing of what the rule does; all else must stand in the kernel, in order.
        live = [re.sub(r" -m comment --comment \S+", "", line) for line in answer.splitlines()]
        position = 0
        for rule in self.rules(gateway):
            wanted = f"-A {self.chain} {rule}"
            if wanted not in live[position:]:
                return False
            position = live.index(wanted, position) + 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPolicy:
    """The policy of a built-in chain of the filter table: what happens to a packet that no rule matched."""

    family: int
    chain: str
    policy: str

    def name(self) -> str:
        return f"IPv{self.family} {self.chain} policy"

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return f"-P {self.chain} {self.policy}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"{TOOLS[self.family]} -S {self.chain} | head -n 1"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.strip() == self.wanted(gateway)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterTable:
    """The whole filter table of a family: these lines of iptables-save(8), without counters, and no others.

    Asked of the kernel, or, with ``at_boot``, of the file that is loaded when the host starts.
    """

    family: int
    table: Callable[[Gateway], tuple[str, ...]]
    at_boot: str = ""

    def name(self) -> str:
        return f"IPv{self.family} filter table{' at boot' if self.at_boot else ''}"

    def wanted(self, gateway: Gateway) -> str:
        return f"exactly {len(self.table(gateway))} lines"

    def question(self, gateway: Gateway) -> str:
        del gateway
        if self.at_boot:
            return f"{STRIPPED} {self.at_boot}"
        # Through a variable: in a pipe the tool's own failure would go unnoticed.
        return f"table=$({TOOLS[self.family]}-save -t filter) && printf '%s\\n' \"$table\" | {STRIPPED}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return tuple(line.rstrip() for line in answer.splitlines()) == self.table(gateway)
