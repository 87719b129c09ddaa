"""sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3) in a few lines, instead of a library with C in it."""

import contextlib
import fcntl
import os
import socket
from typing import Final

_FIRST: Final = 3  # SD_LISTEN_FDS_START
_MOST: Final = 16  # sockets; a unit has one or two


def notify(state: str) -> None:
    """Tell the service manager ``state``, such as "READY=1"; without one, or when it is away, do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        contextlib.suppress(OSError),
    ):
        channel.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


def watchdog_seconds() -> float:
    """Return how often to send WATCHDOG=1: half of what the service manager waits; 0 when it does not."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not usec.isdigit() or pid != str(os.getpid()):
        return 0.0
    return int(usec) / 2_000_000


def handed_over() -> list[socket.socket]:
    """Return the listening sockets that the service manager hands over, non-blocking. A second call returns none."""
    mine = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not mine or not count.isdigit():
        return []
    found = []
    for descriptor in range(_FIRST, _FIRST + min(int(count), _MOST)):
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        one = socket.socket(fileno=descriptor)
        one.settimeout(0)
        found.append(one)
    return found
