"""How a host is asked as root: by ssh, with no host key but the known one, or here; as root or by sudo."""

import shlex
import subprocess
from typing import Final

from audit.target import Target
from roles.becoming import Way, by_sudo

CONNECT_SECONDS: Final = 10


class Login:
    """One gateway, reached as pyinfra reaches it."""

    def __init__(self, target: Target) -> None:
        self._argv = [] if target.name == "@local" else _ssh(target)
        self._by_sudo = bool(target.data.get("_sudo"))
        self._password = str(target.data.get("_sudo_password") or "")

    def run(
        self, script: str, *, stdin: bytes = b"", seconds: float | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a shell script as root with this input. Raises subprocess.TimeoutExpired when it has not ended in time.

        Exit code 255 is ssh's own: the host was not reached.
        """
        quoted = f"sh -c {shlex.quote(script)}"
        there = by_sudo(f"-H {quoted}", self._password) if self._by_sudo else Way(quoted)
        argv = [*self._argv, there.command] if self._argv else ["sh", "-c", there.command]
        return subprocess.run(
            argv, input=there.first + stdin, capture_output=True, check=False, timeout=seconds
        )


def ssh_options(target: Target) -> list[str]:
    """Return the options of ssh(1) by which every look at a host goes: no questions, and no host key but the known one."""
    known = target.data.get("ssh_known_hosts_file")
    return [
        *("-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"),
        *(("-o", f"UserKnownHostsFile={known}") if known else ()),
        *("-o", f"ConnectTimeout={CONNECT_SECONDS}"),
    ]


def _ssh(target: Target) -> list[str]:
    """Return the ssh command to which a remote command is appended."""
    data = target.data
    user = f"{data['ssh_user']}@" if data.get("ssh_user") else ""
    return [
        *("ssh", *ssh_options(target), "-p", str(data.get("ssh_port") or 22)),
        *(("-i", str(data["ssh_key"]), "-o", "IdentitiesOnly=yes") if data.get("ssh_key") else ()),
        f"{user}{target.ssh_address}",
    ]
