"""Logins: what greets them, how many there are, how long they idle, who becomes root."""

from roles.defence import Defence
from roles.hardening.paths import UNCONFIRMED
from roles.kinds import HardLimit, HostAnswer, HostState, LoginDef
from roles.kinds.questions import counted
from roles.platforms import row
from roles.settings import Gateway

# The first lines of a PAM service's that a login passes, without blanks and comments (pam.conf(5)).
_ASKED_FIRST = (
    "sed -e ':a' -e '/\\\\$/N; s/\\\\\\n/ /; ta' /etc/pam.d/{service} | sed 's/#.*//; s/^[[:blank:]]*//; s/[[:blank:]]*$//' | "
    "tr -s '[:blank:]' ' ' | grep -iE '^(-?auth |@include )' | head -n {lines}"
)


def _sudo_narrowed(gateway: Gateway) -> str:
    """Return the script that leaves sudo to the administrators' group."""
    group = row(gateway).group("sudo")
    return (
        'for who in ${SUDO_USER:-root} $(cut -d: -f1 /etc/passwd); do case " $(id -Gn $who) " in '
        f'*" root "* | *" {group} "*) ;; *) ! LC_ALL=C sudo -n -l -U $who 2>/dev/null | grep -q " may run " || {{ '
        f'echo "$who may use sudo and is not in group {group}: put it there, or take its line out of sudoers, first" >&2; '
        f"exit 1; }} ;; esac; done; {row(gateway).manager.mode_kept('/usr/bin/sudo', '4110', group)}"
    )


DEFENCES = (
    Defence(
        id="hardening.logins-confirmed",
        title="What decides logins was confirmed by one",
        why="Files of sshd, sudo and PAM that nobody has got in by yet go back at the next boot: the host has neither state for good.",
        rows=("H13", "H08"),
        sets=(
            HostAnswer(
                subject="what decides logins and waits for a login to confirm it",
                command=f"ls {UNCONFIRMED} 2>/dev/null || true",
                matches="",
                refuted_by=UNCONFIRMED,
            ),
        ),
        unseen="A login that the audit comes by says nothing of one that comes later.",
        weight=3,
    ),
    Defence(
        id="hardening.banners",
        title="What is shown before a login names no software and warns",
        why="A name and a version are what an exploit is chosen by; the warning is what some courts ask for.",
        rows=("H13", "H08"),
        sets=(
            HostAnswer(
                subject="what is shown names an operating system",
                command="cat /etc/issue /etc/issue.net /etc/motd >/dev/null && "
                "{ cat /etc/issue /etc/issue.net /etc/motd | grep -ciE 'debian|ubuntu|linux|gnu|bastide|\\\\\\\\[a-z]' || true; }",
                matches="0",
                refuted_by="2",
            ),
        ),
        unseen="sshd shows it to who may reach it; the audit's own login is such a one, and reads no banner.",
        weight=2,
    ),
    Defence(
        id="hardening.su",
        title="Only administrators become another user by su",
        why="Without it every account on the host, a daemon's shell too, may try passwords of root's.",
        rows=("H08",),
        sets=(
            HostAnswer(
                subject="what su asks first",
                # Each line for a login counts, also one that may be missing ("-"), and what another file brings.
                command=_ASKED_FIRST.format(lines=2, service="su"),
                matches="auth sufficient pam_rootok.so\nauth required pam_wheel.so use_uid group=sudo",
                refuted_by="-auth sufficient pam_permit.so\nauth sufficient pam_rootok.so",
            ),
            HostAnswer(
                subject="what `su -` asks first",
                # A service of its own, which leads to that one.
                command=f"[ -e /etc/pam.d/su-l ] || exit 1; {_ASKED_FIRST.format(lines=1, service='su-l')}",
                matches="auth include su",
                refuted_by="auth sufficient pam_permit.so",
            ),
        ),
        unseen="su is met by who is logged in.",
        level="moderate",
        cost="Who is to use su must be in group sudo.",
        weight=4,
    ),
    Defence(
        id="hardening.sudo",
        title="What is run by sudo has a terminal of its own and is recorded",
        why="A program that shares the caller's terminal can type there after it has ended; a record shows who did what.",
        rows=("H08", "H28"),
        sets=(
            HostAnswer(
                subject="defaults of sudo that are not set",
                command=counted(
                    "said=$(sudo -n -l) || exit 1; for each in use_pty ignore_dot "
                    "logfile=/var/log/sudo.log timestamp_timeout=5 passwd_tries=3; do "
                    "case $said in *$each*) ;; *) echo $each ;; esac; done"
                ),
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="sudo is met by who is logged in.",
        weight=4,
    ),
    Defence(
        id="hardening.login-limits",
        title="A login cannot use the host up",
        why="One account that makes processes without end stops all mail.",
        rows=("H08",),
        sets=(
            HardLimit("nproc", "2048"),
            LoginDef("LOG_OK_LOGINS", "yes"),
            LoginDef("DEFAULT_HOME", "no"),
        ),
        unseen="Who has no login meets no limit of one.",
        level="moderate",
        cost="A user other than root runs at most 2048 processes, and cannot log in if his home is missing.",
        weight=3,
    ),
    Defence(
        id="hardening.idle-logins",
        title="A shell that nobody uses ends",
        why="A terminal that was left open is a login for whoever comes by.",
        rows=("H08",),
        sets=(
            HostAnswer(
                subject="seconds after which an idle shell ends",
                command="bash -lc 'echo $TMOUT; TMOUT=0' 2>&1 | head -n 1",
                matches="900",
                refuted_by="0",
            ),
        ),
        unseen="Only who has logged in meets it.",
        level="moderate",
        cost="A shell ends after 15 minutes without a key press; long work needs tmux or the like.",
        weight=3,
    ),
    Defence(
        id="hardening.sudo-group",
        title="Only administrators can start sudo at all",
        why="A flaw in sudo makes whoever can start it root, with a right to it or without: CVE-2021-3156 stood there for ten years.",
        rows=("H08",),
        sets=(
            HostState(
                subject="who may start sudo",
                command="stat --format '%a %U %G' /usr/bin/sudo",
                value=lambda gateway: f"4110 root {row(gateway).group('sudo')}",
                # Never the last thing that the deploying login could do, or any other administrator.
                remedy=_sudo_narrowed,
            ),
        ),
        unseen="sudo is met by who is logged in; the acceptance tests try as one who is no administrator.",
        level="paranoid",
        cost="Who is to use sudo must be in group sudo, also where a line of sudoers names him or her: operators of the quarantine "
        "who come by sudo are no longer possible.",
    ),
)
