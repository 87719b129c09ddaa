"""Kinds: what a defence sets on the host.

Each kind knows its line in the rendered file, what to ask the live host, and whether the answer holds. The
question goes to the daemon or kernel that enforces the setting (or to its own configuration parser), never to the
text that we wrote.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from roles.settings import Gateway

# A value is fixed, or follows from the settings.
Value = str | Callable[[Gateway], str]

# What only a machine with a kernel of its own can show, and why a container cannot.
Need = Literal["kernel", "audit", "mounts", "apparmor", "selinux", "boot"]
NEEDS: Mapping[Need, str] = {
    "kernel": "kernel, memory and file system parameters, and modules, are those of the machine around a container",
    "audit": "a container gets no audit messages from the kernel",
    "mounts": "a container's mounts are made by what started it",
    "apparmor": "profiles are loaded into the kernel of the machine around a container",
    "selinux": "SELinux's policy is loaded into the kernel of the machine around a container",
    "boot": "a container has no boot loader",
}

# A shell command that succeeds in a container and fails on a machine (systemd-detect-virt(1)).
IN_CONTAINER = "systemd-detect-virt --quiet --container"


def need_of(check: object) -> Need | None:
    """Return what of a machine a setting needs to be seen in force; None: any host shows it."""
    need: Need | None = getattr(check, "needs", None)
    return need


def applies(check: object, gateway: Gateway) -> bool:
    """Say whether a setting or claim is one of this gateway's: what names an ``mta`` is of the gateways that run it.

    What came with a release of its daemon is of those whose platform has that release or a later one (``known``).
    """
    known = getattr(check, "known", None)
    return getattr(check, "mta", None) in (None, gateway.mta) and (known is None or known(gateway))


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
