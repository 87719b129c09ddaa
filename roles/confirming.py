"""Commit-confirm: what could shut the administrator out undoes itself unless a new login confirms it.

A timer on the host holds the way back, so that it needs neither this run nor its session. It is started before the change and
stopped by a connection that is opened after it. Where the change is on disk before it is confirmed, a unit that the next boot runs
before sshd holds the same way back, for a boot knows no timer of the one before.
"""

import shlex
import time
from collections.abc import Generator
from typing import Any

from pyinfra.api import (
    FileUploadCommand,
    FunctionCommand,
    OperationError,
    QuoteString,
    State,
    StringCommand,
)
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from typing_extensions import override

Commands = Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]

# The part of the time for a confirmation in which a connection that fails is tried again.
_PATIENCE = 0.5
_PAUSE_S = 0.5


def armed(unit: str, keep: str, restore: str, seconds: int) -> str:
    """Return the script that keeps what is there now and starts the timer that brings it back after so many seconds.

    ``unit`` names the timer; ``keep`` and ``restore`` are scripts for root. A timer that an earlier run left unconfirmed is
    brought to its end first: it must not fire into this one, nor what it would undo be taken for what was there before.
    """
    return (
        f"if systemctl --quiet is-active {unit}.timer; then systemctl start {unit}.service; systemctl stop {unit}.timer; fi\n"
        f"{keep}\nsync\n"
        # Of this type, so that who starts it waits for its end: what it brings back from is made anew right behind that.
        f"systemd-run --quiet --collect --unit={unit} --property=Type=oneshot --on-active={seconds} "
        "--timer-property=AccuracySec=1s "
        f"sh -c {shlex.quote(restore)}"
    )


class Confirmation(FunctionCommand):
    """A step that stops the timer as its operation would run a command: by the same sudo, su or doas, with the same password."""

    @override
    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> None:
        confirm(state, host, connector_arguments, **self.kwargs)


def confirmation(unit: str, seconds: int, what: str, then: str = "") -> FunctionCommand:
    """Return the command that stops the timer through a new connection, which ``what`` has to let in; ``then`` is run behind that.

    It raises OperationError when no such connection comes up, or the timer has fired; then what was there before is back or
    will be within ``seconds``.
    """
    return Confirmation(confirm, (), {"unit": unit, "seconds": seconds, "what": what, "then": then})


# What belongs to a command that a confirmation is not: its own time, and what is read or tried anew.
_OF_COMMANDS = (
    "_timeout",
    "_stdin",
    "_get_pty",
    "_success_exit_codes",
    "_retries",
    "_retry_delay",
    "_retry_until",
    "_chdir",
)


def confirm(
    state: State,
    host: Host,
    arguments: ConnectorArguments,
    *,
    unit: str,
    seconds: int,
    what: str,
    then: str = "",
) -> None:
    """Open a connection of its own and stop the timer by it, as root by ``arguments``; see ``confirmation``."""
    fresh = type(host.connector)(state, host)
    stop = f"systemctl is-active --quiet {unit}.timer && systemctl stop {unit}.timer"
    if then:
        stop += f" && {{ {then}; }}"
    own: Any = {name: value for name, value in arguments.items() if name not in _OF_COMMANDS}
    try:
        _connect(fresh, time.monotonic() + seconds * _PATIENCE)
        command = StringCommand("sh", "-c", QuoteString(stop))
        done, _output = fresh.run_shell_command(
            command, print_output=False, print_input=False, **own, _timeout=seconds
        )
    except Exception as error:
        raise OperationError(
            f"the new {what} does not let this session in ({error}); the former one comes back within {seconds} seconds"
        ) from error
    finally:
        if getattr(fresh, "client", None) is not None:
            fresh.disconnect()
    if not done:
        raise OperationError(
            f"the new {what} was not confirmed within {seconds} seconds; the former one is back"
        )


def _connect(connector: Any, until: float) -> None:  # noqa: ANN401 - a connector of any kind
    """Open a connection; one that fails is tried again for a while: an sshd that reads its files anew does not listen meanwhile."""
    while True:
        try:
            connector.connect()
        except ConnectError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
        else:
            return
