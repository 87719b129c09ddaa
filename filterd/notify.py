"""sd_notify(3) and sd_watchdog_enabled(3) in a few lines, instead of a library with C in it."""

import contextlib
import os
import socket


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
