"""The packet filter's tools, audit and accounting, and small packages that roles name, as EL packages them."""

from typing import Final

from lab.el.packages import UNITS, Rpm

_TOOL: Final = "xtables-nft-multi"

IPTABLES: Final = Rpm(
    name="iptables-nft",
    debs=("iptables",),
    provides=("iptables",),
    # EL has no other: Debian's package leaves these to its alternatives.
    links={
        f"/usr/sbin/{tool}{verb}": _TOOL
        for tool in ("iptables", "ip6tables")
        for verb in ("", "-save", "-restore")
    },
)
IPSET: Final = Rpm(name="ipset", debs=("ipset",))
AUDIT: Final = Rpm(
    name="audit",
    debs=("auditd",),
    left=("/etc/audit/rules.d/*",),
    files={
        "/etc/audit/rules.d/audit.rules": "-D\n-b 8192\n-f 1\n",
        f"{UNITS}/auditd.service": """\
[Unit]
Description=auditd
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before=sysinit.target shutdown.target
RefuseManualStop=yes
[Service]
Type=forking
PIDFile=/run/auditd.pid
ExecStart=/sbin/auditd
ExecStartPost=-/sbin/augenrules --load
[Install]
WantedBy=multi-user.target
""",
    },
    folders={"/var/log/audit": ("0700", "root", "root"), "/etc/audit/rules.d": ("0750", "root", "root")},
    modes={"/etc/audit/rules.d/audit.rules": ("0600", "root", "root")},
    kept=("/etc/audit/auditd.conf", "/etc/audit/rules.d/*"),
    units=("auditd.service",),
)
PSACCT: Final = Rpm(
    name="psacct",
    debs=("acct",),
    files={
        f"{UNITS}/psacct.service": "[Unit]\nDescription=psacct\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        "ExecStartPre=/bin/touch /var/account/pacct\nExecStart=/usr/sbin/accton /var/account/pacct\n"
        "ExecStop=/usr/sbin/accton off\n[Install]\nWantedBy=multi-user.target\n"
    },
    folders={"/var/account": ("0755", "root", "root")},
    units=("psacct.service",),
)
CRONIE: Final = Rpm(
    name="cronie",
    debs=("cron", "cron-daemon-common"),
    moved=(("/usr/sbin/cron", "/usr/sbin/crond"),),
    files={
        "/etc/crontab": "SHELL=/bin/bash\nMAILTO=root\n",
        f"{UNITS}/crond.service": "[Unit]\nDescription=cron\n[Service]\nExecStart=/usr/sbin/crond -f\nKillMode=process\n"
        "Restart=on-failure\n[Install]\nWantedBy=multi-user.target\n",
    },
    folders={
        "/var/spool/cron": ("0700", "root", "root"),
        **{
            f"/etc/cron.{each}": ("0755", "root", "root")
            for each in ("d", "daily", "hourly", "monthly", "weekly")
        },
    },
    modes={"/usr/bin/crontab": ("4755", "root", "root")},
    kept=("/etc/crontab",),
    units=("crond.service",),
)
CRACKLIB: Final = Rpm(name="cracklib-dicts", debs=("cracklib-runtime",))
PWQUALITY: Final = Rpm(
    name="libpwquality",
    debs=("libpwquality1", "libpam-pwquality"),
    left=("/usr/share/pam-configs/*",),
)
# Debian's own is the image's python3 of this version; EL has it beside its own.
PYTHON: Final = Rpm(name="python3.11", debs=("python3.11-venv",))

PACKAGES: Final = (IPTABLES, IPSET, AUDIT, PSACCT, CRONIE, CRACKLIB, PWQUALITY, PYTHON)
