"""The files of the operating system's defences: each wholly ours, or a drop-in beside the distribution's."""

from collections.abc import Iterator

from roles.hardening import paths
from roles.hardening.defences import DEFENCES
from roles.kinds import (
    AuditRules,
    FaillockOption,
    HardLimit,
    InterfaceSysctl,
    JournaldOption,
    LineOption,
    LoginDef,
    ModuleBlocked,
    MountOptions,
    PwqualityOption,
    SshdOption,
    Sysctl,
)
from roles.platforms import Platform
from roles.rendering import OwnedFile, lines, rendered
from roles.settings import Gateway

# Without its line, or with it inside of a Match block, sshd reads nothing of ours and says nothing of it.
_INCLUDED = (
    """awk 'tolower($1) == "match" { exit } """
    """tolower($0) ~ /^[ \\t]*include[ \\t=].*sshd_config\\.d\\/(\\*|00-bastide\\.conf)/ { found = 1 } """
    "END { exit !found }' /etc/ssh/sshd_config || { echo '/etc/ssh/sshd_config does not include /etc/ssh/sshd_config.d, where "
    "what is set for sshd stands: write `Include /etc/ssh/sshd_config.d/*.conf` as its first line, and deploy again' >&2; exit 1; }"
)
# What each file's own reader says of it; $stage is where it is before it goes live.
CHECKS = (
    # Never a configuration that sshd refuses, nor one that does not let the deploying login in again.
    _INCLUDED,
    f"mkdir -p /run/sshd; sshd -t -f $stage{paths.SSHD}",
    "groups=$(sed -n 's/^AllowGroups //p' $stage" + paths.SSHD + "); who=${SUDO_USER:-$(id -un)}; found=; "
    'for g in $(id -Gn $who); do case " ${groups:-$g} " in *" $g "*) found=1 ;; esac; done; '
    '[ "$found" ] || { echo "$who is in none of the groups that may log in by ssh: $groups '
    '(setting hardening.ssh_groups)" >&2; exit 1; }',
    f"visudo -q -c -f $stage{paths.SUDOERS}",
    # Line by line: where AppArmor holds chronyd it may read no file of the stage.
    (
        'set --; while IFS= read -r l; do case $l in "" | "#"*) ;; *) set -- "$@" "$l" ;; esac; '
        f'done <$stage{paths.CHRONY}; chronyd -p "$@" >/dev/null'
    ),
    # It says of each fault that it goes on without, and that is one.
    (
        f"said=$(logrotate --debug --state /dev/null $stage{paths.LOGROTATE} 2>&1); "
        'case $said in *error:*) echo "$said" >&2; exit 1 ;; esac'
    ),
    f"[ ! -e $stage{paths.RSYSLOG} ] || rsyslogd -N1 -f $stage{paths.RSYSLOG}",
)
_ROTATED = (
    "/var/log/sudo.log {",
    *(
        f"    {each}"
        for each in ("monthly", "rotate 12", "maxsize 10M", "compress", "delaycompress", "missingok")
    ),
    *(f"    {each}" for each in ("notifempty", "create 0600 root root")),
    "}",
)
# The section of systemd-system.conf(5) that holds these.
_MANAGER = (
    ("hardening.no-console-reboot", "CtrlAltDelBurstAction=none"),
    ("hardening.no-cores", "DefaultLimitCORE=0"),
)
_SUDO = (
    "Defaults use_pty",
    'Defaults logfile="/var/log/sudo.log"',
    "Defaults timestamp_timeout=5",
    "Defaults passwd_tries=3",
    # The directory that somebody stands in is none of his path's, whatever that says.
    "Defaults ignore_dot",
)


def sysctl_file(gateway: Gateway) -> OwnedFile:
    """Return the kernel's parameters."""
    return _options(paths.SYSCTL, gateway, Sysctl, InterfaceSysctl)


