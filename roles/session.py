"""The deploying session: what has to be known of a host before the first layer touches it."""

import socket

from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.facts.server import LinuxDistribution

from roles.errors import SettingError
from roles.filterd.wheelhouse import release, wheelhouse
from roles.platforms import Platform, platform_of
from roles.settings import Gateway


def prepared(host: Host) -> tuple[Gateway, Platform]:
    """Return the host's settings and platform, with its connection made quick.

    Raises DeployError, before anything on the host is changed, for a setting that cannot be used, a platform that
    Bastide does not know, or a wheelhouse that was not built.
    """
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
