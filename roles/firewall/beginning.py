"""Whether the packet filter may begin: what would shut mail or everybody out is named before anything changes."""

from collections.abc import Iterable

from pyinfra import host
from pyinfra.api import DeployError

from roles.firewall.owners import users_made
from roles.firewall.settings import Firewall
from roles.operations import ShellAnswer
from roles.settings import Gateway


def may_begin(gateway: Gateway) -> None:
    """Raise DeployError where a zone hangs on an interface, or a way out on a user, that the host does not have.

    Whoever comes in by another interface would be dropped, and the kernel takes no rule of a user that is not there.
    """
    firewall = gateway.firewall
    if not firewall.zones and not firewall.egress:
        return
    asked = "ls /sys/class/net; echo; cut -d: -f1 /etc/passwd"
    interfaces, _, users = host.get_fact(ShellAnswer, command=asked).partition("\n\n")
    if not interfaces:
        return
    if lacking := absent(firewall, interfaces.split()) or unknown(gateway, users.split()):
        raise DeployError(f"{host.name}: {lacking}. Nothing was changed")


def unknown(gateway: Gateway, there: Iterable[str]) -> str:
    """Say which users of declared ways out are neither among those that are there nor made by a deploy; nothing where none is."""
    known = {*there, *users_made(gateway)}
    lacking = [f"{way.user!r} ({way.reason})" for way in gateway.firewall.egress if way.user not in known]
    if not lacking:
        return ""
    return (
        f"it has no user {', '.join(dict.fromkeys(lacking))} of `firewall.egress` in /etc/passwd, and a rule can name no other: "
        "install the package that brings it first, or mend the name"
    )


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
