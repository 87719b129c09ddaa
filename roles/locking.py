"""One run at a time on a host: a second deploy would stop the first one's timer, and with it its own way back.

The lock is held by a process on the host that lives as long as the session of the run: when that ends, or the control host dies,
sshd closes its input and the lock is free.
"""

import contextlib
import getpass
import shlex
import socket
import sys
from typing import Any, Final

from pyinfra.api import DeployError, StringCommand
from pyinfra.api.host import Host

from roles.connection import prompted, way

# A revert (roles/history/revert.sh) takes it too.
LOCK: Final = "/run/bastide-run.lock"
# What a nightly update, its gate and its roles/updates' other deeds hold.
_UPDATE: Final = "/run/bastide-update.lock"
_UPDATE_SECONDS: Final = 60
# A session whose other end is silently gone is sshd's to notice (ClientAliveInterval); no run takes so long.
_LONGEST_SECONDS: Final = 4 * 3600
_ANSWER_SECONDS: Final = _UPDATE_SECONDS + 30.0
_BY: Final = (
    *("_sudo", "_sudo_user", "_sudo_password", "_use_sudo_login", "_preserve_sudo_env"),
    *("_su_user", "_su_password", "_su_shell", "_use_su_login", "_preserve_su_env"),
    *("_doas", "_doas_user", "_dzdo", "_dzdo_user"),
)
# A channel that nobody knows any more is closed; these are known until pyinfra ends.
_HELD: Final[dict[str, Any]] = {}


def alone(host: Host) -> None:
    """Let no other run begin on the host before this one has ended; one that only looks (`--dry`) takes no part in that.

    Raises DeployError, before anything is changed, when another one is at work there. What is not reached by ssh has no lock.
    """
    client = getattr(host.connector, "client", None)
    if "--dry" in sys.argv or client is None:
        return
    script = shlex.quote(holding(f"{getpass.getuser()} on {socket.gethostname()}"))
    there = way(StringCommand("sh", "-c", script), _as_root(host), prompted(host))
    channel = client.get_transport().open_session()
    channel.settimeout(_ANSWER_SECONDS)
    channel.exec_command(there.command)
    channel.sendall(there.first)
    answer = _line(channel)
    if answer == "held":
        _HELD[host.name] = channel
        return
    why = (
        channel.recv_stderr(4096).decode("utf-8", "replace").strip()
        if channel.recv_stderr_ready()
        else "no answer"
    )
    raise DeployError(
        f"{host.name}: {answer or f'its lock {LOCK} could not be taken: {why}'}; nothing was changed"
    )


def _as_root(host: Host) -> dict[str, Any]:
    """Return the inventory's words by which a run becomes root on the host, as its operations do."""
    given = {name: host.data.get(name) for name in _BY}
    return {name: value for name, value in given.items() if value is not None}


def _line(channel: Any) -> str:  # noqa: ANN401 - paramiko's, or a test's
    """Return the first line that comes, bounded, or what of it came in time."""
    said = b""
    with contextlib.suppress(TimeoutError):
        while b"\n" not in said and len(said) < 4096 and (part := channel.recv(4096)):  # noqa: PLR2004
            said += part
    return said.partition(b"\n")[0].decode("utf-8", "replace").strip()


def holding(who: str) -> str:
    """Return the script, for root, that says ``held`` and holds the lock while its input is open; else it says who holds it."""
    told = f"a deploy by {who}, since $(date -u '+%F %T') UTC, process $$"
    return (
        f"umask 077; exec 9<>{LOCK}; flock -n 9 || {{ "
        f'echo "another run is at work there: $(cat {LOCK}); wait for its end, or end that process if nobody is at it"; exit 1; }}; '
        f"[ ! -e {_UPDATE} ] || flock -s -w {_UPDATE_SECONDS} {_UPDATE} true || {{ "
        'echo "an update of its packages is at work there (bastide-update); wait for its end"; exit 1; }; '
        f'echo "{told}" >{LOCK}; echo held; exec timeout {_LONGEST_SECONDS} cat >/dev/null'
    )
