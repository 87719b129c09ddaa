"""Kinds: what a defence sets on the host.

Each kind knows its line in the rendered file, what to ask the live host, and whether the answer holds. The
question goes to the daemon or kernel that enforces the setting (or to its own configuration parser), never to the
text that we wrote.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from roles.settings import Gateway

# A value is fixed, or follows from the settings.
Value = str | Callable[[Gateway], str]


# The access restrictions of postconf(5) that take no argument.
RESTRICTIONS = frozenset(
    {
        "defer",
        "defer_if_permit",
        "defer_if_reject",
        "defer_unauth_destination",
        "permit",
        "permit_auth_destination",
        "permit_inet_interfaces",
        "permit_mynetworks",
        "permit_sasl_authenticated",
        "permit_tls_all_clientcerts",
        "permit_tls_clientcerts",
        "reject",
        "reject_authenticated_sender_login_mismatch",
        "reject_invalid_helo_hostname",
        "reject_known_sender_login_mismatch",
        "reject_multi_recipient_bounce",
        "reject_non_fqdn_helo_hostname",
        "reject_non_fqdn_recipient",
        "reject_non_fqdn_sender",
        "reject_plaintext_session",
        "reject_sender_login_mismatch",
        "reject_unauth_destination",
        "reject_unauth_pipelining",
        "reject_unauthenticated_sender_login_mismatch",
        "reject_unknown_client_hostname",
        "reject_unknown_forward_client_hostname",
        "reject_unknown_helo_hostname",
        "reject_unknown_recipient_domain",
        "reject_unknown_reverse_client_hostname",
        "reject_unknown_sender_domain",
        "reject_unlisted_recipient",
        "reject_unlisted_sender",
        "reject_unverified_recipient",
        "reject_unverified_sender",
        "warn_if_reject",
    }
)


def resolved(value: Value, gateway: Gateway) -> str:
    """Return a value as text for one gateway."""
    return value if isinstance(value, str) else value(gateway)


class Kind(Protocol):
    """What all kinds have in common."""

    def name(self) -> str:
        """Return what is set, in the words of the daemon's manual."""

    def wanted(self, gateway: Gateway) -> str:
        """Return the value that the live host must answer."""

    def question(self, gateway: Gateway) -> str:
        """Return a shell command that asks the live host; run as root, its standard output is the answer."""

    def holds(self, answer: str, gateway: Gateway) -> bool:
        """Say whether the answer is what the defence needs."""


@dataclass(frozen=True, slots=True)
class LineOption:
    """A named setting with a value that is one line of a configuration file; the base of such kinds."""

    key: str
    value: Value

    def name(self) -> str:
        return self.key

    def wanted(self, gateway: Gateway) -> str:
        return resolved(self.value, gateway)

    def line(self, gateway: Gateway) -> str:
        """Return the line without its line end."""
        return f"{self.key} {self.wanted(gateway)}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.split() == self.wanted(gateway).split()


@dataclass(frozen=True, slots=True)
class MainCf(LineOption):
    """A Postfix parameter (postconf(5)), in main.cf."""

    def line(self, gateway: Gateway) -> str:
        return f"{self.key} = {self.wanted(gateway)}".rstrip()

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"postconf -h {shlex.quote(self.key)}"


@dataclass(frozen=True, slots=True)
class SshdOption(LineOption):
    """An sshd_config(5) keyword; lists are compared in order, words without case."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        # sshd -T prints what all files together give, but for Match blocks; hardening.ssh-no-match forbids those.
        return f"sshd -T | sed -n 's/^{self.key.lower()} //p'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        # sshd prints `without-password`, the old name of `prohibit-password`.
        given = answer.strip().lower().replace("without-password", "prohibit-password")
        return given == self.wanted(gateway).lower()


@dataclass(frozen=True, slots=True)
class Sysctl(LineOption):
    """A kernel parameter, in sysctl.d(5)."""

    def line(self, gateway: Gateway) -> str:
        return f"{self.key} = {self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"sysctl -n {shlex.quote(self.key)}"


@dataclass(frozen=True, slots=True)
class InterfaceSysctl(LineOption):
    """A network parameter that each interface has; the key names it with ``*`` in the interface's place.

    For IPv6, ``all`` and ``default`` do not reach interfaces that are there already, so every one is set and asked.
    """

    def line(self, gateway: Gateway) -> str:
        return f"{self.key} = {self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"cat /proc/sys/{self.key.replace('.', '/')} | sort -u"


@dataclass(frozen=True, slots=True)
class ClamdOption(LineOption):
    """A clamd.conf(5) option, read back through ClamAV's own parser (clamconf)."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        # clamconf prints clamd.conf first; freshclam.conf follows behind its own headline.
        return f"clamconf | sed '/^Config file: freshclam.conf/,$d' | sed -n 's/^{self.key} = //p'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.strip().strip('"').lower() == self.wanted(gateway).lower()


