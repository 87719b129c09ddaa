"""Kernel parameters in force: each as its record says, where the host has it for itself."""

from collections.abc import Iterable

from roles.defence import Defence
from roles.kinds import IN_CONTAINER, InterfaceSysctl, Sysctl, need_of
from roles.operations import converged
from roles.settings import Gateway


def parameters_set(gateway: Gateway, defences: Iterable[Defence], file: str) -> None:
    """Have the kernel run with the parameters of these defences; in a container those of its network alone are its own.

    ``file`` is the one of sysctl.d(5) that they were written to; it sets them at boot.
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
    own = "\n".join(setting.line(gateway) for setting in network)
    converged(
        name="Set the network's parameters",
        question="; ".join(setting.question(gateway) for setting in network),
        wanted="\n".join(setting.wanted(gateway) for setting in network),
        remedy=f"sysctl --quiet --ignore --load=- <<'END'\n{own}\nEND\n",
    )
    different = "; ".join(
        f"[ \"$({setting.question(gateway)})\" = '{setting.wanted(gateway)}' ] || echo {setting.key}"
        for setting in machine
    )
    converged(
        name="Set the machine's parameters",
        question=f"{IN_CONTAINER} || {{ {different}; }}",
        wanted="",
        remedy=f"sysctl --quiet --ignore --load={file}",
    )
