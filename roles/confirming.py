"""Commit-confirm: what could shut the administrator out undoes itself unless a new login confirms it.

A timer on the host holds the way back, so that it needs neither this run nor its session. It is started before the change and
stopped by a connection that is opened after it.
"""

import shlex
import time
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api import (
    FileUploadCommand,
    FunctionCommand,
    OperationError,
    QuoteString,
    State,
    StringCommand,
    operation,
)
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host

from roles.operations import files_owned, shell
from roles.rendering import OwnedFile

Commands = Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]

_FORMER = "/var/lib/bastide/former"
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
        f"systemd-run --quiet --collect --unit={unit} --on-active={seconds} --timer-property=AccuracySec=1s "
        f"sh -c {shlex.quote(restore)}"
    )


def confirmation(unit: str, seconds: int, what: str) -> FunctionCommand:
    """Return the command that stops the timer through a new connection, which ``what`` has to let in.

    It raises OperationError when no such connection comes up, or the timer has fired; then what was there before is back or
    will be within ``seconds``.
    """
    return FunctionCommand(confirm, (), {"unit": unit, "seconds": seconds, "what": what})


def confirm(state: State, host: Host, unit: str, seconds: int, what: str) -> None:
    """Open a connection of its own and stop the timer by it; see ``confirmation``."""
    fresh = type(host.connector)(state, host)
    stop = f"systemctl is-active --quiet {unit}.timer && systemctl stop {unit}.timer"
    try:
        _connect(fresh, time.monotonic() + seconds * _PATIENCE)
        command = StringCommand("sh", "-c", QuoteString(stop))
        done, _output = fresh.run_shell_command(
            command,
            print_output=False,
            print_input=False,
            _sudo=bool(host.data.get("_sudo")),
            _timeout=seconds,
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


@operation()
def logins_confirmed(
    files: Sequence[OwnedFile], check: str, daemon: str, guarding: Sequence[str], seconds: int
) -> Commands:
    """Make some files what they should be as ``files_owned`` does, and have those of logins bring the former ones back by themselves.

    Of ``files`` the paths ``guarding`` say who may log in, and ``daemon`` is the unit that reads them anew when told.
    """
    commands = list(files_owned._inner(files=files, check=check))  # noqa: SLF001 - pyinfra's name for an operation's generator
    if not commands:
        return
    *staged, moved = commands
    yield from staged
    unit = "bastide-logins-rollback"
    yield shell(armed(unit, _kept(guarding), _brought_back(guarding, daemon), seconds))
    yield moved
    yield shell(f"! systemctl is-active --quiet {daemon} || systemctl reload {daemon}")
    yield confirmation(unit, seconds, "configuration of logins")


def _kept(paths: Sequence[str]) -> str:
    names = " ".join(paths)
    return (
        f"rm -rf {_FORMER}; install -d -m 700 {_FORMER}\n"
        f"for p in {names}; do [ ! -e $p ] || {{ mkdir -p {_FORMER}${{p%/*}}; cp -p $p {_FORMER}$p; }}; done"
    )


def _brought_back(paths: Sequence[str], daemon: str) -> str:
    names = " ".join(paths)
    return (
        f"for p in {names}; do if [ -e {_FORMER}$p ]; then cp -p {_FORMER}$p $p; else rm -f $p; fi; done; "
        f"systemctl reload {daemon}"
    )
