"""The listening socket: made under another name with its final mode and group, then renamed into place.

The attack it stops: the moment in which a new socket can be reached by everybody, or by nobody.
"""

import contextlib
import errno
import grp
import os
import socket
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from .config import Config
from .errors import ConfigError
from .log import Log

_BACKLOG: Final = 128
_LOOK_AGAIN_S: Final = 0.2
_AFTER_DRAIN_S: Final = 10.0
_MOST_S: Final = 60.0
# connect(2): there is no such path, or nobody listens there. Any other error leaves that open.
_NOBODY: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED})


class Place(Struct, frozen=True, kw_only=True):
    """Where to listen, for whom, and in which section of the configuration that stands."""

    section: str
    path: Path
    mode: int
    group: str = ""
    group_setting: str = "group"


class TakenError(ConfigError):
    """Somebody else listens at a place."""


def for_the_mta(config: Config) -> Place:
    """Return the place at which the MTA finds filterd."""
    milter = config.milter
    return Place(
        section="milter",
        path=Path(milter.socket),
        mode=int(milter.socket_mode, 8),
        group=milter.socket_group,
        group_setting="socket_group",
    )


def for_the_ledger(config: Config) -> Place:
    """Return the place at which filterd's own processes find the ledger."""
    return Place(section="ledger", path=Path(config.ledger.socket), mode=0o600)


def for_the_watchers(config: Config) -> Place | None:
    """Return the place at which metrics and health are asked for; None: nowhere."""
    metrics = config.metrics
    if not metrics.socket:
        return None
    return Place(section="metrics", path=Path(metrics.socket), mode=int(metrics.mode, 8), group=metrics.group)


def free_until(config: Config) -> float:
    """Return until when what a killed supervisor left may hold its sockets, on the monotonic clock.

    Its workers take their time to drain, the ledger behind them; but systemd waits only so long for a start, and comes again.
    """
    return time.monotonic() + min(config.milter.drain_s + _AFTER_DRAIN_S, _MOST_S)


def bind_when_free(place: Place, until: float, log: Log) -> socket.socket:
    """Return what ``bind`` does; while somebody else listens there, wait ``until`` a time of the monotonic clock.

    The children of a supervisor that was killed finish what they have, and keep its sockets so long.
    """
    told = False
    while True:
        try:
            return bind(place)
        except TakenError as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            if not told:
                told = True
                log.event("waiting", why=str(error), seconds=round(left))
            time.sleep(min(_LOOK_AGAIN_S, left))


def bind(place: Place) -> socket.socket:
    """Return a non-blocking listening socket at its path. Raises ConfigError that names setting and remedy."""
    path = place.path
    if owner := _owner(path):
        raise TakenError(f"[{place.section}] socket: {owner}")
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
        _give_to_group(interim, place)
        interim.chmod(place.mode)
        listener.listen(_BACKLOG)
        interim.rename(path)
    except OSError as error:
        _give_up(listener, interim)
        raise ConfigError(
            f"[{place.section}] socket: {path} cannot be made ({error.strerror or error}):"
            " its directory must exist and be writable by the user that filterd runs as"
        ) from error
    except ConfigError:
        _give_up(listener, interim)
        raise
    return listener


def _give_up(listener: socket.socket, interim: Path) -> None:
    listener.close()
    # What kept it from being made may keep it from being looked for.
    with contextlib.suppress(OSError):
        interim.unlink()


def _owner(path: Path) -> str:
    """Say who else has ``path``, and the remedy; "" when nobody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno in _NOBODY:
                return ""
            # A full listen queue means that somebody does listen (unix(7), EAGAIN).
            if error.errno != errno.EAGAIN and not isinstance(error, TimeoutError):
                return (
                    f"whether {path} is in use cannot be told ({error.strerror or error}): remove it if nothing"
                    " serves it, or set another path"
                )
        return f"another filterd serves {path}; stop it or set another path"


def _give_to_group(path: Path, place: Place) -> None:
    """Give the socket to a group. A set-group-id directory has done so already, without any right of ours."""
    name, setting = place.group, f"[{place.section}] {place.group_setting}"
    if not name:
        return
    try:
        wanted = grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise ConfigError(f"{setting}: there is no group {name!r}; create it or set another") from error
    if path.stat().st_gid == wanted:
        return
    try:
        os.chown(path, -1, wanted)
    except PermissionError as error:
        raise ConfigError(
            f"{setting}: {path.parent} is not set-group-id {name!r} and filterd's user is not in"
            " that group: chgrp the directory and chmod g+s it"
        ) from error


def unbind(listener: socket.socket, place: Place) -> None:
    """Stop listening and remove the path if it is still ours (after a restart it may be another's)."""
    listener.close()
    if not _owner(place.path):
        with contextlib.suppress(FileNotFoundError):
            place.path.unlink()
