"""Programs that run as their owner, outside of what the engine watches: there may be none on any local file system."""

import base64
import hashlib
import os
import re
import stat
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Final

from .database import Entry

_MOUNTS: Final = Path("/proc/self/mounts")
# File systems without a disk of this host behind them, or that only the kernel writes.
_NOT_LOCAL: Final = frozenset(
    {
        "proc",
        "sysfs",
        "devpts",
        "cgroup",
        "cgroup2",
        "securityfs",
        "debugfs",
        "tracefs",
        "mqueue",
        "bpf",
        "nfs",
        "nfs4",
        "cifs",
        "autofs",
        "fuse",
        "pstore",
        "efivarfs",
        "configfs",
        "hugetlbfs",
        "binfmt_misc",
    }
)
# How proc(5) writes blanks, line ends and backslashes; every other octet stands there as it is.
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_RUNS_AS_OWNER: Final = stat.S_ISUID | stat.S_ISGID


def file_systems() -> list[str]:
    """Return where local file systems are mounted on which such a program would get its rights."""
    found = []
    for line in _MOUNTS.read_text("utf-8", "surrogateescape").splitlines():
        # Whether it is mounted nosuid does not count: a mount can be given again without it.
        _, place, kind, *_ = line.split(" ")
        if kind.partition(".")[0] not in _NOT_LOCAL:
            found.append(_OCTAL.sub(lambda found: chr(int(found[1], 8)), place))
    return sorted(set(found))


def programs(places: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Give each regular file with SUID or SGID below some mounts, once, with what stat(2) says of it."""
    # Mounts of a part of a file system somewhere else show the same directories again.
    seen: set[tuple[int, int]] = set()
    for place in places:
        try:
            top = os.lstat(place)
        except OSError:
            continue
        device = top.st_dev
        if (device, top.st_ino) in seen:
            continue
        seen.add((device, top.st_ino))
        todo = [place]
        while todo:
            try:
                with os.scandir(todo.pop()) as entries:
                    for entry in entries:
                        try:
                            info = entry.stat(follow_symlinks=False)
                        except OSError:
                            continue  # it went meanwhile, and what stands behind it did not
                        known = (info.st_dev, info.st_ino) in seen
                        if stat.S_ISDIR(info.st_mode) and info.st_dev == device and not known:
                            seen.add((info.st_dev, info.st_ino))
                            todo.append(entry.path)
                        elif stat.S_ISREG(info.st_mode) and info.st_mode & _RUNS_AS_OWNER and not known:
                            seen.add((info.st_dev, info.st_ino))
                            yield entry.path, info
            except OSError:
                continue  # it went meanwhile


def entries(watched: Container[str]) -> Mapping[str, Entry]:
    """Return these programs as entries of a database, but for those that the engine watches by itself."""
    found = {}
    for path, info in programs(file_systems()):
        if path in watched:
            continue
        try:
            with Path(path).open("rb") as file:
                digest = base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
        except OSError:
            digest = "0"
        columns = {"perm": f"{info.st_mode:o}", "uid": str(info.st_uid), "gid": str(info.st_gid)}
        found[path] = Entry("", columns | {"size": str(info.st_size), "sha256": digest})
    return found
