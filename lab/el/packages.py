"""The packages of the EL-shaped repository: which of Debian's each is made of, and what EL has otherwise.

Names, paths, users, units and scopes of the packages are those of EL 9's spec files (postfix, unbound, chrony); texts are ours.
What a package depends on and no entry makes is repackaged as it is, as ``lab-<Debian's name>``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

UNITS: Final = "/usr/lib/systemd/system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpm:
    """One package.

    ``debs``: Debian's packages whose files it has, the first one's version is its own. ``taken``: patterns of those files
    (fnmatch(3)); ``left``: of those that are not taken. ``moved``: path or folder (with a slash at its end) and where it goes. ``files``
    and ``links``: what EL has instead. ``folders``: mode, owner and group of each. ``modes``: of files, the same.
    ``kept``: patterns of configuration. ``users``: sysusers.d(5). ``units``: presets decide about these.
    ``after``: a shell script for when it is installed.
    """

    name: str
    debs: tuple[str, ...]
    epoch: int = 0
    taken: tuple[str, ...] = ("*",)
    left: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    modes: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    users: str = ""
    units: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    after: str = ""


# What of Debian's own wiring no EL package has.
LEFT: Final = (
    *(
        "/usr/share/doc/*",
        "/usr/share/man/*",
        "/usr/share/lintian/*",
        "/usr/share/bug/*",
        "/usr/share/locale/*",
    ),
    *("/etc/init.d/*", "/etc/default/*", "/etc/apparmor.d/*", "/etc/logcheck/*", "/etc/insserv.conf.d/*"),
    *("/etc/network/*", "/etc/ppp/*", "/etc/resolvconf/*", "/etc/ufw/*", "/etc/dhcp/*", "/etc/cron.*"),
    *(
        "/usr/lib/systemd/*",
        "/usr/lib/networkd-dispatcher/*",
        "/usr/lib/NetworkManager/*",
        "/usr/share/apport/*",
    ),
)

_SPOOL: Final = "/var/spool/postfix"
_QUEUES: Final = (
    *(
        "active",
        "bounce",
        "corrupt",
        "defer",
        "deferred",
        "flush",
        "hold",
        "incoming",
        "private",
        "saved",
        "trace",
    ),
)

POSTFIX: Final = Rpm(
    name="postfix",
    debs=("postfix",),
    epoch=2,
    left=(
        *(
            "/etc/postfix/post-install",
            "/etc/postfix/postfix-script",
            "/etc/rsyslog.d/*",
            "/usr/lib/sendmail",
        ),
        *("/usr/lib/postfix/*.a", "/usr/lib/postfix/configure-instance.sh", "/usr/share/postfix/main.cf.*"),
    ),
    moved=(
        ("/usr/lib/postfix/sbin/", "/usr/libexec/postfix/"),
        ("/usr/lib/postfix/", "/usr/lib64/postfix/"),
        ("/usr/sbin/sendmail", "/usr/sbin/sendmail.postfix"),
        ("/usr/bin/mailq", "/usr/bin/mailq.postfix"),
        ("/usr/bin/newaliases", "/usr/bin/newaliases.postfix"),
        ("/usr/sbin/rmail", "/usr/bin/rmail.postfix"),
        ("/usr/share/postfix/master.cf.dist", "/etc/postfix/master.cf"),
    ),
    links={
        "/usr/bin/mailq.postfix": "../sbin/sendmail.postfix",
        "/usr/bin/newaliases.postfix": "../sbin/sendmail.postfix",
        "/usr/lib/sendmail.postfix": "../sbin/sendmail.postfix",
        # Debian's programs look for their libraries there.
        "/usr/lib/postfix": "/usr/lib64/postfix",
    },
    files={
        "/etc/postfix/main.cf": """\
compatibility_level = 2
queue_directory = /var/spool/postfix
command_directory = /usr/sbin
daemon_directory = /usr/libexec/postfix
data_directory = /var/lib/postfix
shlib_directory = /usr/lib64/postfix
meta_directory = /etc/postfix
sendmail_path = /usr/sbin/sendmail.postfix
newaliases_path = /usr/bin/newaliases.postfix
mailq_path = /usr/bin/mailq.postfix
setgid_group = postdrop
mail_owner = postfix
inet_interfaces = localhost
inet_protocols = all
mydestination = $myhostname, localhost.$mydomain, localhost
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
""",
        "/etc/postfix/dynamicmaps.cf": "# type  library  open  create\n",
        f"{UNITS}/postfix.service": """\
