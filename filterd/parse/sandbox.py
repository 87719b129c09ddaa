"""What a parse worker may not do: rlimits, then a system-call filter that no later call can lift.

The attack it stops: a parser that a message has taken over. It can neither reach a network, another process or a
program, nor write a file, nor take more time and memory than one message is worth.
Sources: prctl(2), seccomp(2), getrlimit(2), <linux/filter.h>, <linux/seccomp.h>.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from filterd.errors import FilterdError

from .border import RESERVE
from .syscalls import ARCHITECTURES, Architecture

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2

# BPF: code, jump if true, jump if false, operand.
_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_BITS: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_ALLOW: Final = 0x7FFF0000
_EPERM: Final = 0x00050000 | 1
_KILL: Final = 0x80000000  # SECCOMP_RET_KILL_PROCESS

# struct seccomp_data: the number, the architecture, then (after the instruction pointer) the arguments; both
# architectures of the table are little-endian, so an argument's low half comes first.
_NUMBER: Final = 0
_ARCH: Final = 4
_ARGUMENT: Final = 16
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000  # __O_TMPFILE

# Standard streams, message, job, order, the contents, what Python has open while it imports. The kernel also counts by
# it what all our answers have on their way at a time (unix(7), ETOOMANYREFS).
_FILES: Final = 256


class SandboxError(FilterdError):
    """The host does not let a parse worker give up its rights."""


def _argument(index: int) -> int:
    return _ARGUMENT + 8 * index


def _program(arch: Architecture) -> Iterator[tuple[int, int, int, int]]:
    """Yield the filter: another architecture's call kills, what is not in the table fails with EPERM."""
    yield (_LOAD, 0, 0, _ARCH)
    yield (_JUMP_EQUAL, 1, 0, arch.audit)
    yield (_RETURN, 0, 0, _KILL)
    yield (_LOAD, 0, 0, _NUMBER)
    for number in arch.calls:
        yield (_JUMP_EQUAL, 0, 1, number)
        yield (_RETURN, 0, 0, _ALLOW)
    for number, flags in arch.openers.items():
        yield (_JUMP_EQUAL, 0, 4, number)
        yield (_LOAD, 0, 0, _argument(flags))
        yield (_JUMP_BITS, 0, 1, _WRITING)
        yield (_RETURN, 0, 0, _EPERM)
        yield (_RETURN, 0, 0, _ALLOW)
    for number, (index, values) in arch.chosen.items():
        yield (_JUMP_EQUAL, 0, 2 + 2 * len(values), number)
        yield (_LOAD, 0, 0, _argument(index))
        for value in values:
            yield (_JUMP_EQUAL, 0, 1, value)
            yield (_RETURN, 0, 0, _ALLOW)
        yield (_RETURN, 0, 0, _EPERM)
    yield (_RETURN, 0, 0, _EPERM)


class _Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int, pointer: object = 0) -> None:
    arguments = [ctypes.c_ulong(value), pointer or ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)]
    if _LIBC.prctl(option, *arguments):
        raise SandboxError(f"prctl({option}) failed: {os.strerror(ctypes.get_errno())}")


def renounce() -> None:
    """Give up, for this process and its children, what no program may ever give back. Raises SandboxError."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def prefer_to_die() -> None:
    """Have the kernel end this process and its children before others when the host runs out of memory."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")


class Sandbox:
    """What every parse worker enters, made beforehand. ``memory`` is in bytes, beyond what this process has now.

    ``seconds`` of CPU are for one of ``jobs``. Raises SandboxError where there is no table for this machine.
    """

    def __init__(self, *, memory: int, seconds: float, jobs: int = 1) -> None:
        machine = platform.machine()
        if (arch := ARCHITECTURES.get(machine)) is None:
            raise SandboxError(f"there is no table of system calls for {machine}")
        self._program = b"".join(_INSTRUCTION.pack(*one) for one in _program(arch))
        occupied = (
            int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        )
        self._space = occupied + memory
        self._most_seconds = int((seconds + 1) * jobs)
        self._memory = memory
        self._seconds = seconds
        self._parent = os.getpid()

    def enter(self) -> None:
        """Bound this process, and give up every system call that is not in the table, for ever."""
        resource.setrlimit(resource.RLIMIT_AS, (self._space, self._space + RESERVE))
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._memory, self._memory))
        resource.setrlimit(resource.RLIMIT_CPU, (int(self._seconds) + 1, self._most_seconds + 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        files = min(_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        # The one who started it ends it at its deadline. When that one hangs it is killed itself.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:
            raise SandboxError("the one who would end this process at its deadline has ended")
        record = _Filter(len(self._program) // _INSTRUCTION.size, self._program)
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(record))

    def begin(self) -> None:
        """Grant the time and memory of one more job."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + self._seconds) + 1
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard), hard))
        resource.setrlimit(resource.RLIMIT_AS, (self._space, self._space + RESERVE))


def grant_reserve() -> None:
    """Let this process use what is kept for its answer."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
