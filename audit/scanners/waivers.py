"""What OpenSCAP's profiles ask of any Debian and a mail gateway does not do: each rule with the reason, and what stands instead.

A rule is waived when it would break the gateway, is overtaken by something stronger, or asks for a spelling and not for a state.
What a rule rightly asks for, and costs a gateway nothing, is no waiver but a defence.
"""

from dataclasses import dataclass
from typing import Final

from roles.hardening.settings import Level

# In the place of a defence's id: nothing a deploy does, but what the machine, its disk or its kernel is made of.
MACHINE: Final = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """Rules of the content (short ids; `*` stands for any part) that are not asked, why, and what compensates them.

    ``instead`` are ids of defences, which the audit looks at, or MACHINE. ``below``: only hosts below that level are not asked, for
    from there on the defences of ``instead`` are what the rules ask for.
    """

    rules: tuple[str, ...]
    why: str
    instead: tuple[str, ...]
    below: Level | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """A value of the content (short id) that is asked for differently: what, and why."""

    value: str
    to: str
    why: str


REFINED: Final = (
    Refined(
        value="var_accounts_passwords_pam_faillock_deny",
        to="5",
        why="sudo asks three times: at 3 one evening's typing errors lock the administrator out (hardening.password-tries).",
    ),
    Refined(
        value="var_accounts_user_umask",
        to="027",
        why="The group may read, as daemons of a gateway read by their groups (hardening.umask).",
    ),
    Refined(
        value="var_sudo_umask",
        to="0027",
        why="As for logins (hardening.umask); what root installs by sudo must be readable by the daemons that it is for.",
    ),
    Refined(
        value="var_sudo_dedicated_group",
        to="sudo",
        why="Debian's own group of administrators (hardening.sudo-group).",
    ),
    Refined(
        value="sysctl_net_ipv4_conf_all_arp_ignore_value",
        to="1",
        why="2 also asks that the other one's address is of the same network: many hosters route to a gateway by one that is not.",
    ),
)

WAIVED: Final[tuple[Waived, ...]] = ()
