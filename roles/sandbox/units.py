"""Sandboxes of systemd.exec(5): what each daemon that strangers' bytes reach is left with.

Each list is what the daemon was seen to do without, under mail that passes and mail that is refused. sshd has none: what
binds it binds every administrator's session, and the deploy.
"""

from typing import Final

from roles.kinds import Value
from roles.platforms import row

# AppArmor's profiles by the names that the kernel shows them by: each one's file, and the units that are held to it. The
# first are of Debian's packages, the others ours.
PACKAGED = {
    "/usr/bin/freshclam": ("usr.bin.freshclam", ("clamav-freshclam.service",)),
    "unbound": ("usr.sbin.unbound", ("unbound.service",)),
    "/usr/sbin/chronyd": ("usr.sbin.chronyd", ("chrony.service",)),
}
OWN = {
    "clamd": ("bastide-clamd", ("clamav-daemon.service",)),
    "spamd": ("bastide-spamd", ("spamd.service",)),
    "postfix": ("bastide-postfix", ("postfix@-.service",)),
    # Those whose units name the profile, for the same programs serve people too.
    "filterd": ("bastide-filterd", ("filterd.service",)),
    "sendmail": ("bastide-sendmail", ("sendmail.service", "sendmail-inject.service", "sm-client.service")),
}

# What no daemon here needs: devices, homes, the kernel's switches, namespaces, other architectures' system calls.
COMMON = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "DevicePolicy=closed",
    "PrivateMounts=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RemoveIPC=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "LimitCORE=0",
    "UMask=0077",
)
# For who needs no right of root's at any time.
NO_RIGHTS: Final[tuple[Value, ...]] = (
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "ProcSubset=pid",
    # mta.private-keys: what everybody may read there is more than these need.
    lambda gateway: f"InaccessiblePaths={row(gateway).mta_files}",
)

CLAMD: Final[tuple[Value, ...]] = (
    *COMMON,
    *NO_RIGHTS,
    lambda gateway: f"User={row(gateway).user('clamd')}",
    lambda gateway: f"Group={row(gateway).group('clamav')}",
    # Made by root before clamd, which no longer is; the distribution's own lines made it as root's child.
    "ExecStartPre=",
    "ExecStartPre=+/bin/mkdir -p /run/clamav",
    lambda gateway: f"ExecStartPre=+/bin/chown {row(gateway).user('clamd')} /run/clamav",
    # Where systemd does not make its socket it gives that to the group itself.
    lambda gateway: "" if row(gateway).clamd_socket else "SystemCallFilter=@chown",
    "PrivateNetwork=yes",
    "RestrictAddressFamilies=AF_UNIX",
    "IPAddressDeny=any",
    "ReadWritePaths=/run/clamav",
    "ReadOnlyPaths=/var/lib/clamav",
)
FRESHCLAM: Final[tuple[Value, ...]] = (
    *COMMON,
    *NO_RIGHTS,
    lambda gateway: f"User={row(gateway).user('freshclam')}",
    lambda gateway: f"Group={row(gateway).group('freshclam')}",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "ReadWritePaths=/var/lib/clamav /var/log/clamav",
    # Its databases are read by clamd's group and by who looks at them.
    "UMask=0022",
)
SPAMD: Final[tuple[Value, ...]] = (
    *COMMON,
    *NO_RIGHTS,
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    # It asks the resolver of this host, and nobody else.
    "IPAddressDeny=any",
    "IPAddressAllow=localhost",
    "ReadWritePaths=/var/lib/spamassassin",
    # Its socket is its group's, by spamd's own option.
    "UMask=0007",
)
UNBOUND = (
    *COMMON,
    # It binds port 53, then becomes its user.
    "CapabilityBoundingSet=",
    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@resources",
    "SystemCallFilter=setrlimit prlimit64 chroot",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "ReadWritePaths=/run /var/lib/unbound",
    "ProcSubset=pid",
    "UMask=0022",
)
POSTFIX: Final[tuple[Value, ...]] = (
    *COMMON,
    # The master binds port 25, makes its sockets in directories of its user's, and its children become that user and
    # go into their chroot.
    "CapabilityBoundingSet=",
    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SYS_CHROOT CAP_DAC_OVERRIDE CAP_KILL",
    "AmbientCapabilities=",
    "SystemCallFilter=@system-service chroot",
    "SystemCallFilter=~@resources",
    "SystemCallFilter=setrlimit prlimit64 setpriority",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "ReadWritePaths=/var/spool/postfix /var/lib/postfix",
    # What fills the chroot is the distribution's own, and reads no mail: it keeps its rights.
    lambda gateway: f"ExecStartPre=\nExecStartPre=+{ready}" if (ready := row(gateway).postfix_ready) else "",
    "UMask=0022",
)
# Debian's own lines for it are strict already; these are what they leave open.
CHRONY = (
    *(line for line in COMMON if line != "ProtectClock=yes"),
    "DeviceAllow=char-rtc rw",
    # It sets the clock, binds its ports, makes its socket's directory its user's and becomes that user.
    "CapabilityBoundingSet=",
    "CapabilityBoundingSet=CAP_SYS_TIME CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE",
    "SystemCallFilter=",
    "SystemCallFilter=@system-service @clock",
    "SystemCallFilter=~@resources",
    "SystemCallFilter=setrlimit prlimit64",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "ReadWritePaths=/run /var/lib/chrony /var/log/chrony",
    "ProcSubset=pid",
    "UMask=0022",
)
RSYSLOG = (
    *COMMON,
    # root's, to read the journal; of root's rights only that.
    "CapabilityBoundingSet=",
    "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
    "AmbientCapabilities=",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    # It gives each of its threads the priority that it has itself, and waits for ever for one that it could not make.
    "SystemCallFilter=sched_setscheduler",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "ReadWritePaths=/run /var/spool/rsyslog",
    "ProcSubset=pid",
)
# Debian's package starts it as root, which becomes its user; here it is that user from the start.
POSTGRESQL: Final[tuple[Value, ...]] = (
    # It shares memory with its children, and other clusters of the same user's theirs with theirs: none of it is removed.
    *(line for line in COMMON if line != "RemoveIPC=yes"),
    *NO_RIGHTS,
    "User=postgres",
    "Group=postgres",
    "PrivateNetwork=yes",
    "RestrictAddressFamilies=AF_UNIX",
    "IPAddressDeny=any",
    "ReadWritePaths=/run/postgresql /var/lib/postgresql /var/log/postgresql",
)