def files(gateway: Gateway, platform: Platform) -> Iterator[OwnedFile]:
    """Give every other file of this layer."""
    standing = frozenset(each.id for each in DEFENCES if each.stands(gateway))
    yield OwnedFile(
        path=paths.SSHD,
        content=rendered(
            "hardening",
            "sshd.conf.j2",
            gateway,
            options=list(lines(DEFENCES, SshdOption, gateway)),
        ),
        mode="600",
    )
    login_defs = list(lines(DEFENCES, LoginDef, gateway))
    yield OwnedFile(
        path=paths.LOGIN_DEFS, content=rendered("hardening", "login.defs.j2", gateway, options=login_defs)
    )
    yield _options(PwqualityOption.FILE, gateway, PwqualityOption)
    yield _options(FaillockOption.FILE, gateway, FaillockOption)
    yield _options(
        paths.LIMITS, gateway, HardLimit, more=[("hardening.login-limits", ["* hard maxlogins 10"])]
    )
    yield _options(paths.MODULES, gateway, ModuleBlocked)
    yield _options(paths.JOURNALD, gateway, JournaldOption, heading="[Journal]")
    manager = [(id_, [line]) for id_, line in _MANAGER if id_ in standing]
    yield _written(paths.SYSTEMD, gateway, manager, heading="[Manager]")
    if "hardening.no-cores" in standing:
        # For the day when somebody installs systemd-coredump(8), which sets a core_pattern of its own.
        none = [("hardening.no-cores", ["Storage=none", "ProcessSizeMax=0"])]
        yield _written(paths.COREDUMP, gateway, none, heading="[Coredump]")
    by_sudo = [("hardening.umask", ["Defaults umask=0027"])] if "hardening.umask" in standing else []
    yield _written(paths.SUDOERS, gateway, [("hardening.sudo", list(_SUDO)), *by_sudo], mode="440")
    if platform.pam == "pam-auth-update":
        yield from _pam(gateway, standing)
    yield from _logins(gateway, standing)
    yield from _logs(gateway, platform)
    mounts = [
        _mount(setting)
        for each in DEFENCES
        if each.stands(gateway)
        for setting in each.sets
        if isinstance(setting, MountOptions)
    ]
    if mounts:
        yield OwnedFile(
            path=paths.MOUNTS_UNIT,
            content=rendered("hardening", "bastide-mounts.service.j2", gateway, mounts=mounts),
        )
    if "hardening.grub-password" in standing:
        yield OwnedFile(
            path=paths.GRUB_USERS, content=rendered("hardening", "grub-users.j2", gateway), mode="700"
        )
        entries = rendered("hardening", "grub-entries.j2", gateway, wrapped=paths.GRUB_WRAPPED)
        yield OwnedFile(path=paths.GRUB_ENTRIES, content=entries, mode="755")


def _options(
    path: str,
    gateway: Gateway,
    *kinds: type[LineOption],
    heading: str = "",
    more: list[tuple[str, list[str]]] | None = None,
) -> OwnedFile:
    """Return a file of lines, each group below the id of its record; ``more`` are lines that nothing can be asked for."""
    own = [(id_, group) for kind in kinds for id_, group in lines(DEFENCES, kind, gateway)]
    extra = [
        (id_, group)
        for id_, group in more or []
        if id_ in {each.id for each in DEFENCES if each.stands(gateway)}
    ]
    return _written(path, gateway, [*own, *extra], heading=heading)


def _written(
    path: str, gateway: Gateway, options: list[tuple[str, list[str]]], *, heading: str = "", mode: str = "644"
) -> OwnedFile:
    content = rendered("hardening", "options.j2", gateway, options=options, heading=heading)
    return OwnedFile(path=path, content=content, mode=mode)


def _pam(gateway: Gateway, standing: frozenset[str]) -> Iterator[OwnedFile]:
    """Give what pam-auth-update(8) makes the common files of, and su's own one."""
    for name, (id_, text) in _PROFILES.items():
        if id_ in standing:
            yield OwnedFile(path=f"{paths.PAM_PROFILES}/bastide-{name}", content=text)
    yield OwnedFile(
        path="/etc/pam.d/su",
        content=rendered("hardening", "pam-su.j2", gateway, only_admins="hardening.su" in standing),
    )


