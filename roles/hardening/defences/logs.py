"""Logs: what is recorded, that it stays, and that the clock is right."""

from roles.defence import Defence
from roles.kinds import AuditRules, FileMode, HostAnswer, JournaldOption, UnitOption
from roles.kinds.questions import counted

_INSIDE = "Records are written for the administrator; an outsider sees nothing of them."
# Whoever has logged in, whatever he has become since; daemons have not.
_BY_PEOPLE = " -F auid>=1000 -F auid!=unset"


def _watched(key: str, *paths: str) -> tuple[str, ...]:
    """Return the rules that record each change of some files."""
    return tuple(f"-w {path} -p wa -k {key}" for path in paths)


def _called(key: str, *calls: str, more: str = "") -> tuple[str, ...]:
    """Return the rules that record system calls of both word sizes."""
    return tuple(
        f"-a always,exit -F arch={arch} -S {','.join(calls)}{more} -F key={key}" for arch in ("b32", "b64")
    )


DEFENCES = (
    Defence(
        id="hardening.journal",
        title="The log outlives a restart, in bounds",
        why="The first thing that a break-in is followed by is a restart; a log that fills the disk stops the mail.",
        rows=("H28",),
        sets=(
            JournaldOption("Storage", "persistent"),
            JournaldOption("SystemMaxUse", "1G"),
            JournaldOption("SystemKeepFree", "1G"),
            JournaldOption("MaxRetentionSec", "90day"),
            JournaldOption("Compress", "yes"),
            HostAnswer(
                subject="where the journal is written to",
                command=counted(
                    "find /var/log/journal -ignore_readdir_race -mindepth 2 -name system.journal"
                ),
                matches="1",
                refuted_by="0",
            ),
        ),
        unseen=_INSIDE,
        weight=7,
    ),
    Defence(
        id="hardening.remote-log",
        title="Every line of the log is at once on another host, by TLS",
        why="Who has broken in edits what is here; what has left he cannot take back.",
        rows=("H28",),
        sets=(
            # The copy is made of the journal, which has the kernel's and the audit's lines too; nobody reads a second stream.
            JournaldOption("ForwardToSyslog", "no"),
            UnitOption(unit="rsyslog.service", option="ActiveState", value="active"),
            UnitOption(unit="rsyslog.service", option="UnitFileState", value="enabled"),
            HostAnswer(
                subject="faults of the log daemon's configuration",
                command="rsyslogd -N1 >/dev/null 2>&1; echo $?",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen=_INSIDE,
        when=lambda gateway: bool(gateway.hardening.remote_log.host),
        weight=7,
    ),
    Defence(
        id="hardening.audit",
        title="The kernel records changes of accounts, rights, time, network, modules and of these defences",
        why="Programs can be made to log nothing; the kernel sees every call, whoever makes it.",
        rows=("H28",),
        sets=(
            UnitOption(unit="auditd.service", option="ActiveState", value="active", needs="audit"),
            UnitOption(unit="auditd.service", option="UnitFileState", value="enabled"),
            AuditRules(
                about="changes of accounts",
                rules=_watched(
                    "identity",
                    *(
                        f"/etc/{name}"
                        for name in ("passwd", "group", "shadow", "gshadow", "security/opasswd")
                    ),
                ),
            ),
            AuditRules(
                about="changes of who may become root",
                rules=_watched(
                    "rights",
                    *("/etc/sudoers", "/etc/sudoers.d", "/etc/pam.d", "/etc/security", "/var/log/sudo.log"),
                ),
            ),
            AuditRules(
                about="who asked to become another",
                rules=tuple(f"-w /usr/bin/{name} -p x -k rights" for name in ("su", "sudo")),
            ),
            AuditRules(
                about="logins",
                rules=_watched(
                    "logins",
                    *(
                        "/var/log/lastlog",
                        "/var/run/faillock",
                        "/var/log/wtmp",
                        "/var/log/btmp",
                        "/var/run/utmp",
                    ),
                ),
            ),
            AuditRules(
                about="changes of the gateway's defences",
                rules=_watched(
                    "defences",
                    *(
                        "/etc/ssh",
                        "/etc/iptables",
                        "/etc/postfix",
                        "/etc/filterd",
                        "/etc/clamav",
                        "/etc/spamassassin",
                    ),
                    *(
                        "/etc/unbound",
                        "/etc/audit",
                        "/etc/apparmor.d",
                        "/etc/sysctl.d",
                        "/etc/systemd/system",
                        "/opt/filterd",
                    ),
                ),
            ),
            AuditRules(
                about="changes of programs and of what starts",
                rules=_watched(
                    "programs", "/usr/bin", "/usr/sbin", "/usr/lib/systemd", "/usr/local", "/boot", "/root"
                ),
            ),
            AuditRules(
                about="changes of the clock",
                rules=(
                    "-a always,exit -F arch=b32 -S stime,settimeofday,adjtimex -F key=time",
                    "-a always,exit -F arch=b64 -S adjtimex,settimeofday -F key=time",
                    # What date(1) calls today, of the clock that tells the time of day (a0 is CLOCK_REALTIME).
                    *_called("time", "clock_settime", more=" -F a0=0x0"),
                    *_watched("time", "/etc/localtime"),
                ),
            ),
            AuditRules(
                about="changes of names and addresses",
                rules=(
                    *_called("network", "sethostname", "setdomainname"),
                    *_watched("network", "/etc/hosts", "/etc/network", "/etc/resolv.conf"),
                    *_watched("network", "/etc/issue", "/etc/issue.net"),
                ),
            ),
            AuditRules(
                about="kernel modules",
                rules=_called("modules", "init_module", "delete_module", "finit_module"),
            ),
            AuditRules(
                about="mounts",
                rules=_called("mounts", "mount", "umount2", more=_BY_PEOPLE),
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Some disk and processor time; auditd keeps its own files in /var/log/audit.",
        weight=7,
    ),
    Defence(
        id="hardening.audit-all",
        title="The kernel records who was refused a file, who ran a program as root, and who deletes",
        why="They are the steps of somebody who looks around.",
        rows=("H28",),
        sets=(
            AuditRules(
                about="files that were refused",
                rules=(
                    *_called(
                        "refused",
                        "open",
                        "creat",
                        "truncate",
                        "ftruncate",
                        "openat",
                        more=f" -F exit=-EACCES{_BY_PEOPLE}",
                    ),
                    *_called(
                        "refused",
                        "open",
                        "creat",
                        "truncate",
                        "ftruncate",
                        "openat",
                        more=f" -F exit=-EPERM{_BY_PEOPLE}",
                    ),
                ),
            ),
            AuditRules(
                about="programs that ran as root for another",
                rules=_called("as-root", "execve", more=f" -F euid=0{_BY_PEOPLE}"),
            ),
        ),
        unseen=_INSIDE,
        level="paranoid",
        cost="Some thousand records a day of an administrator's ordinary work.",
        weight=4,
    ),
    Defence(
        id="hardening.audit-sealed",
        title="Nobody changes what the kernel records before the next restart",
        why="root's first command after a break-in would be to switch the records off.",
        rows=("H28",),
        sets=(
            HostAnswer(
                subject="state of the kernel's audit",
                command="auditctl -s | sed -n 's/^enabled //p'",
                matches="2",
                refuted_by="1",
                needs="audit",
            ),
        ),
        unseen=_INSIDE,
        level="paranoid",
        cost="New audit rules take effect with the next restart.",
        weight=4,
    ),
    Defence(
        id="hardening.accounting",
        title="Each process that ends is accounted for",
        why="It tells afterwards what was run, when and by whom, where nothing else recorded it.",
        rows=("H28",),
        sets=(
            UnitOption(unit="acct.service", option="UnitFileState", value="enabled"),
            UnitOption(unit="acct.service", option="ActiveState", value="active", needs="kernel"),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Some disk for /var/log/account.",
        weight=2,
    ),
    Defence(
        id="hardening.clock",
        title="The clock is right",
        why="Logs that disagree prove nothing; DNSSEC, TLS and one-time codes fail by a wrong clock. After a boot with a dead clock "
        "the resolver believes no name before the time is right, so that one server has to be known by its address (task site.time).",
        rows=("H28", "H08"),
        sets=(
            UnitOption(unit="chrony.service", option="UnitFileState", value="enabled"),
            UnitOption(unit="chrony.service", option="ActiveState", value="active", needs="kernel"),
            FileMode(path="/etc/chrony/chrony.conf", mode="644"),
            HostAnswer(
                subject="servers that the clock follows",
                command="chronyd -p | grep -cE '^(pool|server) '",
                matches=r"[1-9]\d*",
                refuted_by="0",
            ),
        ),
        unseen=_INSIDE,
        weight=6,
    ),
    Defence(
        id="hardening.audit-owners",
        title="The kernel records who changes modes, owners and attributes of files, renames and removes them",
        why="It is how what was laid down is made to run, and how its traces go.",
        rows=("H28",),
        sets=(
            AuditRules(
                about="changes of modes",
                rules=_called("owners", "chmod", "fchmod", "fchmodat", more=_BY_PEOPLE),
            ),
            AuditRules(
                about="changes of owners",
                rules=_called("owners", "chown", "fchown", "fchownat", "lchown", more=_BY_PEOPLE),
            ),
            AuditRules(
                about="changes of attributes",
                rules=_called(
                    "owners",
                    *(f"{which}{call}xattr" for call in ("set", "remove") for which in ("", "f", "l")),
                    more=_BY_PEOPLE,
                ),
            ),
            AuditRules(
                about="files that are renamed or removed",
                rules=_called(
                    "removed",
                    *("rename", "renameat", "renameat2", "rmdir", "unlink", "unlinkat"),
                    more=_BY_PEOPLE,
                ),
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Some hundred records for each deploy or upgrade that an administrator starts by sudo; daemons make none.",
        weight=3,
    ),
    Defence(
        id="hardening.log-rotation",
        title="What is logged past the journal does not fill the disk",
        why="Who may run anything by sudo, or try to, makes its record grow; nobody rotates it by default.",
        rows=("H28",),
        sets=(
            UnitOption(unit="logrotate.timer", option="UnitFileState", value="enabled"),
            UnitOption(unit="logrotate.timer", option="ActiveState", value="active"),
            HostAnswer(
                subject="logs that logrotate knows",
                command="logrotate --debug --state /dev/null /etc/logrotate.conf 2>&1 | "
                "sed -n 's#^considering log \\(/var/log/sudo.log\\)$#\\1#p'",
                matches="/var/log/sudo.log",
                refuted_by="",
            ),
        ),
        unseen=_INSIDE,
        weight=2,
    ),
)
