"""Becoming another on a host by a password that no list of processes shows.

A password in a command is read by whoever is logged in on the host (/proc/PID/cmdline), for as long as the command runs. Here it
is the first line of the command's input: the shell reads it into its own environment, which only its user and root can read, and
sudo asks printenv(1) for it, so that no program for it has to lie in a directory that may be mounted noexec. What else is given to the
command as its input follows behind that line.
"""

import shlex
from typing import Final, NamedTuple

from roles.errors import SettingError

_NAME: Final = "BASTIDE_PASSWORD"
_READ: Final = f"IFS= read -r {_NAME}"
# sudo(8) runs its askpass with the prompt as the one argument: what `printenv NAME` wants.
_ASKING: Final = f"export {_NAME} && SUDO_ASKPASS=/usr/bin/printenv exec sudo -A -k -p {_NAME}"
# The shell does it itself, so that this has no arguments that anybody could read.
_SAYING: Final = f"printf '%s\\n' \"${_NAME}\""


class Way(NamedTuple):
    """A command as the login's shell takes it, and the line that its input begins with; an empty one is none."""

    command: str
    secret: str = ""

    @property
    def first(self) -> bytes:
        """What is written to the command's input before anything else."""
        return f"{self.secret}\n".encode() if self.secret else b""


def by_sudo(words: str, password: str) -> Way:
    """Return the way to have sudo run what ``words`` (options of sudo's, and a command) say; with no password it asks for none.

    Raises SettingError for a password of more than one line.
    """
    return _typed(f"{_ASKING} {words}", password) if password else Way(f"sudo -n {words}")


def by_su(command: str, password: str) -> Way:
    """Return the way to run a whole command of su's; raises SettingError for a password of more than one line."""
    return _typed(f"{_SAYING} | {command}", password) if password else Way(command)


def _typed(script: str, password: str) -> Way:
    if "\n" in password:
        raise SettingError("a password for sudo or su is one line; the inventory's has more")
    return Way(f"sh -c {shlex.quote(f'{_READ} && {script}')}", password)
