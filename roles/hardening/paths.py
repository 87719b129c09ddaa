"""Where the files of the operating system's defences stand."""

# The last one of sysctl.d(5), whose files are read in the order of their names, whatever directory they are in: Debian's own
# 99-protect-links.conf would else take a part of hardening.links back at each boot.
SYSCTL = "/etc/sysctl.d/zz-bastide.conf"
# sshd takes the first value that it reads, and reads these in the order of their names.
SSHD = "/etc/ssh/sshd_config.d/00-bastide.conf"
# Below these stands who may log in, and become root.
OF_LOGINS = ("/etc/ssh/", "/etc/sudoers.d/", "/etc/security/", "/etc/pam.d/", "/usr/share/pam-configs/")
# What pam-auth-update(8) makes of its profiles, and what it remembers of that.
_PAM_PARTS = ("auth", "account", "password", "session", "session-noninteractive")
PAM_WRITTEN = (
    *(f"/etc/pam.d/common-{part}" for part in _PAM_PARTS),
    *(f"/var/lib/pam/{part}" for part in (*_PAM_PARTS, "seen")),
)
LOGIN_DEFS = "/etc/login.defs"
# The last one, as above: Debian 13 has a syslog.conf of its own among these, which sends the journal on.
JOURNALD = "/etc/systemd/journald.conf.d/zz-bastide.conf"
SYSTEMD = "/etc/systemd/system.conf.d/bastide.conf"
COREDUMP = "/etc/systemd/coredump.conf.d/bastide.conf"
MODULES = "/etc/modprobe.d/bastide.conf"
LIMITS = "/etc/security/limits.d/90-bastide.conf"
SUDOERS = "/etc/sudoers.d/bastide"
PAM_PROFILES = "/usr/share/pam-configs"
AUDIT_RULES = "/etc/audit/rules.d/50-bastide.rules"
# The last one that augenrules(8) reads: nothing can be added after it.
AUDIT_END = "/etc/audit/rules.d/99-bastide.rules"
LOGROTATE = "/etc/logrotate.d/bastide"
CHRONY = "/etc/chrony/chrony.conf"
RSYSLOG = "/etc/rsyslog.conf"
MOUNTS_UNIT = "/etc/systemd/system/bastide-mounts.service"
# grub-mkconfig(8) runs what is executable below /etc/grub.d; the second of ours runs the distribution's own script.
GRUB_USERS = "/etc/grub.d/01_bastide"
GRUB_ENTRIES = "/etc/grub.d/11_bastide"
GRUB_WRAPPED = "/etc/grub.d/10_linux"
# There while nobody has confirmed what decides logins: the script that a boot runs then (roles/logins.py).
UNCONFIRMED = "/var/lib/bastide/logins-unconfirmed"
