"""Kernel parameters in force: each as its record says, where the host has it for itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pyinfra import host
from pyinfra.api import operation

from roles.confirming import Commands, armed, confirmation
from roles.defence import Defence
from roles.kinds import IN_CONTAINER, NO_PARAMETER, InterfaceSysctl, Sysctl, need_of
from roles.operations import ShellAnswer, converged, files_owned, shell
from roles.rendering import OwnedFile
from roles.settings import Gateway

_ROLLBACK = "bastide-parameters-rollback"
# What files of others say of parameters that each interface has; by the place alone it cannot be told which of them counts.
OTHERS: Final = (
    "for f in /etc/sysctl.conf /etc/sysctl.d/*.conf /run/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf; do "
    "case $f in */zz-bastide*) ;; *) grep -hsE '^[[:space:]]*-?net[./]ipv[46][./](conf|neigh)[./]' $f ;; esac; done | sort -u"
)
# net, the family, conf or neigh, the interface, the parameter.
_OF_INTERFACE: Final = 5
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
        question=_different(network, gateway),
        values="\n".join(setting.line(gateway) for setting in network),
        confirm_seconds=gateway.firewall_confirm_seconds,
    )
    patterns = {
        setting.key: setting.wanted(gateway) for setting in wanted if isinstance(setting, InterfaceSysctl)
    }
    if patterns:
        others = host.get_fact(ShellAnswer, command=OTHERS).splitlines()
        files = [_overriding(file, patterns, others) if file.path == boot else file for file in files]
    files_owned(name="Write the kernel's parameters", files=files)
    different = _different(machine, gateway)
    converged(
        name="Set the machine's parameters",
        question=f"{IN_CONTAINER} || {{ {different}; }}",
        wanted="",
        remedy=f"sysctl --quiet --ignore --load={boot}",
    )


def _different(settings: Sequence[Sysctl | InterfaceSysctl], gateway: Gateway) -> str:
    """Return the question that names those which are not as wanted; one that the kernel does not have is no difference."""
    return "; ".join(
        f"a=$({setting.question(gateway)}); [ \"$a\" = '{setting.wanted(gateway)}' ] || [ \"$a\" = '{NO_PARAMETER}' ] || "
        f"echo '{setting.key}'"
        for setting in settings
    )


def _overriding(file: OwnedFile, patterns: Mapping[str, str], others: Iterable[str]) -> OwnedFile:
    """Return the file with what other files say of single interfaces said anew, in ours, which is read behind them."""
    lines = overridden(patterns, others)
    if not lines:
        return file
    why = "# Other files name these interfaces, and win at boot over a pattern (sysctl.d(5)), whichever comes last."
    return replace(file, content="\n".join([file.content, why, *lines, ""]))


def overridden(patterns: Mapping[str, str], others: Iterable[str]) -> list[str]:
    """Return the lines of sysctl.d(5) that take back what others' lines say of single interfaces.

    ``patterns``: the value of each key with ``*`` in the interface's place.
    """
    wanted = {tuple(key.split(".")): value for key, value in patterns.items()}
    found: dict[str, str] = {}
    for line in others:
        key, _, value = line.strip().removeprefix("-").partition("=")
        words = _words(key.strip())
        if len(words) != _OF_INTERFACE or words[3] in ("all", "default") or set(words[3]) & set("*?["):
            continue
        own = wanted.get((*words[:3], "*", words[4]))
        if own is not None and value.strip() != own:
            # With slashes, as an interface's name may have dots.
            found["/".join(words)] = own
    return [f"{key} = {value}" for key, value in sorted(found.items())]


def _words(key: str) -> list[str]:
    """Return the parts of a key, of which the first separator says which one it is (sysctl.d(5))."""
    first = next((each for each in key if each in "./"), ".")
    if first == "/":
        return key.split("/")
    return [part.replace("/", ".") for part in key.split(".")]


@operation()
def network_set(keys: Sequence[str], question: str, values: str, confirm_seconds: int) -> Commands:
    """Set parameters of the network, and have a timer set the former ones again unless a new login confirms them.

    ``keys`` are sysctl(8)'s, with ``*`` for each interface; ``question`` names those that are not so; ``values`` are lines of
    sysctl.d(5).
    """
    if not host.get_fact(ShellAnswer, command=question):
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
