"""Platforms as data: what each supported distribution calls its packages, paths, units and users.

Roles read this table and never ask which distribution they are on. Adding a platform is adding a row.
The names were read from the packages themselves.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from roles.managers import APT, DNF, Manager
from roles.settings import Gateway, Mta, PlatformName

# From this one on Postfix names its defaults by releases; before that, by 0, 1 and 2.
_LEVELS_BY_RELEASE = (3, 6)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One distribution release.

    ``packages`` maps a layer's name to the packages that layer installs (without their dependencies), ``parts`` the
    name of a part of one that settings may leave out; a part that is not there the platform has not. What the MTA's installs
    depends on which it is, and the two exclude each other. ``scanners`` are of no layer: `audit.scanners` installs them for
    the length of a scan. ``manager`` installs all of these.

    Records and roles call things by Debian 12's names; what is called otherwise here is in ``units``, ``paths`` (files and, with
    all below them, directories), ``programs`` (by their bare names), ``users`` and ``groups``. Of the users ``clamd`` and
    ``freshclam`` are no names of Debian's, which has one for both. ``modes``: what `stat --format '%a %U %G'` may say of a file
    here, where it is not what a record says.
    ``lacks``: records that the platform cannot have yet, by their ids or their layer, each with the reason, which the audit prints
    in their place.
    ``privileged`` and ``unprivileged`` are programs, beside Debian's, that run as their owner for everybody: with a reason, and
    without. ``unwanted`` are packages that no gateway needs, by kind, where they are called otherwise.

    ``postfix_ready`` is what makes Postfix's chroot ready before its unit starts; empty: its daemons run in none.
    ``programs_in_root``: whether packages name programs below /bin and /sbin, as dpkg-statoverride(1) must then.
    ``loads_rules``: whether a package brings the unit that loads the packet filter's rules at boot; else we do.
    ``mac``: what of the kernel's holds daemons to profiles. ``clamd_socket``: whether systemd makes clamd's socket; else clamd does
    and is started when it answers. ``postfix_release``: what its Postfix is. ``postfix`` are parameters of main.cf that say where
    its package has put things. ``mta_files`` is what is kept from the filter's engines (InaccessiblePaths of systemd.exec(5)).
    ``resolver_files`` keep others' hands off resolv.conf, each with its content.
    ``enables``: whether packages enable their units; else each that a container does not run is enabled too. ``clock_exposure``:
    the sandbox that is left to chronyd (see roles/sandbox), which under EL starts as root and becomes its user by itself.
    ``unbound_directory``: whether a package brings unbound.conf.d; else we make it.
    ``root_hints``: whether a package brings the root servers' addresses; else unbound has its own. ``pam``: what makes PAM's
    common files; only that of Debian is driven yet. ``sshd`` are lines for sshd's own configuration,
    ``login_defs`` for login.defs(5).
    ``python`` is the ABI tag of its Python.
    ``security_origins`` give out security updates, ``every_origin`` all others of the release: fields of its Release files.
    """

    name: PlatformName
    title: str
    os_ids: tuple[str, ...]  # ID of os-release(5)
    version: str  # its VERSION_ID, or that without what follows its first point
    manager: Manager = APT
    packages: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]
    mta: Mapping[Mta, tuple[str, ...]]
    scanners: tuple[str, ...]
    units: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    privileged: tuple[str, ...] = ()
    unprivileged: tuple[str, ...] = ()
    unwanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    postfix_ready: str
    programs_in_root: bool
    loads_rules: bool = True
    unbound_directory: bool = True
    root_hints: bool = True
    mac: Literal["apparmor", "selinux"] = "apparmor"
    clamd_socket: bool = True
    enables: bool = True
    clock_exposure: str = "3.0"
    postfix_release: tuple[int, int]
    postfix: Mapping[str, str] = field(default_factory=dict)
    mta_files: str = "-/etc/postfix -/etc/mail"
    resolver_files: Mapping[str, str] = field(default_factory=dict)
    pam: Literal["pam-auth-update", "authselect"] = "pam-auth-update"
    sshd: tuple[str, ...] = ("DebianBanner no",)
    login_defs: tuple[str, ...] = ()
    python: str
    security_origins: tuple[str, ...] = ()
    every_origin: tuple[str, ...] = ()

    def every_package(self, mta: Mta) -> tuple[str, ...]:
        """Return each package that any layer installs on a gateway with this MTA, sorted."""
        layers = (*self.packages.values(), *self.parts.values(), self.mta[mta])
        return tuple(sorted({name for names in layers for name in names}))

    def unit(self, name: str) -> str:
        """Return what a unit is called here that Debian 12 calls by that name."""
        return self.units.get(name, name)

    def user(self, name: str) -> str:
        """Return what a user is called here that Debian 12 calls by that name."""
        return self.users.get(name, name)

    def group(self, name: str) -> str:
        """Return what a group is called here that Debian 12 calls by that name."""
        return self.groups.get(name, name)

    def here(self, text: str) -> str:
        """Return a path, a command or a text with its paths, units and programs as they are called here."""
        return self._called.sub(lambda found: self._names[found[0]], text) if self._names else text

    @property
    def postfix_level(self) -> str:
        """Return whose defaults its Postfix is to have (postconf(5), compatibility_level): the newest that we know, as it writes it."""
        return "3.6" if self.postfix_release >= _LEVELS_BY_RELEASE else "2"

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {**self.units, **self.paths, **self.programs}

    @cached_property
    def _called(self) -> re.Pattern[str]:
        """Match each name as a whole: a path may stand behind a directory of the stage and before what is below it, a unit in a path."""
        names = [
            *(rf"{re.escape(each)}(?![\w.-])" for each in sorted(self.paths, key=len, reverse=True)),
            *(rf"(?<![\w@.-]){re.escape(each)}(?![\w@-])" for each in self.units),
            *(rf"(?<![\w@./-]){re.escape(each)}(?![\w.-])" for each in self.programs),
        ]
        return re.compile("|".join(names))


