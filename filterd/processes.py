"""Processor time of process trees, and whose a unix socket is, as /proc tells it (proc(5), unix(7)).

Only the standard library: a benchmark takes this file along to hosts.
"""

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")
_INIT: Final = 1
_GONE: Final = (FileNotFoundError, ProcessLookupError)


def spent(pids: Collection[int]) -> float:
    """Return the processor time in seconds of processes and all below them, of those that have ended too."""
    return sum(sum(_ticks(one)) for one in {each for pid in pids for each in tree(pid)}) / _TICK


def this() -> frozenset[int]:
    """Return this process, as ``spent`` takes it."""
    return frozenset({os.getpid()})


def own() -> float:
    """Return the processor time of this process alone, in seconds."""
    return sum(os.times()[:2])


def listeners(socket: str) -> frozenset[int]:
    """Return the processes that listen on a unix socket; none if it cannot be told: others' are for root to see."""
    # SO_PEERCRED would name systemd where that has made the socket.
    wanted, inodes = Path(socket).resolve(), set()
    for line in (_PROC / "net" / "unix").read_text(encoding="utf-8", errors="replace").splitlines():
        inode, path = (line.split(maxsplit=7) + [""] * 8)[6:8]
        if path and Path(path).resolve() == wanted:
            inodes.add(f"socket:[{inode}]")
    return frozenset(pid for pid in _processes() if pid != _INIT and inodes.intersection(_files(pid)))


def _processes() -> Iterator[int]:
    yield from (int(one.name) for one in _PROC.iterdir() if one.name.isdigit())


def _files(pid: int) -> Iterator[str]:
    with contextlib.suppress(PermissionError, *_GONE):
        for one in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(PermissionError, *_GONE):
                yield str(one.readlink())


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    with contextlib.suppress(*_GONE):
        for path in (_PROC / str(pid) / "task").glob("*/children"):
            for child in path.read_text(encoding="ascii").split():
                yield from tree(int(child))


def _ticks(pid: int) -> list[int]:
    """Return utime, stime and those of the children that were waited for."""
    with contextlib.suppress(*_GONE):
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return [int(one) for one in text.rpartition(")")[2].split()[11:15]]
    return []
