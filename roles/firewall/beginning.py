"""Whether the packet filter may begin: what would shut mail or everybody out is named before anything changes."""

from collections.abc import Iterable

from pyinfra import host
from pyinfra.api import DeployError

from roles.firewall.settings import Firewall
from roles.operations import ShellAnswer
from roles.settings import Gateway


def may_begin(gateway: Gateway) -> None:
    """Raise DeployError where a zone hangs on an interface that the host does not have: whoever comes in elsewhere is dropped."""
    if not gateway.firewall.zones:
        return
    there = host.get_fact(ShellAnswer, command="ls /sys/class/net").split()
    if there and (lacking := absent(gateway.firewall, there)):
        raise DeployError(f"{host.name}: {lacking}. Nothing was changed")


def absent(firewall: Firewall, there: Iterable[str]) -> str:
    """Say which zones' interfaces are not among those that are there, and which are; nothing where none is missing.

    A name with ``+`` is a pattern, of interfaces that come and go.
    """
    names = sorted(set(there) - {"lo"})
    lacking = [
        f"{zone.interface!r} of `firewall.zones.{name}`"
        for name, zone in firewall.zones.items()
        if not zone.interface.endswith("+") and zone.interface not in names
    ]
    if not lacking:
        return ""
    return (
        f"it has no interface {', '.join(lacking)}, so all that the zone lets in would be dropped; it has {', '.join(names)}: "
        "name one of these, or, for one that comes only at times, a pattern such as `wg+`"
    )
