"""The door: while packages change, and until the gate has passed, nobody but root on this host reaches the MTA.

filterd's hold holds only as long as the MTA asks filterd. An update may end that, and the first to notice would be who gets the mail. So
the packet filter refuses port 25 meanwhile, whatever the MTA does: iptables(8). Senders come again, as after a 451.
"""

from pathlib import Path
from typing import Final

from .machine import ran, say

_IPV6: Final = Path("/proc/net/if_inet6")
_MAIL: Final = ("-p", "tcp", "-m", "tcp", "--dport", "25")
_END: Final = ("-m", "comment", "--comment", "updates.gate", "-j", "REJECT", "--reject-with", "tcp-reset")
# The gate is root's and asks over loopback.
RULES: Final = (
    ("INPUT", "!", "-i", "lo", *_MAIL, *_END),
    ("OUTPUT", "-o", "lo", *_MAIL, "-m", "owner", "!", "--uid-owner", "0", *_END),
)
_MOST: Final = 9  # times that a rule may stand there; shut() looks first, a deploy and it may still cross


def _asked(verb: str, tool: str, rule: tuple[str, ...]) -> bool:
    return ran(tool, "-w", "10", verb, *rule, seconds=30)[0] == 0


def _tools() -> tuple[str, ...]:
    return ("iptables", "ip6tables") if _IPV6.exists() else ("iptables",)


def is_shut() -> bool:
    """Whether every rule stands there."""
    return all(_asked("-C", tool, rule) for tool in _tools() for rule in RULES)


def shut() -> bool:
    """Let nobody in; return whether that was done."""
    every = [(tool, rule) for tool in _tools() for rule in RULES]
    done = [_asked("-C", tool, rule) or _asked("-I", tool, rule) for tool, rule in every]
    if not all(done):
        say("the packet filter does not take the rules that keep mail away from the MTA")
    return all(done)


def opened() -> None:
    """Let all in again."""
    for tool in _tools():
        for rule in RULES:
            for _ in range(_MOST):
                if not _asked("-D", tool, rule):
                    break
