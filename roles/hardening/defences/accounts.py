"""Accounts: who is on the host, and who of them can log in."""

from roles.defence import Defence
from roles.kinds import HostAnswer, HostState, LoginDef
from roles.platforms import row

_NO_SHELL = "/usr/sbin/nologin"
_INSIDE = "Accounts are seen from the host alone."
_ROOT_LOCKED = (
    'if ! [ -s /root/.ssh/authorized_keys ] && [ -z "$(getent group {group} | cut -d: -f4)" ]; then '
    "echo 'root has no key and group {group} no member: give one of them first' >&2; exit 1; fi; usermod --lock root"
)

DEFENCES = (
    Defence(
        id="hardening.one-root",
        title="There is one root, no account without a password and no password outside of shadow",
        why="A second account with user id 0, or one that any password opens, is a back door that looks like an account.",
        rows=("H08",),
        sets=(
            HostAnswer(
                subject="accounts with user id 0",
                command="getent passwd | awk -F: '$3 == 0 { print $1 }'",
                matches="root",
                refuted_by="root\ntoor",
            ),
            HostAnswer(
                subject="accounts with an empty password",
                command="awk -F: '$2 == \"\"' /etc/shadow | wc -l",
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="passwords that stand outside of shadow",
                command="awk -F: '$2 != \"x\"' /etc/passwd | wc -l",
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="files of hosts that are trusted by name, and kept passwords",
                command="find / -xdev '(' -name .rhosts -o -name .shosts -o -name hosts.equiv -o -name shosts.equiv -o -name .netrc "
                "')' -print | wc -l",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen=_INSIDE,
        weight=9,
    ),
    Defence(
        id="hardening.system-accounts",
        title="Daemons' accounts have neither a password nor a shell",
        why="Who makes a daemon write a key or a password for its own account must not be able to log in by it.",
        rows=("H08",),
        sets=(
            HostState(
                subject="system accounts with a shell",
                command="awk -F: '$3 > 0 && $3 < 1000 && $7 !~ /\\/(nologin|false)$/ { print $1 }' /etc/passwd",
                value="",
                remedy="for u in $(awk -F: '$3 > 0 && $3 < 1000 && $7 !~ /\\/(nologin|false)$/ { print $1 }' /etc/passwd); do "
                f"usermod --shell {_NO_SHELL} $u; done",
            ),
            HostState(
                subject="system accounts with a password",
                command="awk -F: '$3 > 0 && $3 < 1000 { print $1 }' /etc/passwd | while read -r u; do passwd -S $u; done | "
                "awk '$2 !~ /^LK?$/ { print $1 }'",
                value="",
                remedy="for u in $(awk -F: '$3 > 0 && $3 < 1000 { print $1 }' /etc/passwd); do "
                "case $(passwd -S $u | cut -d' ' -f2) in L | LK) ;; *) usermod --lock $u ;; esac; done",
            ),
        ),
        unseen=_INSIDE,
        weight=7,
    ),
    Defence(
        id="hardening.root-locked",
        title="Nobody logs in as root with a password",
        why="A password of root's is known to several people and says of none of them that it was he.",
        rows=("H08", "H13"),
        sets=(
            HostState(
                subject="state of root's password",
                # EL's passwd(1) says LK.
                command="passwd -S root | cut -d' ' -f2 | sed 's/^LK$/L/'",
                value="L",
                # Not before there is another way in.
                remedy=lambda gateway: _ROOT_LOCKED.format(group=row(gateway).group("sudo")),
            ),
        ),
        unseen="sshd asks nobody for a password: hardening.ssh-keys-only.",
        level="moderate",
        cost="Rescue mode lets nobody in; recovery takes another boot medium or a snapshot.",
        weight=6,
    ),
    Defence(
        id="hardening.homes",
        title="A home directory is its owner's alone",
        why="Keys, histories and tokens lie there with whatever mode their programs gave them.",
        rows=("H08",),
        sets=(
            LoginDef("HOME_MODE", "0700"),
            HostState(
                subject="homes that others can enter",
                command="awk -F: '$3 >= 1000 && $3 < 65000 || $3 == 0 { print $6 }' /etc/passwd | "
                "while read -r d; do find $d -maxdepth 0 -type d -perm /077 2>/dev/null; done",
                value="",
                remedy="awk -F: '$3 >= 1000 && $3 < 65000 || $3 == 0 { print $6 }' /etc/passwd | "
                "while read -r d; do find $d -maxdepth 0 -type d -perm /077 -exec chmod go-rwx {} + 2>/dev/null || true; done",
            ),
        ),
        unseen=_INSIDE,
        weight=4,
    ),
    Defence(
        id="hardening.umask",
        title="What a login makes is not for all to read",
        why="A file that was made in haste is readable by every daemon's account under Debian's own umask.",
        rows=("H08",),
        sets=(
            LoginDef("UMASK", "027"),
            HostState(
                subject="umask of a session",
                # su(1) opens the PAM session that a login does.
                command="su nobody -s /bin/sh -c umask",
                value="0027",
                remedy="DEBIAN_FRONTEND=noninteractive pam-auth-update --package",
            ),
            HostAnswer(
                subject="umask of what sudo runs",
                command="umask 022; sudo -n sh -c umask",
                matches="0027",
                refuted_by="0022",
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="What an administrator makes for a daemon he must make readable for it.",
        weight=4,
    ),
    Defence(
        id="hardening.root-path",
        title="root's search path holds directories of root's alone",
        why="A directory in it that another can write makes root run that one's programs.",
        rows=("H08",),
        sets=(
            HostAnswer(
                subject="directories of root's path that others can write or that are no absolute paths",
                command="sh -lc 'echo $PATH' | tr ':' '\\n' | while read -r d; do case $d in /*) "
                "find -L $d -maxdepth 0 -perm /022 2>/dev/null || true ;; *) echo relative ;; esac; done | wc -l",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen=_INSIDE,
        weight=7,
    ),
    Defence(
        id="hardening.jobs-by-root",
        title="Only root plans jobs for later",
        why="A job is how an attacker who was thrown out comes back.",
        rows=("H08",),
        sets=(
            HostAnswer(
                subject="who may use crontab and at",
                command="sort -u /etc/cron.allow /etc/at.allow",
                matches="root",
                refuted_by="root\nwww-data",
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Users other than root plan no jobs by crontab or at; systemd timers are the administrator's way.",
        weight=4,
    ),
)