[Unit]
Description=Postfix
After=network.target
Conflicts=sendmail.service exim.service
[Service]
Type=forking
PIDFile=/var/spool/postfix/pid/master.pid
PrivateTmp=true
PrivateDevices=true
ProtectSystem=true
CapabilityBoundingSet=~CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_MODULE
ExecStartPre=-/usr/bin/newaliases
ExecStart=/usr/sbin/postfix start
ExecReload=/usr/sbin/postfix reload
ExecStop=/usr/sbin/postfix stop
[Install]
WantedBy=multi-user.target
""",
    },
    folders={
        _SPOOL: ("0755", "root", "root"),
        **{f"{_SPOOL}/{each}": ("0700", "postfix", "root") for each in _QUEUES},
        f"{_SPOOL}/maildrop": ("0730", "postfix", "postdrop"),
        f"{_SPOOL}/public": ("0710", "postfix", "postdrop"),
        f"{_SPOOL}/pid": ("0755", "root", "root"),
        "/var/lib/postfix": ("0700", "postfix", "root"),
        "/etc/postfix/dynamicmaps.cf.d": ("0755", "root", "root"),
        "/etc/postfix/postfix-files.d": ("0755", "root", "root"),
    },
    modes={
        "/usr/sbin/postdrop": ("2755", "root", "postdrop"),
        "/usr/sbin/postqueue": ("2755", "root", "postdrop"),
    },
    kept=("/etc/postfix/*.cf",),
    users="u postfix 89 - /var/spool/postfix /sbin/nologin\ng postdrop 90\nm postfix mail\n",
    units=("postfix.service",),
    provides=("MTA", "smtpdaemon", "server(smtp)"),
    after="""\
alternatives --install /usr/sbin/sendmail mta /usr/sbin/sendmail.postfix 60 \\
  --slave /usr/bin/mailq mta-mailq /usr/bin/mailq.postfix \\
  --slave /usr/bin/newaliases mta-newaliases /usr/bin/newaliases.postfix \\
  --slave /usr/lib/sendmail mta-sendmail /usr/lib/sendmail.postfix --initscript postfix >/dev/null 2>&1 || :
""",
)


def _map(kind: str, more: str = "") -> Rpm:
    """Return the package of one kind of Postfix's lookup tables."""
    library = f"/usr/lib64/postfix/postfix-{kind}.so"
    return Rpm(
        name=f"postfix-{kind}",
        debs=(f"postfix-{kind}",),
        epoch=2,
        taken=("/usr/lib/postfix/*.so*",),
        moved=(("/usr/lib/postfix/", "/usr/lib64/postfix/"),),
        files={f"/etc/postfix/dynamicmaps.cf.d/{kind}": f"{kind}\t{library}\tdict_{kind}_open{more}\n"},
        needs=("postfix",),
    )


UNBOUND: Final = Rpm(
    name="unbound",
    debs=("unbound",),
    left=("/etc/*",),
    files={
        "/etc/unbound/unbound.conf": 'server:\n    username: "unbound"\n    chroot: ""\n    directory: "/etc/unbound"\n'
        "    include: /etc/unbound/local.d/*.conf\ninclude: /etc/unbound/conf.d/*.conf\n",
        "/etc/sysconfig/unbound": 'UNBOUND_OPTIONS=""\n',
        f"{UNITS}/unbound.service": """\
[Unit]
Description=Unbound
After=network-online.target
Before=nss-lookup.target
Wants=nss-lookup.target
[Service]
EnvironmentFile=-/etc/sysconfig/unbound
ExecStartPre=/usr/sbin/unbound-checkconf
ExecStart=/usr/sbin/unbound -d $UNBOUND_OPTIONS
[Install]
WantedBy=multi-user.target
""",
    },
    folders={
        **{f"/etc/unbound/{each}": ("0755", "root", "root") for each in ("conf.d", "local.d", "keys.d")},
        "/var/lib/unbound": ("0755", "unbound", "unbound"),
    },
    kept=("/etc/unbound/unbound.conf", "/etc/sysconfig/unbound"),
    users='u unbound - "Unbound" /var/lib/unbound -\n',
    units=("unbound.service",),
)

# More are to come with the roles that install them: facts of each are in the notes on platforms.
RPMS: Final = (POSTFIX, _map("lmdb", "\tmkmap_lmdb_open"), _map("pcre"), UNBOUND)

# What an EL minimal install has, whose files are the image's: the database of packages knows their names alone.
BASE: Final = (
    *(
        "basesystem",
        "bash",
        "ca-certificates",
        "coreutils",
        "cracklib",
        "crypto-policies",
        "dbus",
        "dbus-broker",
    ),
    *(
        "diffutils",
        "dnf",
        "dnf-data",
        "filesystem",
        "findutils",
        "gawk",
        "glibc",
        "glibc-common",
        "gnupg2",
        "grep",
    ),
    *("gzip", "hostname", "iproute", "iputils", "kmod", "less", "libselinux", "ncurses", "openssh"),
    *("openssh-clients", "openssh-server", "openssl", "openssl-libs", "pam", "passwd", "policycoreutils"),
    *(
        "procps-ng",
        "python3",
        "python3-dnf",
        "python3-libs",
        "rpm",
        "rpm-libs",
        "sed",
        "setup",
        "shadow-utils",
    ),
    *(
        "sudo",
        "systemd",
        "systemd-libs",
        "systemd-pam",
        "tar",
        "tzdata",
        "util-linux",
        "which",
        "xz",
        "yum",
        "zlib",
    ),
)
# What of them others ask for by another name.
PROVIDED: Final[Mapping[str, tuple[str, ...]]] = {
    "bash": ("/bin/bash", "/bin/sh", "/usr/bin/sh"),
    "openssh-server": ("sshd",),
    "python3": ("/usr/bin/python3",),
}
