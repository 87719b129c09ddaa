"""Files: who may read and write what the system rests on, and which programs run as their owner."""

import shlex

from roles.defence import Defence
from roles.kinds import FileMode, HostAnswer, HostState
from roles.kinds.questions import everywhere
from roles.platforms import row
from roles.settings import Gateway

_INSIDE = "File modes are seen from the host alone."

# Each by the name that its package gives it under Debian 12: dpkg keeps an override by that name (dpkg-statoverride(1)).
UNPRIVILEGED = (
    *(
        "/bin/mount",
        "/bin/umount",
        "/bin/fusermount3",
        "/sbin/mount.nfs",
        "/bin/ping",
        "/usr/bin/traceroute6.iputils",
    ),
    *(
        "/usr/bin/chfn",
        "/usr/bin/chsh",
        "/usr/bin/gpasswd",
        "/usr/bin/newgrp",
        "/usr/bin/chage",
        "/usr/bin/expiry",
    ),
    *("/usr/lib/openssh/ssh-keysign", "/usr/bin/at", "/usr/bin/pkexec", "/usr/bin/wall", "/usr/bin/write.ul"),
    *(
        "/usr/bin/bsd-write",
        "/usr/bin/dotlockfile",
        "/usr/bin/mail-lock",
        "/usr/bin/mail-unlock",
        "/usr/bin/mail-touchlock",
        "/usr/bin/ntfs-3g",
        "/usr/sbin/pppd",
        "/usr/bin/screen",
    ),
)
# What is left, each with its reason: su, sudo and passwd are for people; the next check a password that they cannot
# read, start a bus's services, and keep a key's process from being looked into; the last are the MTA's, which put
# mail into its queue and show it.
PRIVILEGED = (
    *("/usr/bin/su", "/usr/bin/sudo", "/usr/bin/passwd"),
    *("/usr/sbin/unix_chkpwd", "/usr/lib/dbus-1.0/dbus-daemon-launch-helper", "/usr/bin/ssh-agent"),
    *("/usr/bin/crontab", "/usr/sbin/postdrop", "/usr/sbin/postqueue"),
    *("/usr/lib/sm.bin/sendmail", "/usr/libexec/sendmail/sendmail", "/usr/libexec/sendmail/mailstats"),
)
# Path and mode of what need not be for all; what is not there needs none.
MODES = (
    *(("/etc/ssh/sshd_config", "600"), ("/etc/sudoers.d", "750"), ("/etc/crontab", "600")),
    *((f"/etc/cron.{each}", "700") for each in ("d", "hourly", "daily", "weekly", "monthly")),
    *(("/boot/grub/grub.cfg", "600"), ("/boot", "700"), ("/etc/audit", "750"), ("/var/log/sudo.log", "600")),
    ("/etc/iptables", "700"),
)
# Made where no package has: a later layer's file would make it as everybody's to read.
_MADE = "/etc/cron.d"
_PASSWORDS = (("passwd", "644", "root"), ("group", "644", "root"), ("gshadow", "640", "shadow"))
# An override stands before its package is there, and holds when it comes.
_LEFT = (
    "had=$({kept}); for f in {paths}; do "
    'if ! printf \'%s\\n\' "$had" | grep -qxF $f || [ -n "$(find -L $f -perm /6000 2>/dev/null)" ]; then echo $f; fi; done'
)
_WIDE = f"[ -d {_MADE} ] || echo {_MADE}\n" + "\n".join(
    f'[ ! -e {path} ] || [ "$(stat -c %a {path})" = {mode} ] || echo {path}' for path, mode in MODES
)


def _left(gateway: Gateway) -> str:
    """Return the question which of them still run as their owner, or would when their package comes."""
    merged = "" if row(gateway).programs_in_root else "/usr"
    names = [f"{merged}{path}" if path.startswith(("/bin/", "/sbin/")) else path for path in UNPRIVILEGED]
    paths = " ".join(shlex.quote(name) for name in (*names, *row(gateway).unprivileged))
    return _LEFT.format(kept=row(gateway).manager.modes_kept(paths), paths=paths)


def _on_no_list(gateway: Gateway) -> str:
    """Return the question which programs run as their owner for everybody, and have no reason for it here."""
    known = " ".join(f"! -path {path}" for path in (*PRIVILEGED, *row(gateway).privileged))
    return everywhere(f"-type f -perm /6000 {known} -print")


def _narrowed(gateway: Gateway) -> str:
    """Return the script that gives paths the modes that root alone needs."""
    return f"mkdir -p {_MADE}\n" + "\n".join(
        f'if [ -e {path} ] && [ "$(stat -c %a {path})" != {mode} ]; then '
        f"{row(gateway).manager.mode_kept(path, f'0{mode}')}; fi"
        for path, mode in MODES
    )


DEFENCES = (
    Defence(
        id="hardening.secret-files",
        title="Private keys and password hashes are readable by their owner alone",
        why="Who can read the host key can pretend to be this host to its administrators.",
        rows=("H13", "H08"),
        sets=(
            FileMode(path="/etc/ssh/ssh_host_*_key", mode="600"),
            FileMode(path="/etc/shadow", mode="640", group="shadow"),
        ),
        unseen=_INSIDE,
        weight=9,
    ),
    Defence(
        id="hardening.account-files",
        title="Only root changes who is on the host",
        why="A line in one of these files is an account, a group or a password.",
        rows=("H08",),
        sets=tuple(FileMode(path=f"/etc/{name}", mode=mode, group=group) for name, mode, group in _PASSWORDS),
        unseen=_INSIDE,
        weight=9,
    ),
    Defence(
        id="hardening.modes",
        title="What root alone uses, root alone reads",
        why="Who reads what is planned, allowed and checked knows when and where nobody looks.",
        rows=("H08",),
        sets=(
            HostState(
                subject="paths that are wider than they need to be",
                command=_WIDE,
                value="",
                remedy=_narrowed,
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="An ordinary user cannot list what cron runs, nor read the boot loader's menu.",
        weight=3,
    ),
    Defence(
        id="hardening.few-privileged-programs",
        title="Programs that run as their owner for everybody are few, and each has its reason",
        why="A flaw in one of them makes any user root; most of them serve people at a desk.",
        rows=("H08",),
        sets=(
            HostState(
                subject="programs that need not run as their owner",
                command=_left,
                value="",
                remedy=lambda gateway: (
                    f"for f in $({_left(gateway)}); do {row(gateway).manager.mode_kept('$f', '0755')}; done"
                ),
            ),
            HostAnswer(
                subject="programs that run as their owner and are on no list",
                command=_on_no_list,
                matches="",
                refuted_by="/usr/local/bin/rootshell",
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Ordinary users cannot mount, nor change their shell, full name or group themselves.",
        weight=8,
    ),
)