DEBIAN_12 = Platform(
    name="debian12",
    title="Debian 12 (bookworm)",
    os_ids=("debian",),
    version="12",
    packages={
        "firewall": ("ipset", "ipset-persistent", "iptables", "iptables-persistent"),
        # Without its dictionary pam_pwquality refuses every password.
        "hardening": (
            *("acct", "auditd", "chrony", "cracklib-runtime", "kmod", "libpam-pwquality", "logrotate"),
            *("openssh-server", "sudo"),
        ),
        "sandbox": ("apparmor",),
        "dns": ("dns-root-data", "python3-minimal", "unbound"),
        "clamav": ("clamav-daemon", "clamav-freshclam", "clamdscan"),
        # SpamAssassin only suggests Mail::SPF, and without it says nothing of SPF.
        "spamassassin": ("libmail-spf-perl", "spamassassin", "spamd"),
        "filterd": ("libarchive13", "python3-venv"),
        "reports": ("pflogsumm",),
        "updates": ("unattended-upgrades",),
        "integrity": ("aide",),
    },
    parts={
        "tls": ("ca-certificates", "openssl"),
        "acme": ("lego",),
        "mta-sts": ("postfix-mta-sts-resolver",),
        "remote-log": ("rsyslog", "rsyslog-gnutls"),
        "postgresql": ("postgresql",),
    },
    mta={
        "postfix": ("postfix", "postfix-ldap", "postfix-lmdb", "postfix-pcre"),
        # sendmail-bin alone lets m4 and make come by way of sendmail-base; the build needs both, so they are named.
        "sendmail": ("m4", "make", "sendmail-bin", "sendmail-cf"),
    },
    # Without linux-base OpenSCAP's content takes the host for one without a kernel, and most of its rules for no business of it.
    scanners=("linux-base", "lynis", "openscap-scanner"),
    users={"clamd": "clamav", "freshclam": "clamav"},
    groups={"freshclam": "clamav"},
    postfix_ready="/usr/lib/postfix/configure-instance.sh %i",
    postfix_release=(3, 7),
    programs_in_root=True,
    python="cp311",
    security_origins=("origin=Debian,codename=bookworm-security,label=Debian-Security",),
    every_origin=(
        "origin=Debian,codename=bookworm,label=Debian",
        "origin=Debian,codename=bookworm-updates,label=Debian",
    ),
)

