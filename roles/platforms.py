"""Platforms as data: what each supported distribution calls its packages, paths, units and users.

Roles read this table and never ask which distribution they are on. Adding a platform is adding a row.
The names were read from the packages themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from roles.errors import SettingError
from roles.settings import Mta


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One distribution release.

    ``packages`` maps a layer's name to the packages that layer installs (without their dependencies), ``parts`` the
    name of a part of one that settings may leave out. What the MTA's installs depends on which it is, and the two
    exclude each other. ``scanners`` are of no layer: `audit.scanners` installs them for the length of a scan.
    ``security_origins`` give out security updates, ``every_origin`` all others of the release: fields of its Release files.
    """

    title: str
    os_release: tuple[str, str]  # ID and VERSION_ID of os-release(5)
    packages: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, tuple[str, ...]]
    mta: Mapping[Mta, tuple[str, ...]]
    scanners: tuple[str, ...]
    security_origins: tuple[str, ...]
    every_origin: tuple[str, ...]

    def every_package(self, mta: Mta) -> tuple[str, ...]:
        """Return each package that any layer installs on a gateway with this MTA, sorted."""
        layers = (*self.packages.values(), *self.parts.values(), self.mta[mta])
        return tuple(sorted({name for names in layers for name in names}))


DEBIAN_12 = Platform(
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
    security_origins=("origin=Debian,codename=bookworm-security,label=Debian-Security",),
    every_origin=(
        "origin=Debian,codename=bookworm,label=Debian",
        "origin=Debian,codename=bookworm-updates,label=Debian",
    ),
)

PLATFORMS: tuple[Platform, ...] = (DEBIAN_12,)


def platform_of(os_id: str, version_id: str) -> Platform:
    """Return the platform of an os-release(5) ``ID`` and ``VERSION_ID``.

    Raises SettingError for a platform that is not in the table, before anything on the host is changed.
    """
    for platform in PLATFORMS:
        if platform.os_release == (os_id, version_id):
            return platform
    known = ", ".join(platform.title for platform in PLATFORMS)
    raise SettingError(f"this host runs {os_id} {version_id}, which Bastide does not know; it knows: {known}")
