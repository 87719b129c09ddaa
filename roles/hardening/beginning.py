"""Whether hardening may begin: what it would take away that an administrator comes by is named before anything changes."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pyinfra import host
from pyinfra.api import DeployError

from roles.hardening.defences import DEFENCES
from roles.hardening.defences.passwords import BY_HAND, UPDATE
from roles.hardening.defences.software import hindered
from roles.kinds import HostState
from roles.logins import differs
from roles.operations import ShellAnswer
from roles.settings import Gateway

# hardening.ssh-host-keys leaves keys of these types (RFC 8709, RFC 4253 6.6), the second from so many bits on.
_KEPT: Final = ("ssh-ed25519", "ssh-rsa")
_RSA_BITS: Final = 3072
# ip-route(8)'s word for a route that a router's advertisement gave, by the kernel or by a daemon that listens to them.
_ADVERTISED: Final = "proto ra"


def may_begin(gateway: Gateway) -> None:
    """Raise DeployError where the hardening of this host would shut its administrators out, now or within the hour."""
    standing = {each.id for each in DEFENCES if each.stands(gateway)}
    stuck, needing = needed_by(host.get_fact(ShellAnswer, command=hindered(gateway)).splitlines())
    if stuck:
        raise DeployError(
            f"{host.name}: what a gateway has no use for is taken from it (hardening.no-*), and some of it cannot be, as {needing}; "
            f"remove what needs them, or name {', '.join(stuck)} in the setting `hardening.keep_packages`, and deploy again"
        )
    if by_hand := changed_by_hand(gateway):
        names = ", ".join(by_hand)
        raise DeployError(
            f"{host.name}: /etc/pam.d/common-* were changed by hand, so that pam-auth-update leaves them alone, and {names} would "
            "have it write them: put your lines into a profile below /usr/share/pam-configs and run `pam-auth-update --force`, or have the "
            "setting `hardening.left_out` name these defences with your reason, and deploy again"
        )
    if "hardening.ssh-host-keys" in standing and (kind := lost_key(getattr(host.connector, "client", None))):
        raise DeployError(
            f"{host.name}: this machine knows the host by its {kind} key alone, which hardening.ssh-host-keys takes from it: run "
            f"`ssh-keyscan -t ed25519` on it, compare that with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there "
            "(`ssh-keygen -A` makes one), add it to known_hosts, and deploy again"
        )
    if "hardening.no-router-advertisements" in standing:
        routes = host.get_fact(ShellAnswer, command="ip -6 route show default")
        if device := advertised(routes.splitlines()):
            raise DeployError(
                f"{host.name}: its only way out by IPv6 is what a router advertises on {device}, and "
                "hardening.no-router-advertisements believes no router: the way would be gone within half an hour; write address and "
                "default route of that interface into the host's network configuration, or, where it needs no IPv6, set "
                f"net.ipv6.conf.{device}.accept_ra to 0 and delete that route; or have the setting `hardening.left_out` name that "
                "defence with your reason. Then deploy again"
            )


def states_of_pam(gateway: Gateway) -> Iterator[tuple[str, HostState]]:
    """Give what pam-auth-update(8) brings about, with the ids of its defences: it decides logins."""
    for defence in DEFENCES:
        if defence.stands(gateway):
            yield from (
                (defence.id, s) for s in defence.sets if isinstance(s, HostState) and s.remedy == UPDATE
            )


def changed_by_hand(gateway: Gateway) -> list[str]:
    """Return the ids of the defences that pam-auth-update(8) would have to bring about here, and will not."""
    states = list(states_of_pam(gateway))
    if not states:
        return []
    differing = "".join(
        f"{differs(s.question(gateway), s.wanted(gateway))} || echo {id_}\n" for id_, s in states
    )
    asked = f'found=$(\n{differing}); [ "$found" ] || exit 0; [ "$({BY_HAND})" ] && echo "$found"'
    return list(dict.fromkeys(host.get_fact(ShellAnswer, command=asked).split()))


def needed_by(lines: Iterable[str]) -> tuple[list[str], str]:
    """Return the packages that cannot go, and in words what keeps them that would not go itself; ``lines`` have one and the other each."""
    found: dict[str, set[str]] = {}
    for package, *by in (line.split() for line in lines):
        if len(by) == 1:
            found.setdefault(by[0], set()).add(package)
    stuck = sorted({package for packages in found.values() for package in packages})
    needing = (
        f"{'the system itself' if by == '-' else by} needs {', '.join(sorted(packages))}"
        for by, packages in sorted(found.items())
        if by not in stuck
    )
    return stuck, " and ".join(needing)


def advertised(routes: Iterable[str]) -> str:
    """Return the interface of the default route that routers' advertisements gave, or nothing where there is another, or none.

    ``routes`` are ip-route(8)'s lines; one with several hops has these in lines of their own behind it.
    """
    found = ""
    ways = [line for line in routes if line.strip()]
    for number, line in enumerate(ways):
        if line.startswith("default "):
            if f" {_ADVERTISED} " not in f"{line} ":
                return ""
            words = " ".join(ways[number : number + 2]).split()
            found = found or (words[words.index("dev") + 1] if "dev" in words else "any interface")
    return found


def lost_key(client: Any) -> str:  # noqa: ANN401 - what a connector has
    """Return the kind of the host key that a session knows its host by, if no key that stays is known; else nothing.

    ``client`` is paramiko's, or what another connector has in its place.
    """
    transport = client.get_transport() if hasattr(client, "get_transport") else None
    if transport is None:
        return ""
    used = transport.get_remote_server_key()
    if _stays(used):
        return ""
    known = client.get_host_keys()
    names = [name for name, keys in known.items() if used in keys.values()]
    if any(_stays(key) for name in names for key in known[name].values()):
        return ""
    return str(used.get_name())


def _stays(key: Any) -> bool:  # noqa: ANN401 - of paramiko's, which gives no types
    return key.get_name() in _KEPT and (key.get_name() != "ssh-rsa" or key.get_bits() >= _RSA_BITS)
