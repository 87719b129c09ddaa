"""Kernel parameters in force: each as its record says, where the host has it for itself."""

from collections.abc import Iterable, Sequence

from pyinfra import host
from pyinfra.api import operation

from roles.confirming import Commands, armed, confirmation
from roles.defence import Defence
from roles.kinds import IN_CONTAINER, InterfaceSysctl, Sysctl, need_of
from roles.operations import ShellAnswer, converged, files_owned, shell
from roles.rendering import OwnedFile
from roles.settings import Gateway

_ROLLBACK = "bastide-parameters-rollback"
_FORMER = "/var/lib/bastide/parameters.former"


def parameters_set(
    gateway: Gateway, defences: Iterable[Defence], files: Sequence[OwnedFile], boot: str
) -> None:
    """Have the kernel run with the parameters of these defences; in a container those of its network alone are its own.

    ``boot`` is the one of ``files`` (sysctl.d(5)) that sets them at boot. It is written when the network's have been confirmed by a
    new login: a strict rp_filter shuts out who comes by one way and is answered by another.
    """
    wanted = [
        setting
        for defence in defences
        if defence.stands(gateway)
        for setting in defence.sets
        if isinstance(setting, Sysctl | InterfaceSysctl)
    ]
    network = [setting for setting in wanted if need_of(setting) is None]
    machine = [setting for setting in wanted if setting not in network]
    network_set(
        name="Set the network's parameters",
        keys=[setting.key for setting in network],
        question="; ".join(setting.question(gateway) for setting in network),
        wanted="\n".join(setting.wanted(gateway) for setting in network),
        values="\n".join(setting.line(gateway) for setting in network),
        confirm_seconds=gateway.firewall_confirm_seconds,
    )
    files_owned(name="Write the kernel's parameters", files=files)
    different = "; ".join(
        f"[ \"$({setting.question(gateway)})\" = '{setting.wanted(gateway)}' ] || echo {setting.key}"
        for setting in machine
    )
    converged(
        name="Set the machine's parameters",
        question=f"{IN_CONTAINER} || {{ {different}; }}",
        wanted="",
        remedy=f"sysctl --quiet --ignore --load={boot}",
    )


@operation()
def network_set(
    keys: Sequence[str], question: str, wanted: str, values: str, confirm_seconds: int
) -> Commands:
    """Set parameters of the network, and have a timer set the former ones again unless a new login confirms them.

    ``keys`` are sysctl(8)'s, with ``*`` for each interface; ``values`` are lines of sysctl.d(5).
    """
    if host.get_fact(ShellAnswer, command=question) == wanted:
        host.noop("the network's parameters as wanted")
        return
    yield shell(
        armed(_ROLLBACK, _kept(keys), f"while read -r f v; do echo $v >$f; done <{_FORMER}", confirm_seconds)
    )
    yield shell(f"sysctl --quiet --ignore --load=- <<'END'\n{values}\nEND\n")
    yield confirmation(_ROLLBACK, confirm_seconds, "set of network parameters")


def _kept(keys: Sequence[str]) -> str:
    """Return the script that writes the parameters' files and values down, ``all`` and ``default`` before the interfaces."""
    # The shell sorts what a pattern names, and `all` sets each interface's along with itself.
    paths = " ".join(
        f"/proc/sys/{path.replace('*', each)}"
        for path in (key.replace(".", "/") for key in keys)
        for each in (("all", "default", "*") if "*" in path else ("",))
    )
    return f"mkdir -p $(dirname {_FORMER}); for f in {paths}; do [ ! -w $f ] || echo $f $(cat $f); done >{_FORMER}"
