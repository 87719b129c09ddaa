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
        value="var_accounts_passwords_pam_faillock_dir",
        to="/var/run/faillock",
        why="Where Debian's pam_faillock counts; the content has the directory of another distribution (hardening.audit).",
    ),
    Refined(
        value="sysctl_net_ipv4_conf_all_arp_filter_value",
        to="1",
        why="The content's own 0 lets each interface answer for all others (hardening.arp).",
    ),
    Refined(
        value="sysctl_net_ipv4_conf_all_arp_ignore_value",
        to="1",
        why=(
            "2 also asks that the other one's address is of the same network: many hosters route to a gateway by one "
            "that is not."
        ),
    ),
)

WAIVED: Final = (
    Waived(
        rules=("postfix_network_listening_disabled",),
        why="A mail gateway listens: that is what it is for.",
        instead=(
            "firewall.agreement",
            "mta.no-open-relay",
        ),
    ),
    Waived(
        rules=("package_sendmail_removed",),
        why="It is one of the two MTAs to choose from.",
        instead=(
            "mta.own-configuration",
            "hardening.no-other-services",
        ),
    ),
    Waived(
        rules=("postfix_client_configure_mail_alias",),
        why="The MTA reads no /etc/aliases; mail to root goes to the administrator's address by a table of its own.",
        instead=("mta.own-configuration",),
    ),
    Waived(
        rules=("sshd_disable_root_login",),
        why=(
            "A deploy comes as root where a host has no other login; it takes a key, and leaving root out is a matter "
            "of `hardening.ssh_groups`."
        ),
        instead=(
            "hardening.ssh-keys-only",
            "hardening.ssh-groups",
        ),
    ),
    Waived(
        rules=(
            "sudo_add_noexec",
            "sudo_add_requiretty",
        ),
        why="A deploy by sudo runs a shell that runs programs, and has no terminal.",
        instead=("hardening.sudo",),
    ),
    Waived(
        rules=(
            "sudoers_explicit_command_args",
            "sudoers_no_root_target",
        ),
        why=(
            "Administrators administrate: Debian's own line lets group sudo do everything as root, and who is in it is"
            " the question."
        ),
        instead=("hardening.sudo",),
    ),
    Waived(
        rules=(
            "sudo_dedicated_group",
            "file_permissions_sudo",
        ),
        why=(
            "Operators of the quarantine come by sudo, with one line of sudoers, and are not in the group of those who may do all; at"
            " level paranoid there are none."
        ),
        instead=("hardening.sudo", "hardening.sudo-group"),
        below="paranoid",
    ),
    Waived(
        rules=("sysctl_kernel_modules_disabled",),
        why=(
            "A ruleset of the packet filter that needs one more module could not be loaded, at a restart of its unit "
            "or by a deploy."
        ),
        instead=(
            "hardening.no-odd-protocols",
            "hardening.audit",
        ),
    ),
    Waived(
        rules=("accounts_password_set_max_life_root",),
        why="root has no password; one that has run out all the same would stop root's jobs, and the deploy's login.",
        instead=("hardening.root-locked",),
    ),
    Waived(
        rules=("sysctl_kernel_perf_event_paranoid",),
        why="Asked for is 2; 3, Debian's own addition, lets nobody but root count at all.",
        instead=("hardening.kernel-secrets",),
    ),
    Waived(
        rules=("sysctl_kernel_yama_ptrace_scope",),
        why="Asked for is exactly 1; at level paranoid it is 2, by which only root looks into processes.",
        instead=("hardening.kernel-surface",),
    ),
    Waived(
        rules=("sysctl_kernel_pid_max",),
        why=(
            "Fewer process ids come back sooner, which is what a race for one waits for; how many processes there are "
            "is bounded by login."
        ),
        instead=("hardening.login-limits",),
    ),
    Waived(
        rules=("accounts_password_pam_unix_rounds_password_auth",),
        why="At yescrypt's cost 11 each check of a password takes 3 seconds and a gigabyte of memory.",
        instead=("hardening.password-hash",),
    ),
    Waived(
        rules=("package_pam_apparmor_installed",),
        why="It gives logins profiles of their own, of which Debian has none; daemons have theirs.",
        instead=("sandbox.apparmor",),
    ),
    Waived(
        rules=(
            "accounts_passwords_pam_faillock_deny",
            "accounts_passwords_pam_faillock_interval",
            "accounts_passwords_pam_faillock_unlock_time",
        ),
        why=(
            "The content looks for pam_faillock as another distribution arranges it; the acceptance tests lock an "
            "account by wrong passwords."
        ),
        instead=("hardening.password-tries",),
    ),
    Waived(
        rules=("accounts_tmout",),
        why="It wants `declare -xr`, which only bash knows; this file is read by other shells too.",
        instead=("hardening.idle-logins",),
    ),
    Waived(
        rules=(
            "accounts_umask_etc_bashrc",
            "accounts_umask_etc_profile",
        ),
        why="A shell's profile binds nobody who does not want to be bound; the umask is set by PAM, for every session.",
        instead=("hardening.umask",),
    ),
    Waived(
        rules=("no_direct_root_logins",),
        why="It wants an empty /etc/securetty, which nothing in Debian 12 reads.",
        instead=("hardening.root-locked",),
    ),
    Waived(
        rules=("audit_rules_networkconfig_modification",),
        why="It wants /etc/sysconfig/network watched, which is another distribution's; Debian's files are.",
        instead=("hardening.audit",),
    ),
    Waived(
        rules=("audit_rules_sysadmin_actions",),
        why="It wants a slash behind /etc/sudoers.d, which auditctl does not list; the directory is watched.",
        instead=("hardening.audit",),
    ),
    Waived(
        rules=(
            "audit_rules_privileged_commands",
            "audit_rules_privileged_commands_sudo",
        ),
        why=(
            "It wants a rule for each program that runs as its owner, by a number that must agree: sudo and su are "
            "watched, whoever starts them, and few others are left."
        ),
        instead=(
            "hardening.audit",
            "hardening.few-privileged-programs",
        ),
    ),
    Waived(
        rules=(
            "audit_rules_privileged_commands_insmod",
            "audit_rules_privileged_commands_kmod",
            "audit_rules_privileged_commands_modprobe",
            "audit_rules_privileged_commands_rmmod",
        ),
        why="The system calls by which modules come and go are recorded, whichever program makes them.",
        instead=("hardening.audit",),
    ),
    Waived(
        rules=(
            "rsyslog_files_groupownership",
            "rsyslog_files_ownership",
            "rsyslog_files_permissions",
        ),
        why="rsyslog writes no files: the journal keeps the log, and is root's and group systemd-journal's.",
        instead=("hardening.journal",),
    ),
    Waived(
        rules=(
            "rsyslog_remote_loghost",
            "rsyslog_remote_tls",
            "rsyslog_remote_tls_cacert",
        ),
        why=(
            "The content knows rsyslog's older notation, and the newer one on one line; the acceptance tests read the "
            "lines that arrive by TLS."
        ),
        instead=("hardening.remote-log",),
    ),
    Waived(
        rules=("ensure_logrotate_activated",),
        why="It wants the word daily in Debian's own file; what the gateway lets grow has a file of its own.",
        instead=("hardening.log-rotation",),
    ),
    Waived(
        rules=("sysctl_fs_protected_fifos",),
        why="The content also reads Debian's own 99-protect-links.conf, which says less and is overridden by a later file.",
        instead=("hardening.links",),
    ),
    Waived(
        rules=("audit_rules_immutable",),
        why="New audit rules would take a restart.",
        instead=("hardening.audit-sealed",),
        below="paranoid",
    ),
    Waived(
        rules=("audit_rules_unsuccessful_file_modification_*",),
        why="A record for each file that was refused to somebody.",
        instead=("hardening.audit-all",),
        below="paranoid",
    ),
    Waived(
        rules=("sysctl_kernel_panic_on_oops",),
        why="A driver's harmless fault would restart the machine.",
        instead=("hardening.kernel-panic",),
        below="paranoid",
    ),
    Waived(
        rules=("sysctl_net_ipv4_conf_all_drop_gratuitous_arp",),
        why="It delays the change from one router to another that takes its address over.",
        instead=("hardening.gratuitous-arp",),
        below="paranoid",
    ),
    Waived(
        rules=("aide_build_database",),
        why="It looks for `database=`, which AIDE 0.18 no longer takes; the baseline is named by `database_in=`.",
        instead=(
            "integrity.baseline",
            "integrity.database",
        ),
    ),
    Waived(
        rules=(
            "aide_periodic_checking_systemd_timer",
            "aide_periodic_cron_checking",
            "aide_scan_notification",
        ),
        why=(
            "It wants AIDE itself started, by a unit of one name or a line of cron, and its whole list mailed; what is started "
            "each night explains the list, and says by the daily report and an alert what nobody explains."
        ),
        instead=(
            "integrity.nightly",
            "integrity.explained",
        ),
    ),
    Waived(
        rules=("kernel_config_*",),
        why="How Debian has built its kernel.",
        instead=(MACHINE,),
    ),
    Waived(
        rules=(
            "partition_for_*",
            "mount_option_nodev_nonroot_local_partitions",
        ),
        why="How a disk is divided is decided before a deploy comes; what everybody may write runs nothing all the same.",
        instead=(
            MACHINE,
            "hardening.shared-directories",
            "hardening.journal",
        ),
    ),
    Waived(
        rules=(
            "service_auditd_enabled",
            "service_chronyd_or_ntpd_enabled",
            "apparmor_configured",
        ),
        why="It asks whether the daemon runs, or the profiles are loaded, which in a container they are not.",
        instead=(
            MACHINE,
            "hardening.audit",
            "hardening.clock",
            "sandbox.apparmor",
        ),
    ),
    Waived(
        rules=("grub2_enable_apparmor",),
        why="AppArmor is on in Debian's kernel without a word on its command line.",
        instead=(
            MACHINE,
            "sandbox.apparmor",
        ),
    ),
    Waived(
        rules=("sysctl_net_core_bpf_jit_harden",),
        why="A container's network has no such parameter.",
        instead=(
            MACHINE,
            "hardening.kernel-surface",
        ),
    ),
    Waived(
        rules=("prefer_64bit_os",),
        why="It reads the architecture from the kernel's release, in which not every kernel names it.",
        instead=(MACHINE,),
    ),
)