def _profile(title: str, priority: int, *sections: tuple[str, str]) -> str:
    """Return a profile of pam-auth-update(8): modules by their section, ``Auth`` and the like, primary ones if priority counts.

    A higher priority is asked earlier; Debian's own pam_pwquality has 1024 and pam_unix 256.
    """
    blocks = "".join(
        f"{name}-Type: {'Primary' if name in _ORDERED else 'Additional'}\n{name}:\n\t{module}\n"
        for name, module in sections
    )
    return f"Name: Bastide: {title}\nDefault: yes\nPriority: {priority}\n{blocks}"


_ORDERED = ("Auth", "Password")
_PROFILES = {
    "tries": (
        "hardening.password-tries",
        _profile(
            "no more tries for an account that is locked",
            1024,
            ("Auth", "requisite pam_faillock.so preauth"),
            ("Account", "required pam_faillock.so"),
        ),
    ),
    "failed": (
        "hardening.password-tries",
        _profile("count a wrong password", 0, ("Auth", "[default=die] pam_faillock.so authfail")),
    ),
    "history": (
        "hardening.password-history",
        _profile(
            "former passwords do not come back",
            512,
            ("Password", "requisite pam_pwhistory.so remember=24 enforce_for_root use_authtok"),
        ),
    ),
    "umask": (
        "hardening.umask",
        _profile("the umask of login.defs", 0, ("Session", "optional pam_umask.so nousergroups")),
    ),
}


def _logins(gateway: Gateway, standing: frozenset[str]) -> Iterator[OwnedFile]:
    """Give what is shown before and read at a login."""
    banner = f"{gateway.hardening.banner}\n"
    yield from (OwnedFile(path=f"/etc/{name}", content=banner) for name in ("issue", "issue.net"))
    yield OwnedFile(path="/etc/motd", content="")
    if "hardening.jobs-by-root" in standing:
        yield from (OwnedFile(path=f"/etc/{name}.allow", content="root\n") for name in ("cron", "at"))
    idle = [("hardening.idle-logins", ["TMOUT=900", "readonly TMOUT", "export TMOUT"])]
    if "hardening.idle-logins" in standing:
        yield _written("/etc/profile.d/bastide.sh", gateway, idle)


def _logs(gateway: Gateway, platform: Platform) -> Iterator[OwnedFile]:
    records = [
        (each.id, rules)
        for each in DEFENCES
        if each.stands(gateway)
        and (rules := [rule for s in each.sets if isinstance(s, AuditRules) for rule in s.lines(gateway)])
    ]
    if records:
        text = rendered("hardening", "audit.rules.j2", gateway, records=records)
        yield OwnedFile(path=paths.AUDIT_RULES, content=text, mode="640")
    sealed = next(each for each in DEFENCES if each.id == "hardening.audit-sealed").stands(gateway)
    end = [("hardening.audit-sealed", ["-e 2"])] if sealed else []
    yield _written(paths.AUDIT_END, gateway, end, mode="640")
    yield _written(paths.LOGROTATE, gateway, [("hardening.log-rotation", list(_ROTATED))])
    yield OwnedFile(
        path=platform.here(paths.CHRONY), content=rendered("hardening", "chrony.conf.j2", gateway)
    )
    if gateway.hardening.remote_log.host:
        yield OwnedFile(path=paths.RSYSLOG, content=rendered("hardening", "rsyslog.conf.j2", gateway))


def _mount(mount: MountOptions) -> str:
    """Return the shell command that gives a path its options: what is mounted there stays, else it is mounted on itself."""
    path, options = mount.path, ",".join(mount.options)
    return f"mountpoint -q {path} || mount --bind {path} {path}; mount -o remount,bind,{options} {path}"
