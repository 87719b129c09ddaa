"""A host's whole state, looked at by other means than Bastide's own record: what a revert is measured by.

Two pictures are compared line by line. What cannot be the same twice is left out, each with its reason.
"""

from tests.acceptance.gateway import GatewayHost

# Paths, as find(1) takes them, and why no two pictures have them alike.
LEFT_OUT = {
    "/proc/*": "the kernel's own",
    "/sys/*": "the kernel's own",
    "/dev/*": "the kernel's own",
    "/run/*": "made anew at each start",
    "/tmp/*": "for passing use",  # noqa: S108 - it is looked past
    "/var/tmp/*": "for passing use",  # noqa: S108
    "/var/log/*": "logs grow",
    "/var/cache/*": "made anew from elsewhere",
    "/var/lib/apt/lists*": "what the mirror said last",
    "/var/lib/apt/*": "packages and marks are asked for by name",
    "/var/lib/dpkg/*": "packages and overrides are asked for by name",
    "/var/lib/ucf/*.[0-9]": "ucf's own older copies of its lists",
    "/var/lib/systemd/timers*": "times of last starts",
    "/var/lib/systemd/random-seed": "random",
    "/var/lib/systemd/catalog*": "made anew by an update of packages",
    "/var/lib/bastide-history*": "the record itself, and what was kept",
    "/var/lib/postfix/*": "what Postfix keeps while it runs",
    "/var/spool/postfix/pid/*": "what Postfix keeps while it runs",
    "/var/spool/postfix/defer/*": "why mail waits, written anew at each try",
    "/root/.bash_history": "what people typed",
    "/srv/mirror/*": "the lab's packages, read-only",
}
# Kernel parameters that count, or are random.
COUNTING = r"\|".join(
    (
        *(
            "random",
            "ns_last_pid",
            "-nr ",
            "-state ",
            "_next_id",
            "pty.nr",
            "dentry",
            "inode-",
            "_count ",
            "_key ",
        ),
        *("quota.syncs", "sched_domain", "perf_event_max_sample"),
    )
)

_FIND = " -o ".join(f"-path '{path}' -prune" for path in LEFT_OUT)
# What begins or ends without anybody's doing.
_PASSING = r"user-runtime-dir@\|user@\|systemd-tmpfiles-clean\|apt-daily\|e2scrub\|dpkg-db-backup\|fstrim"
# What a mode does not say, read by the kernel's own calls: lists and capabilities (xattr(7)), and flags (FS_IOC_GETFLAGS: 0x10 is
# immutable, 0x20 append-only).
_BEYOND_MODES = """python3 -c '
import fcntl, os, stat, sys
for path in sys.stdin.buffer.read().split(b"\\0")[:-1]:
    try:
        for name in sorted(os.listxattr(path, follow_symlinks=False)):
            print(os.fsdecode(path), name, os.getxattr(path, name, follow_symlinks=False).hex())
        if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as opened:
                flags = bytearray(8)
                fcntl.ioctl(opened, 0x80086601, flags)
                if flags[0] & 0x30:
                    print(os.fsdecode(path), "flags", flags[0] & 0x30)
    except OSError:
        pass
'"""
_ASKED = {
    "file": f"find / -xdev {_FIND} -o -printf '%p %y %m %U %G %l\\n'",
    "content": f"find / -xdev {_FIND} -o -type f -print0 | xargs -0 sha256sum",
    "beyond": f"find / -xdev {_FIND} -o -print0 | {_BEYOND_MODES}",
    "package": "dpkg-query -W -f='${binary:Package} ${db:Status-Abbrev}${Version}\\n'",
    "auto": "sed -n 's/^Package: //p' /var/lib/apt/extended_states",
    "override": "dpkg-statoverride --list || true",
    "diversion": "dpkg-divert --list",
    "unit": "systemctl list-unit-files --no-legend --no-pager --plain",
    "active": "systemctl list-units --no-legend --no-pager --plain --state=active --type=service,socket,timer,path "
    f"| awk '{{ print $1 }}' | grep -v '{_PASSING}'",
    "failed": "systemctl list-units --no-legend --no-pager --plain --failed",
    "sysctl": f"sysctl -a 2>/dev/null | grep -v '{COUNTING}'",
    # Those that iptables makes for itself may stay, empty.
    "native filters": "! command -v nft >/dev/null || for t in $(nft list tables | awk '$2 !~ /^ip6?$/ { print $2 \":\" $3 }'); do "
    "nft -s list table ${t%:*} ${t#*:}; done",
    # These bear names that iptables has too, and iptables says only that they are not its own.
    "nft's by iptables' names": "! command -v nft >/dev/null || for t in ip:iptables ip6:ip6tables; do ${t#*:}-save | "
    "sed -n 's/^# Table .\\([a-z]*\\). .*incompatible.*/\\1/p' | while read -r n; do nft -s list table ${t%:*} $n; done; done",
    "ip4": "! command -v iptables-save >/dev/null || iptables-save | sed '/^#/d; s/\\[.*//'",
    "ip6": "! command -v ip6tables-save >/dev/null || ip6tables-save | sed '/^#/d; s/\\[.*//'",
    "account": "getent passwd; getent group; getent shadow",
    "mount": "findmnt -rn -o TARGET,FSTYPE,OPTIONS | grep -v '^/run\\|^/proc\\|^/sys'",
    "listener": "ss -Hlntu | awk '{ print $1, $5 }'",
    "sshd": "sshd -T",
    "limit": "systemctl show --property DefaultLimitCORE",
}


def whole(gateway: GatewayHost) -> set[str]:
    """Return the host's state, a line a thing, each begun with its kind."""
    script = "\n".join(f"( {command} ) 2>/dev/null | sed 's/^/{kind} /'" for kind, command in _ASKED.items())
    return {line.rstrip() for line in gateway.run(script).splitlines()}


def unlike(before: set[str], after: set[str]) -> list[str]:
    """Return what differs between two states: ``-`` before each line that is gone, ``+`` before each new one."""
    return sorted([*(f"- {line}" for line in before - after), *(f"+ {line}" for line in after - before)])
