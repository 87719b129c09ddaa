"""What hosts have of the machine's kernel in common, and may run out of."""

import ctypes
import os

from lab.errors import LabError

_LIMIT = "fs.inotify.max_user_instances"
# A gateway's systemd and daemons have some of them; a host whose systemd gets none dies while it boots.
_OF_A_HOST = 10


def check_watches(hosts: int) -> None:
    """Raise LabError, before anything is made, unless there are instances of inotify(7) left for so many more containers.

    All of them belong to one user, root, whose limit is Debian's 128 by default: that is some four labs.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    held: list[int] = []
    try:
        while len(held) < hosts * _OF_A_HOST and (one := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            held.append(one)
    finally:
        for one in held:
            os.close(one)
    if len(held) < hosts * _OF_A_HOST:
        raise LabError(
            f"{hosts} hosts need {hosts * _OF_A_HOST} instances of inotify(7), and the other labs and services of this machine leave "
            f"{len(held)}: end a lab (`python -m lab down --name NAME`), or run `sysctl -w {_LIMIT}=1024`"
        )