# As Debian 12 but for what is named here.
DEBIAN_13 = replace(
    DEBIAN_12,
    name="debian13",
    title="Debian 13 (trixie)",
    version="13",
    packages={
        **DEBIAN_12.packages,
        # With times of 64 bits, which changed what the library's callers must be built for.
        "filterd": ("libarchive13t64", "python3-venv"),
    },
    # One instance is one unit since 3.9.1-7, and its script is Postfix's own to call, by `postfix check`.
    units={
        "postfix@-.service": "postfix.service",
        "postgresql@15-bastide.service": "postgresql@17-bastide.service",
    },
    paths={
        f"{place}/15": f"{place}/17"
        for place in ("/etc/postgresql", "/usr/lib/postgresql", "/var/lib/postgresql")
    },
    postfix_ready="/usr/sbin/postfix check",
    postfix_release=(3, 10),
    programs_in_root=False,
    python="cp313",
    security_origins=("origin=Debian,codename=trixie-security,label=Debian-Security",),
    every_origin=(
        "origin=Debian,codename=trixie,label=Debian",
        "origin=Debian,codename=trixie-updates,label=Debian",
    ),
)

_OF_EL = "What EL's own installer brings was not seen yet, so it cannot be told from what somebody has added."
_PAM = "PAM's files are authselect(8)'s here, and Bastide does not drive that yet."
_SELINUX = "SELinux stands in AppArmor's place here: sandbox.selinux."

