"""Kinds of the operating system's own files: accounts, PAM, limits, the journal, modules, audit rules."""

import re
import shlex
from dataclasses import dataclass
from typing import ClassVar

from roles.kinds.base import LineOption, Need, Value, resolved
from roles.platforms import row
from roles.settings import Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """A state that no file of ours says: what asks for it, the whole answer that is wanted, what brings it about.

    ``command`` and ``remedy`` are shell scripts, run as root; the deploy asks again after the remedy.
    """

    subject: str
    command: Value
    value: Value
    remedy: Value
    needs: Need | None = None

    def name(self) -> str:
        return self.subject

    def wanted(self, gateway: Gateway) -> str:
        return resolved(self.value, gateway)

    def question(self, gateway: Gateway) -> str:
        return row(gateway).here(resolved(self.command, gateway))

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.strip() == self.wanted(gateway)

    def remedy_of(self, gateway: Gateway) -> str:
        """Return the script that brings the state about on this gateway."""
        return row(gateway).here(resolved(self.remedy, gateway))


@dataclass(frozen=True, slots=True)
class _ConfigOption(LineOption):
    """A key and a value in a file that its readers offer no way to ask for: the last line of that key is what they take."""

    FILE: ClassVar[str]

    def line(self, gateway: Gateway) -> str:
        return f"{self.key} = {self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"sed -n 's/^{self.key}[[:space:]=]\\{{1,\\}}//p' {self.FILE} | tail -n 1"


@dataclass(frozen=True, slots=True)
class LoginDef(_ConfigOption):
    """A default of login.defs(5), for accounts that are made and for logins."""

    FILE: ClassVar[str] = "/etc/login.defs"

    def line(self, gateway: Gateway) -> str:
        return f"{self.key} {self.wanted(gateway)}"


@dataclass(frozen=True, slots=True)
class PwqualityOption(_ConfigOption):
    """What a new password must be like, in pwquality.conf(5)."""

    FILE: ClassVar[str] = "/etc/security/pwquality.conf"


@dataclass(frozen=True, slots=True)
class FaillockOption(_ConfigOption):
    """When failed tries lock an account, in faillock.conf(5)."""

    FILE: ClassVar[str] = "/etc/security/faillock.conf"


@dataclass(frozen=True, slots=True)
class JournaldOption(LineOption):
    """An option of journald.conf(5), as systemd reads it out of all its files."""

    def line(self, gateway: Gateway) -> str:
        return f"{self.key}={self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"systemd-analyze cat-config systemd/journald.conf | sed -n 's/^{self.key}=//p' | tail -n 1"


@dataclass(frozen=True, slots=True)
class HardLimit(LineOption):
    """A hard limit of limits.conf(5) on every login but root's."""

    def name(self) -> str:
        return f"hard {self.key}"

    def line(self, gateway: Gateway) -> str:
        return f"* hard {self.key} {self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        # runuser(1) opens a PAM session, as a login does.
        return f"runuser -u nobody -- prlimit --noheadings --raw --output HARD --{self.key}"


@dataclass(frozen=True, slots=True)
class ModuleBlocked(LineOption):
    """A kernel module that is not loaded, by its name or by what asks for it (modprobe.d(5)); the value is why."""

    needs: ClassVar[Need] = "kernel"

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return "install /bin/false"

    def line(self, gateway: Gateway) -> str:
        return f"{self.wanted(gateway).replace(' ', f' {self.key} ')}\nblacklist {self.key}"

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"modprobe --dry-run --verbose {shlex.quote(self.key)}"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        # What a module needs is named before it, and would be loaded; the module itself is what the last line is of.
        return answer.strip().rpartition("\n")[2].split() == self.wanted(gateway).split()


def _listed(rule: str) -> str:
    """Return an audit rule in one spelling: auditctl(8) lists system calls by their numbers and a user id that is unset as -1."""
    calls = re.sub(r"(?<=-S )\S+", lambda found: ",".join(sorted(found[0].split(","))), rule)
    return calls.replace("auid!=unset", "auid!=-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRules:
    """Rules of the kernel's audit (audit.rules(7)); each must be loaded, in whatever order auditctl(8) lists its system calls."""

    about: str
    rules: tuple[str, ...]
    needs: ClassVar[Need] = "audit"

    def name(self) -> str:
        return self.about

    def wanted(self, gateway: Gateway) -> str:
        return "\n".join(self.lines(gateway))

    def lines(self, gateway: Gateway) -> tuple[str, ...]:
        """Return the rules with this gateway's names of files."""
        return tuple(dict.fromkeys(row(gateway).here(rule) for rule in self.rules))

    def question(self, gateway: Gateway) -> str:
        del gateway
        return "auditctl -l"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return set(map(_listed, self.lines(gateway))) <= set(map(_listed, answer.splitlines()))


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOptions:
    """Options that the file system at a path must be mounted with, whatever others it has."""

    path: str
    options: tuple[str, ...]
    needs: Need | None = None

    def name(self) -> str:
        return self.path

    def wanted(self, gateway: Gateway) -> str:
        del gateway
        return ",".join(self.options)

    def question(self, gateway: Gateway) -> str:
        del gateway
        # The last one mounted there is the one that programs meet.
        return f"findmnt --noheadings --output OPTIONS --mountpoint {self.path} | tail -n 1"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        del gateway
        return set(self.options) <= set(re.split(r"[,\s]+", answer.strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What systemd.exec(5) leaves a unit with; asked for is its exposure by systemd-analyze(1), 0 to 10, at most so much."""

    unit: str
    directives: tuple[Value, ...]
    exposure: Value

    def name(self) -> str:
        return f"exposure of {self.unit}"

    def wanted(self, gateway: Gateway) -> str:
        return resolved(self.exposure, gateway)

    def question(self, gateway: Gateway) -> str:
        unit = row(gateway).unit(self.unit)
        return f"systemd-analyze security --no-pager {unit} | sed -n 's/.*Overall exposure level.*: \\([0-9.]*\\) .*/\\1/p'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        seen = answer.strip()
        return re.fullmatch(r"\d+(\.\d+)?", seen) is not None and float(seen) <= float(self.wanted(gateway))
