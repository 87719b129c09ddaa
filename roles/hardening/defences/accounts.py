"""Accounts: who is on the host, and who of them can log in."""

from roles.defence import Defence
from roles.hardening.defences.passwords import UPDATE
from roles.hardening.homes import OPEN, SHUT
from roles.kinds import HostAnswer, HostState, LoginDef
from roles.kinds.questions import counted, everywhere
from roles.platforms import row
from roles.settings import Gateway

_NO_SHELL = "/usr/sbin/nologin"
_INSIDE = "Accounts are seen from the host alone."
_ROOT_LOCKED = (
    "way=; [ ! -s /root/.ssh/authorized_keys ] || way=root; for u in $(getent group {group} | cut -d: -f4 | tr ',' ' '); do "
    "case $(getent passwd $u | cut -d: -f7) in '' | */nologin | */false) ;; *) way=$u ;; esac; done; "
    "[ \"$way\" ] || {{ echo 'root has no key and group {group} no member with a shell: give one of them first' >&2; exit 1; }}; "
    "usermod --lock root"
)
# Who gets in by right though the number of the account is a daemon's (useradd --system): the login that deploys, and members of the
# groups that may log in by ssh. Daemons that belong to group root are none of these.
_OF_PEOPLE = (
    'people() {{ [ "$1" != "${{SUDO_USER:-$(id -un)}}" ] || return 0; for g in $(id -Gn -- "$1"); do '
    'case " {groups} " in *" $g "*) return 0 ;; esac; done; return 1; }}; '
)
_WITH_SHELL = "awk -F: '$3 > 0 && $3 < 1000 && $7 !~ /\\/(nologin|false)$/ { print $1 }' /etc/passwd"
_OF_SYSTEM = "awk -F: '$3 > 0 && $3 < 1000 { print $1 }' /etc/passwd"


def _of_people(gateway: Gateway) -> str:
    groups = (row(gateway).group(name) for name in gateway.hardening.ssh_groups if name != "root")
    return _OF_PEOPLE.format(groups=" ".join(groups))


def _with_shell(gateway: Gateway) -> str:
    """Return the question which daemons' accounts have a shell."""
    return f'{_of_people(gateway)}all=$({_WITH_SHELL}) || exit 1; for u in $all; do people "$u" || echo "$u"; done'


def _with_password(gateway: Gateway) -> str:
    """Return the question which daemons' accounts have a password, or could not be asked for it."""
    return (
        f"{_of_people(gateway)}all=$({_OF_SYSTEM}) || exit 1; for u in $all; do "
        'case $(passwd -S "$u" | cut -d\' \' -f2) in L | LK) ;; *) people "$u" || echo "$u" ;; esac; done'
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
                command=counted("awk -F: '$2 == \"\"' /etc/shadow"),
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="passwords that stand outside of shadow",
                command=counted("awk -F: '$2 != \"x\"' /etc/passwd"),
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="files of hosts that are trusted by name, and kept passwords",
                command=counted(
                    everywhere(
                        "'(' -name .rhosts -o -name .shosts -o -name hosts.equiv -o -name shosts.equiv -o -name .netrc ')' -print"
                    )
                ),
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
                command=_with_shell,
                value="",
                remedy=lambda gateway: (
                    f"for u in $({_with_shell(gateway)}); do usermod --shell {_NO_SHELL} $u; done"
                ),
            ),
            HostState(
                subject="system accounts with a password",
                command=_with_password,
                value="",
                remedy=lambda gateway: f"for u in $({_with_password(gateway)}); do usermod --lock $u; done",
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
            # Nobody's home that is another's too, or the system's: the task machine.homes names those.
            HostState(subject="homes that others can enter", command=OPEN, value="", remedy=SHUT),
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
                remedy=UPDATE,
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
                command=counted(
                    "path=$(sh -lc 'echo $PATH') && [ \"$path\" ] || exit 1; printf '%s\\n' \"$path\" | tr ':' '\\n' | while read -r d; do "
                    "case $d in /*) find -L $d -maxdepth 0 -perm /022 2>/dev/null || true ;; *) echo relative ;; esac; done"
                ),
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