@dataclass(frozen=True, slots=True)
class FreshclamOption(LineOption):
    """A freshclam.conf(5) option, read back through ClamAV's own parser (clamconf)."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"clamconf | sed '1,/^Config file: freshclam.conf/d' | sed -n 's/^{self.key} = //p'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.strip().strip('"').lower() == self.wanted(gateway).lower()


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
        tool = "iptables" if self.family == 4 else "ip6tables"
        return f"{tool}-save -t filter"

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
class FilterTable:
    """The whole filter table of a family: these lines of iptables-save(8), without counters, and no others."""

    family: int
    table: Callable[[Gateway], tuple[str, ...]]

    def name(self) -> str:
        return f"IPv{self.family} filter table"

    def wanted(self, gateway: Gateway) -> str:
        return f"exactly {len(self.table(gateway))} lines"

    def question(self, gateway: Gateway) -> str:
        del gateway
        tool = "iptables" if self.family == 4 else "ip6tables"
        return f"{tool}-save -t filter | sed -e '/^#/d' -e '/^:/s/ \\[.*//'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return tuple(line.rstrip() for line in answer.splitlines()) == self.table(gateway)


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
        tool = "iptables" if self.family == 4 else "ip6tables"
        return f"{tool} -S {self.chain} | head -n 1"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.strip() == self.wanted(gateway)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOption:
    """A property of a running systemd unit, as systemctl(1) show prints it."""

    unit: str
    option: str
    value: str

    def name(self) -> str:
        return f"{self.unit} {self.option}"

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return self.value

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"systemctl show --property {self.option} --value {shlex.quote(self.unit)}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return sorted(answer.split()) == sorted(self.wanted(gateway).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMode:
    """Owner, group and mode of the files that a shell pattern names; there must be at least one."""

    path: str
    mode: str
    owner: str = "root"
    group: str = "root"

    def name(self) -> str:
        return self.path

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return f"{self.mode} {self.owner} {self.group}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"stat --format '%a %U %G' {self.path}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        lines = answer.splitlines()
        return bool(lines) and all(line == self.wanted(gateway) for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """Any other question to the live host: a command, and a pattern that its whole answer must match.

    ``refuted_by`` is an answer that must not hold; it is tried when the record is made.
    """

    subject: str
    command: str
    matches: str
    refuted_by: str

    def __post_init__(self) -> None:
        """Refuse a pattern that also takes the answer it is there to catch."""
        if re.fullmatch(self.matches, self.refuted_by):
            raise ValueError(f"{self.subject}: the pattern {self.matches!r} accepts its own counter-example")

    def name(self) -> str:
        return self.subject

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return self.matches

    def question(self, gateway: Gateway) -> str:
        del gateway
        return self.command

    def holds(self, answer: str, gateway: Gateway) -> bool:
        del gateway
        return re.fullmatch(self.matches, answer.strip()) is not None


@dataclass(frozen=True, slots=True)
class Restriction:
    """One entry of a Postfix restriction list (postconf(5)); the list is its records' entries in their order."""

    list: str
    entry: str

    def __post_init__(self) -> None:
        """Refuse a word that Postfix does not know: it would take it, and then answer 451 to every client."""
        if self.entry not in RESTRICTIONS:
            raise ValueError(f"{self.list}: {self.entry!r} is no restriction that Bastide knows")

    def name(self) -> str:
        return f"{self.list}: {self.entry}"

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return self.entry

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"postconf -h {shlex.quote(self.list)}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return self.wanted(gateway) in re.split(r"[\s,]+", answer.strip())


@dataclass(frozen=True, slots=True)
class SpamassassinOption(LineOption):
    """A setting of Mail::SpamAssassin::Conf(3), read back through SpamAssassin's own parser."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        program = (
            "my $s = Mail::SpamAssassin->new({dont_copy_prefs => 1, local_tests_only => 1});"
            f"$s->init(0); print $s->{{conf}}->{{{self.key}}}"
        )
        return f"perl -MMail::SpamAssassin -e {shlex.quote(program)}"


@dataclass(frozen=True, slots=True)
class RestrictionList:
    """A whole Postfix restriction list: these entries in this order, and no others."""

    list: str
    entries: Callable[[], tuple[str, ...]]

    def name(self) -> str:
        return self.list

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return " ".join(self.entries())

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"postconf -h {shlex.quote(self.list)}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return re.split(r"[\s,]+", answer.strip()) == self.wanted(gateway).split()
