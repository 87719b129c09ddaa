"""Postfix as EL packages it."""

from typing import Final

from lab.el.packages import UNITS, Rpm

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


# pflogsumm; EL's has qshape too.
SCRIPTS: Final = Rpm(name="postfix-perl-scripts", debs=("pflogsumm",), needs=("postfix",))

PACKAGES: Final = (POSTFIX, _map("lmdb", "\tmkmap_lmdb_open"), _map("pcre"), _map("ldap"), SCRIPTS)
