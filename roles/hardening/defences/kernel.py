"""The kernel: what it tells, what it lets processes do to each other, what it loads."""

from roles.defence import Defence
from roles.kinds import HardLimit, HostState, ModuleBlocked, Sysctl
from roles.settings import Gateway

_INSIDE = "It binds processes of this host; an outsider meets it only after having broken in."


def _ptrace(gateway: Gateway) -> str:
    """Return who may look into a process: its parents (1), or at the highest level only root (2)."""
    return "2" if gateway.hardening_level == "paranoid" else "1"


def _blocked(*names: str) -> tuple[ModuleBlocked, ...]:
    return tuple(ModuleBlocked(name, "") for name in names)


DEFENCES = (
    Defence(
        id="hardening.kernel-secrets",
        title="The kernel tells only root its addresses, its log and its counters",
        why="An exploit of the kernel needs its addresses, and finds them in its log, in /proc and by measuring.",
        rows=("H05", "H08"),
        sets=(
            Sysctl("kernel.kptr_restrict", "2"),
            Sysctl("kernel.dmesg_restrict", "1"),
            # 3 is Debian's own: no use of the counters at all without CAP_PERFMON.
            Sysctl("kernel.perf_event_paranoid", "3"),
            Sysctl("kernel.randomize_va_space", "2"),
            Sysctl("vm.mmap_min_addr", "65536"),
        ),
        unseen=_INSIDE,
        weight=6,
    ),
    Defence(
        id="hardening.kernel-surface",
        title="What exploits of the kernel start from is closed to ordinary users",
        why="User namespaces, BPF, userfaultfd and line disciplines are where most ways from a user to root of the last years began.",
        rows=("H05", "H08"),
        sets=(
            Sysctl("kernel.unprivileged_bpf_disabled", "1"),
            Sysctl("kernel.unprivileged_userns_clone", "0"),
            Sysctl("vm.unprivileged_userfaultfd", "0"),
            Sysctl("dev.tty.ldisc_autoload", "0"),
            Sysctl("kernel.yama.ptrace_scope", _ptrace),
            Sysctl("net.core.bpf_jit_harden", "2"),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Ordinary users can neither make namespaces, as rootless containers do, nor attach a debugger to a running process.",
        weight=8,
    ),
    Defence(
        id="hardening.kernel-console",
        title="Neither keys at the console nor another kernel take the machine over",
        why="The magic SysRq keys kill, dump and reboot without a login; kexec starts a kernel that no boot loader checked.",
        rows=("H05", "H09"),
        sets=(
            Sysctl("kernel.sysrq", "0"),
            Sysctl("kernel.ctrl-alt-del", "0"),
            Sysctl("kernel.kexec_load_disabled", "1"),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="A machine that hangs cannot be asked by SysRq to write its disks; crash dumps by kexec do not work.",
        weight=3,
    ),
    Defence(
        id="hardening.links",
        title="Links, pipes and files that others laid into shared directories are not followed",
        why="A link in /tmp to a file of root's makes a careless program of root's write there.",
        rows=("H08",),
        sets=(
            Sysctl("fs.protected_hardlinks", "1"),
            Sysctl("fs.protected_symlinks", "1"),
            Sysctl("fs.protected_fifos", "2"),
            Sysctl("fs.protected_regular", "2"),
        ),
        unseen=_INSIDE,
        weight=7,
    ),
    Defence(
        id="hardening.no-cores",
        title="A process that dies leaves no image of its memory",
        why="A core of the MTA, the filter or sshd holds mail, passwords and keys, and lies where its writer could be led.",
        rows=("H08", "P28"),
        sets=(
            Sysctl("fs.suid_dumpable", "0"),
            Sysctl("kernel.core_pattern", "|/bin/false"),
            Sysctl("kernel.core_uses_pid", "1"),
            HardLimit("core", "0"),
            HostState(
                subject="hard limit on cores of services",
                command="systemctl show --property DefaultLimitCORE --value",
                value="0",
                remedy="systemctl daemon-reexec",
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="A daemon that crashes leaves only its log to find out why.",
        weight=4,
    ),
    Defence(
        id="hardening.kernel-panic",
        title="A kernel that has met a fault of its own stops",
        why="After an oops its state is what an exploit made of it; a gateway that restarts loses no mail, one that goes on may.",
        rows=("H08",),
        sets=(Sysctl("kernel.panic_on_oops", "1"), Sysctl("kernel.panic", "60")),
        unseen=_INSIDE,
        level="paranoid",
        cost="A fault of a driver that would have been harmless restarts the machine after a minute.",
        weight=3,
    ),
    Defence(
        id="hardening.no-odd-protocols",
        title="Network protocols that no mail needs are not loaded",
        why="A user who opens a socket of a rare protocol loads its module, and rare ones have been the way to root again and again.",
        rows=("H05", "H08"),
        sets=_blocked(
            *("dccp", "sctp", "rds", "tipc", "atm", "can", "ax25", "netrom", "rose", "x25", "appletalk"),
            *("decnet", "econet", "ipx", "psnap", "p8022", "p8023", "af_802154", "n-hdlc"),
        ),
        unseen=_INSIDE,
        weight=7,
    ),
    Defence(
        id="hardening.no-odd-filesystems",
        title="File systems that no server needs are not mounted",
        why="A medium with a crafted file system attacks the kernel that mounts it.",
        rows=("H08",),
        sets=_blocked(
            *("cramfs", "freevxfs", "hfs", "hfsplus", "jffs2", "udf", "gfs2", "minix", "ufs", "befs"),
        ),
        unseen=_INSIDE,
        weight=3,
    ),
    Defence(
        id="hardening.no-ports-for-strangers",
        title="Neither USB storage nor buses with access to memory are served",
        why="Who stands before the machine for a minute must not carry data off by a stick or read memory by FireWire.",
        rows=("H08",),
        sets=_blocked("usb-storage", "uas", "firewire-core", "firewire-ohci", "thunderbolt", "pcspkr"),
        unseen="It takes hands at the machine.",
        level="moderate",
        cost="USB sticks and disks, and devices on FireWire or Thunderbolt, do not work at this machine.",
        weight=3,
    ),
)
