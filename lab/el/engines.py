"""ClamAV and SpamAssassin as EPEL and EL package them."""

from typing import Final

from lab.el.packages import UNITS, Rpm
from lab.el.system import timed

_TMPFILES: Final = "/usr/lib/tmpfiles.d"

CLAMAV_FILESYSTEM: Final = Rpm(
    name="clamav-filesystem",
    version="1.4.3",
    files={
        # Its socket is for the administrator to name: without one clamd ends.
        "/etc/clamd.d/scan.conf": "LogSyslog yes\n#LocalSocket /run/clamd.scan/clamd.sock\n"
        "#LocalSocketGroup virusgroup\nUser clamscan\n",
    },
    # Debian's programs look for their configuration there.
    links={
        "/etc/clamav/clamd.conf": "../clamd.d/scan.conf",
        "/etc/clamav/freshclam.conf": "../freshclam.conf",
    },
    folders={
        "/etc/clamd.d": ("0755", "root", "root"),
        "/var/lib/clamav": ("0755", "clamupdate", "clamupdate"),
    },
    kept=("/etc/clamd.d/scan.conf",),
    users='g virusgroup -\nu clamupdate - "clamav" /var/lib/clamav -\nm clamupdate virusgroup\n',
)
CLAMAV: Final = Rpm(
    name="clamav",
    debs=("clamav", "clamdscan", "clamav-daemon"),
    left=("/etc/*", "/usr/sbin/clamd"),
    needs=("clamav-filesystem", "clamav-lib", "data(clamav)"),
)
CLAMAV_LIB: Final = Rpm(name="clamav-lib", debs=("libclamav12",), needs=("clamav-filesystem",))
CLAMD: Final = Rpm(
    name="clamd",
    debs=("clamav-daemon",),
    taken=("/usr/sbin/clamd",),
    needs=("clamav-filesystem", "clamav-lib", "data(clamav)"),
    provides=("clamav-server",),
    files={
        f"{UNITS}/clamd@.service": """\
[Unit]
Description=clamd (%i)
After=network.target
[Service]
Type=forking
ExecStart=/usr/sbin/clamd -c /etc/clamd.d/%i.conf
ExecReload=/bin/kill -USR2 $MAINPID
Restart=on-failure
TimeoutStartSec=420
[Install]
WantedBy=multi-user.target
""",
        f"{_TMPFILES}/clamd.scan.conf": "d /run/clamd.scan 0710 clamscan virusgroup\n",
    },
    users='u clamscan - "clamd" - -\nm clamscan virusgroup\n',
    after="systemd-tmpfiles --create clamd.scan.conf >/dev/null 2>&1 || :\n",
)
FRESHCLAM: Final = Rpm(
    name="clamav-freshclam",
    debs=("clamav-freshclam",),
    taken=("/usr/bin/freshclam",),
    needs=("clamav-filesystem", "clamav-lib"),
    provides=("clamav-update", "data(clamav) = empty"),
    files={
        "/etc/freshclam.conf": "DatabaseOwner clamupdate\nDatabaseMirror database.clamav.net\n",
        f"{UNITS}/clamav-freshclam.service": "[Unit]\nDescription=freshclam\nAfter=network-online.target\n"
        "Wants=network-online.target\n[Service]\nExecStart=/usr/bin/freshclam -d --foreground=true\n"
        "[Install]\nWantedBy=multi-user.target\n",
    },
    modes={"/etc/freshclam.conf": ("0600", "root", "root")},
    kept=("/etc/freshclam.conf",),
    units=("clamav-freshclam.service",),
)
SPAMASSASSIN: Final = Rpm(
    name="spamassassin",
    debs=("spamassassin", "spamc"),
    left=("/etc/mail/*", "/etc/spamassassin/65_debian.cf"),
    moved=(("/etc/spamassassin/", "/etc/mail/spamassassin/"), ("/usr/sbin/spamd", "/usr/bin/spamd")),
    # Debian's program looks for its rules there.
    links={"/etc/spamassassin": "mail/spamassassin"},
    files={
        "/etc/mail/spamassassin/local.cf": "required_hits 5\nreport_safe 0\nrewrite_header Subject [SPAM]\n",
        "/etc/sysconfig/spamassassin": 'SPAMDOPTIONS="-c -m5 -H"\n',
        f"{UNITS}/spamassassin.service": "[Unit]\nDescription=spamd\nAfter=network.target\nWants=sa-update.timer\n"
        "[Service]\nEnvironmentFile=-/etc/sysconfig/spamassassin\nExecStart=/usr/bin/spamd $SPAMDOPTIONS\n"
        "StandardOutput=null\nStandardError=null\nRestart=always\n[Install]\nWantedBy=multi-user.target\n",
        **timed("sa-update", "/usr/bin/sa-update -v", "daily"),
    },
    folders={"/var/lib/spamassassin": ("0755", "root", "root")},
    kept=("/etc/mail/spamassassin/*", "/etc/sysconfig/spamassassin"),
    units=("spamassassin.service", "sa-update.timer"),
)

MAIL_SPF: Final = Rpm(name="perl-Mail-SPF", debs=("libmail-spf-perl",))

PACKAGES: Final = (CLAMAV_FILESYSTEM, CLAMAV, CLAMAV_LIB, CLAMD, FRESHCLAM, SPAMASSASSIN, MAIL_SPF)
