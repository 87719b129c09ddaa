"""What a package of the EL-shaped repository is: which of Debian's it is made of, and what EL has otherwise.

The packages stand in the modules beside this one: their names, paths, users and units are those of EL 9's and EPEL's spec
files, their texts are ours. What one depends on and no entry makes is repackaged as it is, as ``lab-<Debian's name>``.
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
    ``after``: a shell script for when it is installed. ``version``: of a package that has nothing of Debian's.
    """

    name: str
    debs: tuple[str, ...] = ()
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
    version: str = ""


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
        "dnf-plugins-core",
        "filesystem",
        "findutils",
        "gawk",
        "glibc",
        "glibc-common",
        "gnupg2",
        "grep",
    ),
    *(
        "gzip",
        "hostname",
        "iproute",
        "iputils",
        "kmod",
        "less",
        "libarchive",
        "libselinux",
        "ncurses",
        "openssh",
    ),
    *("openssh-clients", "openssh-server", "openssl", "openssl-libs", "pam", "passwd", "policycoreutils"),
    *(
        "procps-ng",
        "python3",
        "python3-dnf",
        "python3-dnf-plugin-versionlock",
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
