"""What Lynis, ssh-audit and systemd say and what stays all the same, each with its reason; docs/scanners.md is drawn from it.

A scanner's list is read for what it teaches: nothing is installed or worded for its count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A finding that stays: by which names the scanner has it, what it asks for, and why that is not done."""

    names: tuple[str, ...]
    asks: str
    why: str


def named(accepted: Iterable[Accepted]) -> frozenset[str]:
    """Return all names of some findings that stay."""
    return frozenset(name for each in accepted for name in each.names)


# By Lynis' own id of the test.
LYNIS: Final = (
    Accepted(
        names=("DEB-0280",),
        asks="`libpam-tmpdir`",
        why=(
            "Each daemon has a `/tmp` of its own (`PrivateTmp`), the shared ones run nothing, and the kernel follows no "
            "strangers' links there (`hardening.links`). Under sudo it gives the deploy a directory that it cannot write."
        ),
    ),
    Accepted(
        names=("DEB-0810", "DEB-0811", "PKGS-7394"),
        asks="`apt-listbugs`, `apt-listchanges`, `apt-show-versions`",
        why="They tell somebody who sits before it.",
    ),
    Accepted(
        names=("DEB-0831", "PKGS-7420"),
        asks="`needrestart`, automatic upgrades",
        why="`bastide-update` installs them each night and starts anew what uses old libraries (`updates.nightly`); needrestart would "
        "bring a compiler's tools along.",
    ),
    Accepted(
        names=("PKGS-7370",),
        asks="`debsums`",
        why="What belongs to a package is compared with its checksums by the integrity layer (`integrity.explained`).",
    ),
    Accepted(
        names=("DEB-0880", "TOOL-5190"),
        asks="fail2ban",
        why=(
            "sshd takes no passwords and answers administrators' networks alone; who scans is banned by the kernel "
            "(`firewall.bans`)."
        ),
    ),
    Accepted(
        names=("BOOT-5264",),
        asks="sandboxes for all units",
        why=(
            "What strangers' bytes reach has one, with an exposure of at most 3.0. sshd's would bind every administrator's "
            "session; `rescue`, `emergency`, `getty` and the password agents are root's own console."
        ),
    ),
    Accepted(
        names=("FILE-6344",),
        asks="`hidepid` for `/proc`",
        why=(
            "Daemons see their own processes alone (`ProtectProc`); logins are administrators. systemd's own services break"
            " by it."
        ),
    ),
    Accepted(
        names=("FILE-6310",),
        asks="partitions for `/home` and `/var`",
        why="How a machine is partitioned is decided before a deploy comes.",
    ),
    Accepted(
        names=("FILE-7524",),
        asks="`cron.allow` and `at.allow` for root alone",
        why="They name root and hold no secret, and `crontab` and `at` read them without being root.",
    ),
    Accepted(
        names=("KRNL-5820",),
        asks="`ulimit -c 0` in `/etc/profile`",
        why=(
            "Limits, systemd and the kernel's own pattern forbid core dumps; a shell's profile binds nobody who does not "
            "want to be bound."
        ),
    ),
    Accepted(
        names=("NETW-3200",),
        asks="`install dccp /bin/true`",
        why="`/bin/false` blocks the module as well, and whoever asked for it is told.",
    ),
    Accepted(
        names=("FIRE-4513",),
        asks="no unused rules",
        why="A rule against floods has met none yet.",
    ),
    Accepted(
        names=("SSH-7408",),
        asks="`MaxSessions 2`, another port",
        why="Who has logged in has all that a second session would give; another port is found by a scan.",
    ),
    Accepted(
        names=("LOGG-2154",),
        asks="a remote log, by lines that it knows",
        why="There is one (above), in `/etc/rsyslog.conf` itself.",
    ),
    Accepted(
        names=("USB-3000",),
        asks="USBGuard",
        why="USB storage is blocked (`hardening.no-ports-for-strangers`); a gateway's console is locked away.",
    ),
    Accepted(
        names=("ACCT-9626",),
        asks="`sysstat`",
        why="Figures of load protect nothing; filterd has its own.",
    ),
    Accepted(
        names=("TOOL-5002",),
        asks="Puppet, Ansible and the like",
        why="It does not know pyinfra, which leaves nothing on the host.",
    ),
    Accepted(
        names=("KRNL-5788", "ACCT-9628", "MACF-6208"),
        asks="a kernel, auditd, AppArmor",
        why="In a container alone; a machine has them.",
    ),
    Accepted(
        names=("LYNIS",),
        asks="a newer Lynis",
        why="It is Debian's own release; what a newer one asks beside is for the next Debian.",
    ),
)
# By the name of the algorithm.
SSH_AUDIT: Final = (
    Accepted(
        names=("sntrup761x25519-sha512@openssh.com",),
        asks="2.5 (Debian 12): experimental",
        why=(
            "It is the one key exchange of this OpenSSH that keeps what is recorded today from a quantum computer; "
            "combined with X25519 it is never the weaker one."
        ),
    ),
    Accepted(
        names=("kex-strict-s-v00@openssh.com",),
        asks="2.5: unknown",
        why="It is the remedy for Terrapin (CVE-2023-48795), younger than the scanner.",
    ),
    Accepted(
        names=("curve25519-sha256", "curve25519-sha256@libssh.org"),
        asks="3.9: not safe from quantum computers",
        why="paramiko, by which a deploy comes, has no other that is modern. ssh itself prefers the one above.",
    ),
)
# By the unit.
UNITS: Final = (
    Accepted(
        names=("ssh.service",),
        asks="a sandbox",
        why="What binds sshd binds every administrator's session, and the deploy; it answers administrators' networks alone.",
    ),
)
