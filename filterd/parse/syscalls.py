"""The system calls that a parse worker keeps, with their numbers on each architecture: a table.

Numbers: <asm/unistd.h> of Linux. What is not here fails with EPERM: a parse worker computes, reads the files
that Python imports, fills memory files and answers on a socket, all of which it has already; it needs nothing else.
abort(3) cannot signal then, and ends by a trap.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Architecture(Struct, frozen=True, kw_only=True):
    """``audit`` is AUDIT_ARCH_* of <linux/audit.h>; ``openers`` maps a call's number to its flags' argument.

    ``chosen`` maps the number of a call to an argument and the values that it may have.
    """

    audit: int
    calls: tuple[int, ...]
    openers: Mapping[int, int]
    chosen: Mapping[int, tuple[int, tuple[int, ...]]]


# name: (x86_64, aarch64); -1: there is no such call.
_TABLE: Final[Mapping[str, tuple[int, int]]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "stat": (4, -1), "fstat": (5, 80), "lstat": (6, -1),
    "poll": (7, -1), "ppoll": (271, 73), "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226),
    "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65),
    "writev": (20, 66), "ftruncate": (77, 46), "access": (21, -1), "faccessat": (269, 48),
    "faccessat2": (439, 439), "newfstatat": (262, 79), "statx": (332, 291), "readlink": (89, -1),
    "readlinkat": (267, 78), "getdents64": (217, 61), "getcwd": (79, 17), "dup": (32, 23), "umask": (95, 166),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "futex": (202, 98), "membarrier": (324, 283),
    "set_robust_list": (273, 99), "rseq": (334, 293), "restart_syscall": (219, 128),
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165), "times": (100, 153),
    "gettimeofday": (96, 169), "time": (201, -1), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "getrandom": (318, 278),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip


# fcntl(2): F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS; not F_SETOWN and F_SETSIG,
# which have the kernel signal another process. ioctl(2): TCGETS, FIOCLEX; not FIOSETOWN. prlimit(2): one's own.
_FCNTL: Final = (1, (0, 1, 2, 3, 1030, 1033, 1034))
_IOCTL: Final = (1, (0x5401, 0x5451))
_PRLIMIT: Final = (0, (0,))


def _calls(column: int) -> tuple[int, ...]:
    return tuple(sorted(numbers[column] for numbers in _TABLE.values() if numbers[column] >= 0))


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    # open: flags are argument 1; openat: argument 2.
    "x86_64": Architecture(
        audit=0xC000003E,
        calls=_calls(0),
        openers={2: 1, 257: 2},
        chosen={72: _FCNTL, 16: _IOCTL, 302: _PRLIMIT},
    ),
    "aarch64": Architecture(
        audit=0xC00000B7,
        calls=_calls(1),
        openers={56: 2},
        chosen={25: _FCNTL, 29: _IOCTL, 261: _PRLIMIT},
    ),
}
