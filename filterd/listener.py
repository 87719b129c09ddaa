"""The listening socket: made under another name with its final mode and group, then renamed into place.

The attack it stops: the moment in which a new socket can be reached by everybody, or by nobody.
"""

import contextlib
import errno
import grp
import os
import socket
from pathlib import Path
from typing import Final

from .config import MilterSettings
from .errors import ConfigError

_BACKLOG: Final = 128


def bind(settings: MilterSettings) -> socket.socket:
    """Return a non-blocking listening socket at its path. Raises ConfigError that names setting and remedy."""
    path = Path(settings.socket)
    if _alive(path):
        raise ConfigError(f"[milter] socket: another filterd serves {path}; stop it or set another path")
    interim = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.settimeout(0)
        interim.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(interim))
        finally:
            os.umask(before)
        _give_to_group(interim, settings.socket_group)
        interim.chmod(int(settings.socket_mode, 8))
        listener.listen(_BACKLOG)
        interim.rename(path)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"[milter] socket: {path} cannot be made ({error.strerror or error}):"
            " its directory must exist and be writable by the user that filterd runs as"
        ) from error
    except ConfigError:
        interim.unlink(missing_ok=True)
        listener.close()
        raise
    return listener


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError as error:
            # Its listen queue being full means that somebody does listen.
            return error.errno == errno.EAGAIN or isinstance(error, TimeoutError)
        return True


def _give_to_group(path: Path, name: str) -> None:
    """Give the socket to a group. A set-group-id directory has done so already, without any right of ours."""
    if not name:
        return
    try:
        wanted = grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise ConfigError(
            f"[milter] socket_group: there is no group {name!r}; create it or set another"
        ) from error
    if path.stat().st_gid == wanted:
        return
    try:
        os.chown(path, -1, wanted)
    except PermissionError as error:
        raise ConfigError(
            f"[milter] socket_group: {path.parent} is not set-group-id {name!r} and filterd's user is not in"
            " that group: chgrp the directory and chmod g+s it"
        ) from error


def unbind(listener: socket.socket, settings: MilterSettings) -> None:
    """Stop listening and remove the path if it is still ours (after a restart it may be another's)."""
    path = Path(settings.socket)
    listener.close()
    if not _alive(path):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
