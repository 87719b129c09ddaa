"""Kinds of the packet filter: rules, policies, whole tables, in iptables-save's own spelling."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from roles.settings import Gateway

TOOLS = {4: "iptables", 6: "ip6tables"}
# The shell's way to leave comments and counters out of iptables-save's text, and to give users their names: the kernel
# knows them by numbers, which each host has its own of. It reads standard input. One comment stays, as a line that no ruleset
# has: that the table holds what is nft's own, of which iptables-save shows nothing.
STRIPPED = """awk '
NR == FNR { split($0, p, ":"); if (!(p[3] in names)) names[p[3]] = p[1]; next }
/^# Table .*incompatible/ { sub(/^# /, ""); print; next }
/^#/ || /^$/ { next }
/^:/ { sub(/ \\[.*/, "") }
match($0, /--uid-owner [0-9]+ /) {
  id = substr($0, RSTART + 12, RLENGTH - 13)
  if (id in names) $0 = substr($0, 1, RSTART + 11) names[id] substr($0, RSTART + RLENGTH - 1)
}
{ print }' /etc/passwd -"""
# The ports that accepting rules open inwards, as `tcp/25`; a rule that opens no port in particular is shown whole.
_OPENED = """awk '
!/^-A/ || /^-A OUTPUT/ || !/-j ACCEPT$/ || / -i lo / || /--ctstate RELATED,ESTABLISHED/ || /-p (icmp|ipv6-icmp) / { next }
{ p = d = ""
  for (i = 1; i < NF; i++) { if ($i == "-p") p = $(i + 1); if ($i ~ /^--dports?$/) d = $(i + 1) }
  print d == "" ? $0 : p "/" d }' | sort -u | tr '\\n' ' '"""
# What listens elsewhere than on loopback, as `tcp/25(master)`. The resolver asks each question from another port.
_LISTENING = """ss -Hnltup | awk '
{ n = split($5, part, ":"); host = substr($5, 1, length($5) - length(part[n]) - 1)
  if (host ~ /^127\\./ || host ~ /^\\[::1\\]/ || host ~ /%lo$/) next
  name = "?"; if (match($0, /\\(\\("[^"]+"/)) name = substr($0, RSTART + 3, RLENGTH - 4)
  if ($1 == "udp" && name == "unbound" && part[n] > 1023) next
  gsub(/ /, "_", name); print $1 "/" part[n] "(" name ")" }' | sort -u | tr '\\n' ' '"""

# Connections that the host has opened and that stand, as `user address port`: those of no port that something listens on here.
_STANDING = """{ cat /etc/passwd; ss -Hltn | sed 's/^/listens /'; ss -Htne state established | sed 's/^/stands /'; } | awk '
!/ / || /^[^ ]*:/ { n = split($0, p, ":"); if (n == 7 && !(p[3] in names)) names[p[3]] = p[1]; next }
$1 == "listens" { n = split($5, p, ":"); here[p[n]] = 1; next }
{ n = split($4, p, ":"); if (p[n] in here || $4 ~ /^(127\\.|\\[::1\\]|\\[::ffff:127\\.)/) next
  id = 0; if (match($0, /uid:[0-9]+/)) id = substr($0, RSTART + 4, RLENGTH - 4)
  n = split($5, p, ":"); host = substr($5, 1, length($5) - length(p[n]) - 1); gsub(/[][]/, "", host); sub(/%.*/, "", host)
  print (id in names ? names[id] : id), host, p[n] }' | sort -u"""


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
        return f"rules=$({TOOLS[self.family]}-save -t filter) && printf '%s\\n' \"$rules\" | {STRIPPED}"

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
            return f"{STRIPPED} <{self.at_boot}"
        # Through a variable: in a pipe the tool's own failure would go unnoticed.
        return f"table=$({TOOLS[self.family]}-save -t filter) && printf '%s\\n' \"$table\" | {STRIPPED}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return tuple(line.rstrip() for line in answer.splitlines()) == self.table(gateway)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPorts:
    """The ports that the kernel's rules of a family open inwards: those of the declared services, and no others."""

    family: int

    def name(self) -> str:
        return f"IPv{self.family} ports that rules open"

    def wanted(self, gateway: Gateway) -> str:
        return " ".join(sorted(gateway.open_ports(self.family)))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"rules=$({TOOLS[self.family]}-save -t filter) && printf '%s\\n' \"$rules\" | {_OPENED}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return set(answer.split()) == gateway.open_ports(self.family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """The ports that something listens on, loopback's apart: those of the declared services, and no others.

    A service that is there only at times (an authority's proof, a DHCP client) may be away, and so may all, with
    ``others_only``.
    """

    others_only: bool = False

    def name(self) -> str:
        return "ports that something listens on"

    def wanted(self, gateway: Gateway) -> str:
        return " ".join(sorted(gateway.open_ports(4) | gateway.open_ports(6)))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return _LISTENING

    def holds(self, answer: str, gateway: Gateway) -> bool:
        seen = {listener.partition("(")[0] for listener in answer.split()}
        declared = gateway.open_ports(4) | gateway.open_ports(6)
        always = set() if self.others_only else {"tcp/25", f"tcp/{gateway.sshd_port}"}
        return always <= seen <= declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The connections that the host has opened: each by a way that its user has, so that it comes up again when it is gone.

    ``reaches`` says whether a user may open one to an address and port.
    """

    reaches: Callable[[Gateway, str, str, int], bool]

    def name(self) -> str:
        return "connections outwards that no way would let out anew"

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return ""

    def question(self, gateway: Gateway) -> str:
        del gateway
        return _STANDING

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return not self.strays(answer, gateway)

    def strays(self, answer: str, gateway: Gateway) -> list[str]:
        """Return the lines of an answer that are such connections, or none that could be understood."""
        return [line for line in answer.splitlines() if line.strip() and not self._has_way(line, gateway)]

    def _has_way(self, line: str, gateway: Gateway) -> bool:
        words = line.split()
        if len(words) != 3 or not words[2].isdecimal():
            return False
        user, address, port = words
        return self.reaches(gateway, user, address, int(port))