# The names are those of the distribution's spec files (EL 9.3 and EPEL 9); what of it was seen to run, and where, docs/platforms.md says.
EL_9 = Platform(
    name="el9",
    title="Enterprise Linux 9",
    os_ids=("almalinux", "centos", "ol", "rhel", "rocky"),
    version="9",
    manager=DNF,
    packages={
        "firewall": ("ipset", "iptables-nft"),
        "hardening": (
            *("audit", "chrony", "cracklib-dicts", "cronie", "kmod", "libpwquality", "logrotate"),
            *("openssh-server", "psacct", "sudo"),
        ),
        "sandbox": (),
        "dns": ("python3.11", "unbound"),
        "clamav": ("clamav", "clamav-freshclam", "clamd"),
        "spamassassin": ("perl-Mail-SPF", "spamassassin"),
        "filterd": ("libarchive", "python3.11"),
        "reports": ("postfix-perl-scripts",),
        # `dnf download` and needs-restarting; what bars versions.
        "updates": ("dnf-plugins-core", "python3-dnf-plugin-versionlock"),
    },
    parts={"tls": ("ca-certificates", "openssl"), "remote-log": ("rsyslog", "rsyslog-gnutls")},
    mta={"postfix": ("postfix", "postfix-ldap", "postfix-lmdb", "postfix-pcre"), "sendmail": ()},
    scanners=(),
    units={
        "acct.service": "psacct.service",
        "chrony.service": "chronyd.service",
        "clamav-daemon.service": "clamd@scan.service",
        # clamd makes its socket itself.
        "clamav-daemon.socket": "clamd@scan.service",
        "netfilter-persistent.service": "bastide-firewall.service",
        "postfix@-.service": "postfix.service",
        "spamassassin-maintenance.timer": "sa-update.timer",
        "spamd.service": "spamassassin.service",
        "ssh.service": "sshd.service",
    },
    paths={
        "/etc/chrony/chrony.conf": "/etc/chrony.conf",
        "/etc/clamav": "/etc/clamd.d",
        "/etc/clamav/clamd.conf": "/etc/clamd.d/scan.conf",
        "/etc/clamav/freshclam.conf": "/etc/freshclam.conf",
        "/etc/network": "/etc/sysconfig/network",
        "/etc/spamassassin": "/etc/mail/spamassassin",
        "/etc/apparmor.d": "/etc/selinux",
        "/etc/ssl/certs/ca-certificates.crt": "/etc/pki/tls/certs/ca-bundle.crt",
        "/boot/grub/grub.cfg": "/boot/grub2/grub.cfg",
        # freshclam keeps no log of its own.
        "/var/log/clamav": "/var/lib/clamav",
        "/run/clamav": "/run/clamd.scan",
        "/run/clamav/clamd.ctl": "/run/clamd.scan/clamd.sock",
        "/usr/bin/python3": "/usr/bin/python3.11",
        "/var/spool/rsyslog": "/var/lib/rsyslog",
        "/usr/sbin/spamd": "/usr/bin/spamd",
    },
    # The distribution's own python3 is 3.9, and dnf's.
    programs={"python3": "python3.11"},
    users={
        "_apt": "root",
        "_chrony": "chrony",
        "clamd": "clamscan",
        "debian-spamd": "spamd",
        "freshclam": "clamupdate",
    },
    groups={"clamav": "virusgroup", "freshclam": "clamupdate", "debian-spamd": "spamd", "sudo": "wheel"},
    modes={
        "/etc/shadow": ("0 root root",),
        "/etc/gshadow": ("0 root root",),
        # ssh-keysign(8) reads them by that group.
        "/etc/ssh/ssh_host_*_key": ("600 root root", "640 root ssh_keys"),
    },
    lacks={
        "hardening.declared-packages": _OF_EL,
        "hardening.declared-units": _OF_EL,
        "hardening.grub-password": "The password of grub2-setpassword(8) is not set by Bastide yet.",
        "hardening.password-history": _PAM,
        "hardening.password-quality": _PAM,
        "hardening.password-tries": _PAM,
        "hardening.su": _PAM,
        "hardening.umask": _PAM,
        "mta.sandbox": "EL's Postfix runs in no chroot, and SELinux's policy for it counts on that; sandbox.postfix holds it to its "
        "queue.",
        "integrity": "What explains changes of files knows dpkg alone as yet, so nothing is compared here.",
        "sandbox.apparmor": _SELINUX,
    },
    privileged=(
        *("/usr/libexec/dbus-1/dbus-daemon-launch-helper", "/usr/sbin/pam_timestamp_check"),
        *("/usr/libexec/utempter/utempter", "/usr/sbin/grub2-set-bootflag"),
    ),
    unprivileged=("/usr/bin/ping", "/usr/bin/write", "/usr/libexec/openssh/ssh-keysign"),
    unwanted={
        "services of the inetd age": (
            *("finger-server", "rsh", "rsh-server", "talk-server", "telnet-server", "tftp-server", "uucp"),
            *("xinetd", "ypbind", "ypserv"),
        ),
        "services of other kinds of server": (
            *(
                "autofs",
                "avahi",
                "bind",
                "bluez",
                "cups",
                "cyrus-imapd",
                "dhcp-server",
                "dnsmasq",
                "dovecot*",
            ),
            *(
                "exim",
                "gpm",
                "httpd",
                "lighttpd",
                "ModemManager",
                "net-snmp",
                "nfs-utils",
                "nginx*",
                "openldap-servers",
            ),
            *("proftpd", "rpcbind", "rsync-daemon", "samba", "squid", "vsftpd", "xorg-x11-server-Xorg"),
        ),
        "compilers and debuggers": (
            *(
                "binutils",
                "cargo",
                "clang",
                "gcc",
                "gcc-c++",
                "gcc-g*",
                "gcc-toolset-*",
                "gdb",
                "gdb-*",
                "golang",
                "golang-bin",
            ),
            *("lldb", "nasm", "rust", "tcc", "yasm"),
        ),
        "clients that the gateway does not use": ("ftp", "nmap", "nmap-ncat", "telnet", "tftp"),
    },
    postfix_ready="",
    postfix_release=(3, 5),
    programs_in_root=False,
    loads_rules=False,
    unbound_directory=False,
    root_hints=False,
    mac="selinux",
    clamd_socket=False,
    enables=False,
    clock_exposure="3.1",
    postfix={
        "command_directory": "/usr/sbin",
        "daemon_directory": "/usr/libexec/postfix",
        "mailq_path": "/usr/bin/mailq.postfix",
        "meta_directory": "/etc/postfix",
        "newaliases_path": "/usr/bin/newaliases.postfix",
        "sendmail_path": "/usr/sbin/sendmail.postfix",
        "setgid_group": "postdrop",
        "shlib_directory": "/usr/lib64/postfix",
    },
    # SpamAssassin's configuration stands below /etc/mail.
    mta_files="-/etc/postfix",
    resolver_files={
        "/etc/NetworkManager/conf.d/bastide.conf": "# Written by Bastide; changes are undone by the next deploy. dns.resolver.\n"
        "[main]\ndns=none\n"
    },
    pam="authselect",
    sshd=(),
    # Without it useradd(8) makes no home, which it does there.
    login_defs=("CREATE_HOME yes",),
    python="cp311",
)

PLATFORMS: tuple[Platform, ...] = (DEBIAN_12, DEBIAN_13, EL_9)
_NAMED: Mapping[PlatformName, Platform] = {each.name: each for each in PLATFORMS}


def row(gateway: Gateway) -> Platform:
    """Return the platform that a gateway's settings declare."""
    return _NAMED[gateway.platform]
