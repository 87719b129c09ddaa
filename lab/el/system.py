"""The resolver, the clock, the rotation of logs and the nightly updates as EL packages them."""

from typing import Final

from lab.el.packages import UNITS, Rpm

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

CHRONY: Final = Rpm(
    name="chrony",
    debs=("chrony",),
    left=("/etc/*", "/usr/share/chrony/*"),
    files={
        "/etc/chrony.conf": "sourcedir /run/chrony-dhcp\ndriftfile /var/lib/chrony/drift\nmakestep 1.0 3\nrtcsync\n"
        "keyfile /etc/chrony.keys\nntsdumpdir /var/lib/chrony\nlogdir /var/log/chrony\nuser chrony\n",
        "/etc/chrony.keys": "",
        "/etc/sysconfig/chronyd": 'OPTIONS="-F 2"\n',
        f"{UNITS}/chronyd.service": """\
[Unit]
Description=chrony
Conflicts=ntpd.service systemd-timesyncd.service
ConditionCapability=CAP_SYS_TIME
[Service]
Type=forking
PIDFile=/run/chrony/chronyd.pid
EnvironmentFile=-/etc/sysconfig/chronyd
ExecStart=/usr/sbin/chronyd -f /etc/chrony.conf $OPTIONS
[Install]
WantedBy=multi-user.target
""",
    },
    # Debian's program looks for its configuration there.
    links={"/etc/chrony/chrony.conf": "../chrony.conf"},
    folders=dict.fromkeys(("/var/lib/chrony", "/var/log/chrony"), ("0750", "chrony", "chrony")),
    modes={"/etc/chrony.keys": ("0640", "root", "chrony")},
    kept=("/etc/chrony.conf", "/etc/chrony.keys", "/etc/sysconfig/chronyd"),
    users='u chrony - "chrony" /var/lib/chrony -\n',
    units=("chronyd.service",),
)


def timed(name: str, program: str, when: str) -> dict[str, str]:
    """Return a service that runs a program once, and the timer that starts it."""
    return {
        f"{UNITS}/{name}.service": f"[Unit]\nDescription={name}\n[Service]\nType=oneshot\nExecStart={program}\n",
        f"{UNITS}/{name}.timer": f"[Unit]\nDescription={name}, by the clock\n[Timer]\nOnCalendar={when}\n"
        "RandomizedDelaySec=60m\nPersistent=true\n[Install]\nWantedBy=timers.target\n",
    }


LOGROTATE: Final = Rpm(
    name="logrotate",
    debs=("logrotate",),
    files=timed("logrotate", "/usr/sbin/logrotate /etc/logrotate.conf", "daily"),
    kept=("/etc/logrotate.conf",),
    units=("logrotate.timer",),
)
# Debian's dnf has the module, and neither the program nor its units.
DNF_AUTOMATIC: Final = Rpm(
    name="dnf-automatic",
    version="4.14.0",
    files={
        "/usr/bin/dnf-automatic": "#!/usr/bin/python3\nimport sys\n\nfrom dnf.automatic.main import main\n\n"
        "sys.exit(main(sys.argv[1:]))\n",
        "/etc/dnf/automatic.conf": "[commands]\nupgrade_type = default\nrandom_sleep = 0\ndownload_updates = yes\n"
        "apply_updates = no\n[emitters]\nemit_via = stdio\n[base]\ndebuglevel = 1\n",
        **timed("dnf-automatic", "/usr/bin/dnf-automatic /etc/dnf/automatic.conf --timer", "*-*-* 6:00"),
    },
    modes={"/usr/bin/dnf-automatic": ("0755", "root", "root")},
    kept=("/etc/dnf/automatic.conf",),
    units=("dnf-automatic.timer",),
)

RSYSLOG: Final = Rpm(
    name="rsyslog",
    debs=("rsyslog",),
    left=("/etc/*",),
    files={
        "/etc/rsyslog.conf": 'global(workDirectory="/var/lib/rsyslog")\nmodule(load="imuxsock" SysSock.Use="off")\n'
        'module(load="imjournal" StateFile="imjournal.state")\n*.info;mail.none;authpriv.none;cron.none /var/log/messages\n'
        "authpriv.* /var/log/secure\nmail.* -/var/log/maillog\ncron.* /var/log/cron\n",
        "/etc/sysconfig/rsyslog": 'SYSLOGD_OPTIONS=""\n',
        f"{UNITS}/rsyslog.service": "[Unit]\nDescription=rsyslog\nAfter=network.target\n[Service]\nType=notify\n"
        "EnvironmentFile=-/etc/sysconfig/rsyslog\nExecStart=/usr/sbin/rsyslogd -n $SYSLOGD_OPTIONS\n"
        "ExecReload=/bin/kill -HUP $MAINPID\nUMask=0066\nRestart=on-failure\n[Install]\nWantedBy=multi-user.target\n",
    },
    folders={"/etc/rsyslog.d": ("0755", "root", "root"), "/var/lib/rsyslog": ("0700", "root", "root")},
    kept=("/etc/rsyslog.conf", "/etc/sysconfig/rsyslog"),
    units=("rsyslog.service",),
)
RSYSLOG_GNUTLS: Final = Rpm(name="rsyslog-gnutls", debs=("rsyslog-gnutls",), needs=("rsyslog",))

PACKAGES: Final = (UNBOUND, CHRONY, LOGROTATE, DNF_AUTOMATIC, RSYSLOG, RSYSLOG_GNUTLS)
