"""Kinds of the operating system: kernel parameters, sshd, units, files."""

import re
import shlex
from dataclasses import dataclass

from roles.kinds.base import LineOption, Need, Value, resolved
from roles.platforms import row
from roles.settings import Gateway, Mta


@dataclass(frozen=True, slots=True)
class SshdOption(LineOption):
    """An sshd_config(5) keyword; lists are compared in order, words without case."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        # sshd -T prints what all files together give, but for Match blocks; hardening.ssh-no-match forbids those.
        return f"sshd -T | sed -n 's/^{self.key.lower()} //p'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        # sshd prints `without-password`, the old name of `prohibit-password`.
        given = answer.lower().replace("without-password", "prohibit-password")
        # A keyword that takes several words is printed with a line for each of them.
        return given.split() == self.wanted(gateway).lower().split()


# What each network namespace has for itself; parameters beside these, such as the size of the table of connections, are
# the machine's (ip-sysctl.rst and nf_conntrack-sysctl.rst of the kernel's documentation; somaxconn by net/core/sysctl_net_core.c).
_OWN_NETWORK = ("net.ipv4.", "net.ipv6.", "net.core.somaxconn", "net.netfilter.nf_conntrack_tcp_timeout_")
# What a parameter's question answers where the kernel has none of that name, for want of a patch, a module of its own, or IPv6.
NO_PARAMETER = "this kernel has no such parameter"
# These are there as soon as a module is loaded, which the packet filter's rules see to; without them it is not.
_OF_MODULES = "net.netfilter."


@dataclass(frozen=True, slots=True)
class Sysctl(LineOption):
    """A kernel parameter, in sysctl.d(5). Those of the network are mostly a container's own, all others the machine's."""

    @property
    def needs(self) -> Need | None:
        """What of a machine it takes to see the parameter in force."""
        return None if self.key.startswith(_OWN_NETWORK) else "kernel"

    def line(self, gateway: Gateway) -> str:
        return f"{self.key} = {self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        # The kernel prints a tab between the values of a parameter that has several.
        asked = f"sysctl -n {shlex.quote(self.key)} | tr '\\t' ' '"
        if self.key.startswith(_OF_MODULES):
            return asked
        return (
            f"if [ -e /proc/sys/{self.key.replace('.', '/')} ]; then {asked}; else echo '{NO_PARAMETER}'; fi"
        )


@dataclass(frozen=True, slots=True)
class InterfaceSysctl(LineOption):
    """A network parameter that each interface has; the key names it with ``*`` in the interface's place.

    For IPv6, ``all`` and ``default`` do not reach interfaces that are there already, so every one is set and asked. In the
    file both stand by their names as well: who looks a parameter up there, by eye or by a tool, looks for those.
    """

    def line(self, gateway: Gateway) -> str:
        keys = (self.key.replace("*", name) for name in ("all", "default", "*"))
        return "\n".join(f"{key} = {self.wanted(gateway)}" for key in keys)

    def question(self, gateway: Gateway) -> str:
        del gateway
        path = f"/proc/sys/{self.key.replace('.', '/')}"
        # By `all`, which is there where the family is.
        one = path.replace("*", "all")
        return f"if [ -e {one} ]; then cat {path} | sort -u; else echo '{NO_PARAMETER}'; fi"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOption:
    """A property of a running systemd unit, by Debian 12's name of it, as systemctl(1) show prints it."""

    unit: str
    option: str
    value: Value
    mta: Mta | None = None
    needs: Need | None = None

    def name(self) -> str:
        return f"{self.unit} {self.option}"

    def wanted(self, gateway: Gateway) -> str:
        return resolved(self.value, gateway)

    def question(self, gateway: Gateway) -> str:
        unit = shlex.quote(row(gateway).unit(self.unit))
        # Of a unit that is not there systemctl prints what a unit has that says nothing.
        return (
            f"seen=$(systemctl show --property LoadState --property {self.option} {unit}) || exit 1; "
            f'case "$seen" in *LoadState=not-found*) echo no {unit} >&2; exit 1 ;; esac; '
            f"printf '%s\\n' \"$seen\" | sed -n 's/^{self.option}=//p'"
        )

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return sorted(answer.split()) == sorted(self.wanted(gateway).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMode:
    """Owner, group and mode of the files that a shell pattern names, all by Debian 12's names; there must be at least one."""

    path: str
    mode: str
    owner: str = "root"
    group: str = "root"
    mta: Mta | None = None
    needs: Need | None = None

    def name(self) -> str:
        return self.path

    def wanted(self, gateway: Gateway) -> str:
        here = row(gateway)
        own = (f"{self.mode} {here.user(self.owner)} {here.group(self.group)}",)
        return " or ".join(here.modes.get(self.path, own))

    def question(self, gateway: Gateway) -> str:
        return f"stat --format '%a %U %G' {row(gateway).here(self.path)}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        lines = answer.splitlines()
        return bool(lines) and all(line in self.wanted(gateway).split(" or ") for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """Any other question to the live host: a command, in Debian 12's words, and a pattern that its whole answer must match.

    ``refuted_by`` is an answer that must not hold; it is tried when the record is made.
    """

    subject: str
    command: Value
    matches: Value
    refuted_by: str
    mta: Mta | None = None
    needs: Need | None = None

    def __post_init__(self) -> None:
        """Refuse a pattern that also takes the answer it is there to catch."""
        if isinstance(self.matches, str) and re.fullmatch(self.matches, self.refuted_by):
            raise ValueError(f"{self.subject}: the pattern {self.matches!r} accepts its own counter-example")

    def name(self) -> str:
        return self.subject

    def wanted(self, gateway: Gateway) -> str:
        return resolved(self.matches, gateway)

    def question(self, gateway: Gateway) -> str:
        return row(gateway).here(resolved(self.command, gateway))

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return re.fullmatch(self.wanted(gateway), answer.strip()) is not None
