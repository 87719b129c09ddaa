"""The deploying session: what has to be known of a host before the first layer touches it."""

import socket

from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.facts.server import LinuxDistribution

from roles.connection import quietly
from roles.errors import SettingError
from roles.filterd.wheelhouse import release, wheelhouse
from roles.platforms import EL_9, PLATFORMS, Platform
from roles.settings import Gateway


def prepared(host: Host) -> tuple[Gateway, Platform]:
    """Return the host's settings and platform, with its connection made quick, and silent of passwords.

    Raises DeployError, before anything on the host is changed, for a setting that cannot be used, a platform that
    Bastide does not know, or a wheelhouse that was not built.
    """
    quietly(host)
    _without_delay(host)
    try:
        # First what the host is: what cannot be deployed to is not told of its settings.
        meta = host.get_fact(LinuxDistribution)["release_meta"]
        platform = platform_of(
            meta.get("ID") or "an unnamed system", meta.get("VERSION_ID") or "of no version"
        )
        data: dict[str, object] = host.data.dict()  # type: ignore[no-untyped-call] # pyinfra leaves it untyped
        gateway = Gateway.of(data)
        _check_declared(gateway, platform)
        release(wheelhouse(platform.python))
    except SettingError as error:
        raise DeployError(f"{host.name}: {error}") from error
    return gateway, platform


def _check_declared(gateway: Gateway, platform: Platform) -> None:
    """Raise SettingError unless the host runs what its settings say: records ask it by that platform's words."""
    if gateway.platform != platform.name:
        raise SettingError(
            f"this host runs {platform.title}, and `platform` says {gateway.platform}: write platform = "
            f"{platform.name!r} into its inventory if that is the host you mean"
        )


def _without_delay(host: Host) -> None:
    """Send each command's packets at once: with Nagle's algorithm each waits for a delayed ACK, about 40 ms."""
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client else None
    if transport is not None and isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# Releases of EL of which there will be no row.
_TOO_OLD = frozenset({"7", "8"})


def platform_of(os_id: str, version_id: str) -> Platform:
    """Return the platform of an os-release(5) ``ID`` and ``VERSION_ID``.

    Raises SettingError for a platform that is not in the table, before anything on the host is changed.
    """
    for platform in PLATFORMS:
        if os_id in platform.os_ids and platform.version in (version_id, version_id.partition(".")[0]):
            return platform
    if os_id in EL_9.os_ids and version_id.partition(".")[0] in _TOO_OLD:
        raise SettingError(
            f"this host runs {os_id} {version_id}: EL 7 and 8 come with a Python and a kernel that Bastide's programs are too "
            "new for, and will not be supported"
        )
    known = ", ".join(platform.title for platform in PLATFORMS)
    raise SettingError(f"this host runs {os_id} {version_id}, which Bastide does not know; it knows: {known}")
