"""pyinfra's connections, with passwords kept out of the commands that travel by them: see roles/becoming.py."""

import base64
from abc import abstractmethod
from collections.abc import Mapping
from io import IOBase
from typing import IO, Any, Final, cast

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.output import echo
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import (
    CommandOutput,
    execute_command_with_sudo_retry,
    extract_control_arguments,
    make_unix_command,
    read_output_buffers,
    run_local_process,
    write_stdin,
)
from typing_extensions import override

from roles.becoming import Way, by_su, by_sudo

# What pyinfra writes for a sudo that needs no password.
_NEVER_ASKED: Final = "sudo -H -n "
_PASSWORDS: Final = ("_sudo_password", "_su_password")


def way(command: StringCommand, given: Mapping[str, Any], asked: str = "") -> Way:
    """Return the way to run a command as pyinfra's arguments say (``_sudo``, ``_su_user``, ``_env``, ``_chdir``, ...).

    ``asked`` is a password for sudo that somebody was asked for during the run. Raises SettingError for a password of more
    than one line.
    """
    plain = make_unix_command(
        command, **{name: value for name, value in given.items() if name not in _PASSWORDS}
    )
    text = str(plain.get_raw_value())
    if given.get("_sudo"):
        if not text.startswith(_NEVER_ASKED):
            raise PyinfraError(f"pyinfra no longer begins a command by sudo with {_NEVER_ASKED!r}")
        return by_sudo(f"-H {text[len(_NEVER_ASKED) :]}", given.get("_sudo_password") or asked)
    if given.get("_su_user"):
        return by_su(text, given.get("_su_password") or "")
    return Way(text)


def prompted(host: Host) -> str:
    """Return the password for sudo that somebody was asked for during the run, or ""."""
    return host.connector_data.get("prompted_sudo_password") or ""


class _Becoming(BaseConnector):
    """What both connectors below have in common."""

    @abstractmethod
    def _run(
        self, there: str, stdin: list[str], timeout: int | None, *, pty: bool, shown: bool
    ) -> tuple[int, CommandOutput]:
        """Run a command with this input; return its exit code and what it said."""

    @override
    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> tuple[bool, CommandOutput]:
        """Run a command and return whether it succeeded, with what it said, as pyinfra's connectors do."""
        control = extract_control_arguments(arguments)  # type: ignore[arg-type]
        stdin = control.get("_stdin") or []
        lines = [stdin] if isinstance(stdin, str) else list(stdin)
        pty = bool(control.get("_get_pty"))

        def tried() -> tuple[int, CommandOutput]:
            found = way(command, arguments, prompted(self.host))
            if found.secret and pty:
                raise PyinfraError(
                    "a terminal shows what is typed: `_get_pty` and a password do not go together"
                )
            if print_input:
                echo(f"{self.host.print_prefix}>>> {found.command}", err=True)
            secret = [found.secret] if found.secret else []
            return self._run(
                found.command, secret + lines, control.get("_timeout"), pty=pty, shown=print_output
            )

        code, output = execute_command_with_sudo_retry(self.host, arguments, tried)  # type: ignore[arg-type]
        return code in (control.get("_success_exit_codes") or [0]), output


class BecomingBySsh(_Becoming, SSHConnector):
    """pyinfra's connection by ssh, with a password given as input.

    Files of who becomes another travel by the command that reads or writes them. pyinfra would lay them into /tmp, as the login's own
    and readable as its umask has it: to everybody, or not even to itself.
    """

    @override
    def put_file(
        self,
        filename_or_io: str | IOBase,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Write a file on the host and return whether that succeeded, as pyinfra's connectors do."""
        if not _leaves_input(arguments):
            return super().put_file(
                filename_or_io, remote_filename, remote_temp_filename, print_output, print_input, **arguments
            )
        with get_file_io(cast("str | IO[bytes]", filename_or_io)) as file:
            arguments["_stdin"] = base64.b64encode(file.read()).decode()
        writes = StringCommand("base64", "-d", ">", QuoteString(remote_filename))
        return self.run_shell_command(writes, print_output, print_input, **arguments)[0]

    @override
    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IOBase,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Read a file of the host and return whether that succeeded, as pyinfra's connectors do."""
        if not _leaves_input(arguments):
            return super().get_file(
                remote_filename, filename_or_io, remote_temp_filename, print_output, print_input, **arguments
            )
        reads = StringCommand("base64", "-w0", QuoteString(remote_filename))
        done, output = self.run_shell_command(reads, print_output=False, print_input=print_input, **arguments)
        if done:
            with get_file_io(cast("str | IO[bytes]", filename_or_io), "wb") as file:
                file.write(base64.b64decode(output.stdout))
        return done

    @override
    def _run(
        self, there: str, stdin: list[str], timeout: int | None, *, pty: bool, shown: bool
    ) -> tuple[int, CommandOutput]:
        assert self.client is not None  # noqa: S101 - as pyinfra has it: nothing runs before it is connected
        typed, said, errors = self.client.exec_command(there, get_pty=pty)
        if stdin:
            write_stdin(stdin, typed)  # type: ignore[no-untyped-call]
        typed.close()
        output = read_output_buffers(
            said, errors, timeout=timeout, print_output=shown, print_prefix=self.host.print_prefix
        )
        return said.channel.recv_exit_status(), output


def _leaves_input(given: Mapping[str, Any]) -> bool:
    """Return whether a command is run as another, and what it is given as its input reaches it: su's password is all that su lets by."""
    by_su = given.get("_su_user") and not given.get("_su_password")
    return bool(given.get("_sudo") or given.get("_doas") or given.get("_dzdo") or by_su)


class BecomingHere(_Becoming, LocalConnector):
    """pyinfra's way to this machine itself (``@local``), with a password given as input."""

    @override
    def _run(
        self, there: str, stdin: list[str], timeout: int | None, *, pty: bool, shown: bool
    ) -> tuple[int, CommandOutput]:
        return run_local_process(
            there, stdin=stdin, timeout=timeout, print_output=shown, print_prefix=self.host.print_prefix
        )


_QUIET: Final[dict[type, type]] = {SSHConnector: BecomingBySsh, LocalConnector: BecomingHere}


def quietly(host: Host) -> None:
    """Have a host's connection, as it stands, give passwords as input from now on; other kinds of connection stay as they are."""
    kind = _QUIET.get(type(host.connector))
    if kind is not None:
        # The inventory names the kind of connection, by pyinfra's own names, and has opened it before any code of ours runs.
        quiet = kind(host.state, host)
        vars(quiet).update(vars(host.connector))
        host.connector = quiet
