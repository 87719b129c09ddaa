"""Platforms as data: what each supported distribution calls its packages, paths, units and users.

Roles read this table and never ask which distribution they are on. Adding a platform is adding a row.
The names were read from the packages themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from roles.errors import SettingError
from roles.settings import Gateway, Mta, PlatformName


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One distribution release.

    ``packages`` maps a layer's name to the packages that layer installs (without their dependencies), ``parts`` the
    name of a part of one that settings may leave out. What the MTA's installs depends on which it is, and the two
    exclude each other. ``scanners`` are of no layer: `audit.scanners` installs them for the length of a scan.
    Records and roles call units by Debian 12's names; ``units`` has those that are called otherwise here.
    ``postfix_ready`` is what makes Postfix's chroot ready before its unit starts. ``programs_in_root``: whether packages
    name programs below /bin and /sbin, as dpkg-statoverride(1) must then. ``python`` is the ABI tag of its Python.
    ``security_origins`` give out security updates, ``every_origin`` all others of the release: fields of its Release files.
    """

    name: PlatformName
    title: str
    os_release: tuple[str, str]  # ID and VERSION_ID of os-release(5)
    packages: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]
    mta: Mapping[Mta, tuple[str, ...]]
    scanners: tuple[str, ...]
    units: Mapping[str, str]
    postfix_ready: str
    programs_in_root: bool
    python: str
    security_origins: tuple[str, ...]
    every_origin: tuple[str, ...]

    def every_package(self, mta: Mta) -> tuple[str, ...]:
        """Return each package that any layer installs on a gateway with this MTA, sorted."""
        layers = (*self.packages.values(), *self.parts.values(), self.mta[mta])
        return tuple(sorted({name for names in layers for name in names}))

    def unit(self, name: str) -> str:
        """Return what a unit is called here that Debian 12 calls by that name."""
        return self.units.get(name, name)


DEBIAN_12 = Platform(
    name="debian12",
    title="Debian 12 (bookworm)",
    os_release=("debian", "12"),
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
    },
    mta={
        "postfix": ("postfix", "postfix-ldap", "postfix-lmdb", "postfix-pcre"),
        # sendmail-bin alone lets m4 and make come by way of sendmail-base; the build needs both, so they are named.
        "sendmail": ("m4", "make", "sendmail-bin", "sendmail-cf"),
    },
    # Without linux-base OpenSCAP's content takes the host for one without a kernel, and most of its rules for no business of it.
    scanners=("linux-base", "lynis", "openscap-scanner"),
    units={},
    postfix_ready="/usr/lib/postfix/configure-instance.sh %i",
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
    os_release=("debian", "13"),
    packages={
        **DEBIAN_12.packages,
        # With times of 64 bits, which changed what the library's callers must be built for.
        "filterd": ("libarchive13t64", "python3-venv"),
    },
    # One instance is one unit since 3.9.1-7, and its script is Postfix's own to call, by `postfix check`.
    units={"postfix@-.service": "postfix.service"},
    postfix_ready="/usr/sbin/postfix check",
    programs_in_root=False,
    python="cp313",
    security_origins=("origin=Debian,codename=trixie-security,label=Debian-Security",),
    every_origin=(
        "origin=Debian,codename=trixie,label=Debian",
        "origin=Debian,codename=trixie-updates,label=Debian",
    ),
)

PLATFORMS: tuple[Platform, ...] = (DEBIAN_12, DEBIAN_13)
_NAMED: Mapping[PlatformName, Platform] = {each.name: each for each in PLATFORMS}


def row(gateway: Gateway) -> Platform:
    """Return the platform that a gateway's settings declare."""
    return _NAMED[gateway.platform]


# The distributions that are built of RHEL's sources, by their ID in os-release(5), and releases of which there will be no row.
_EL = frozenset({"almalinux", "centos", "ol", "rhel", "rocky"})
_TOO_OLD = frozenset({"7", "8"})


def platform_of(os_id: str, version_id: str) -> Platform:
    """Return the platform of an os-release(5) ``ID`` and ``VERSION_ID``.

    Raises SettingError for a platform that is not in the table, before anything on the host is changed.
    """
    for platform in PLATFORMS:
        if platform.os_release == (os_id, version_id):
            return platform
    if os_id in _EL and version_id.partition(".")[0] in _TOO_OLD:
        raise SettingError(
            f"this host runs {os_id} {version_id}: EL 7 and 8 come with a Python and a kernel that Bastide's programs are too "
            "new for, and will not be supported"
        )
    known = ", ".join(platform.title for platform in PLATFORMS)
    raise SettingError(f"this host runs {os_id} {version_id}, which Bastide does not know; it knows: {known}")
