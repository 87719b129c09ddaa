"""Networks as namespaces: wan and lan are a bridge in a namespace each, every host a namespace with its legs in it.

All that is made here hangs on namespaces, but for the mgmt bridge and this machine's ends of the mgmt legs. A virtual
machine runs in its namespace too, which is empty: its legs are taps on the bridges.
"""

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.errors import LabError
from lab.plan import (
    AUTHORITY,
    BRIDGE_OF,
    CONTAINER,
    LAN4,
    LAN6,
    LAN_VANTAGES,
    VANTAGE,
    WAN4,
    WAN6,
    WAN_VANTAGES,
    Host,
    LabState,
    v6,
)
from lab.tools import run, succeeds

# Set in each namespace before it has an interface. Addresses are ours alone, so duplicate address detection would
# only cost its second; nothing in the lab routes. Missing files (no br_netfilter) are passed over.
_SYSCTLS = {
    "ipv6/conf/all/disable_ipv6": 0,
    "ipv6/conf/default/disable_ipv6": 0,
    "ipv4/ip_forward": 0,
    "ipv6/conf/all/forwarding": 0,
    "ipv6/conf/all/accept_dad": 0,
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/all/accept_ra": 0,
    "ipv6/conf/default/accept_ra": 0,
    # A bridge that hands frames to the packet filter would drop or reassemble the malformed ones probes send.
    "bridge/bridge-nf-call-iptables": 0,
    "bridge/bridge-nf-call-ip6tables": 0,
}
# linux/if_tun.h and linux/sched.h
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_CLONE_NEWNET = 0x40000000
# A virtual machine's descriptors are numbered from 3 on, and it has fewer than this of them.
LEAST_DESCRIPTOR = 64
_BRIDGE = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"


def make(lab: LabState) -> None:
    """Make the namespaces, bridges and legs of a lab, with every address and route. Raises LabError."""
    for netns in namespaces(lab):
        run(["ip", "netns", "add", netns])
        run(["ip", "netns", "exec", netns, "sh", "-c", _sysctl_script()])
    run(["ip", "-batch", "-"], stdin=_root_batch(lab))
    for network, netns in lab.netns.items():
        run(["ip", "-n", netns, "-batch", "-"], stdin=_vantage_batch(lab, network))
    for host in _of_kind(lab, CONTAINER):
        run(["ip", "-n", host.netns, "-batch", "-"], stdin=_host_batch(lab, host))


def remove(lab: LabState) -> None:
    """Remove what ``make`` makes in this machine's own namespace, whatever part of it there is."""
    for link in [*(lab.veth(host) for host in lab.hosts.values()), lab.bridge]:
        if Path("/sys/class/net", link).exists():
            succeeds(["ip", "link", "delete", link])


def remove_namespaces(name: str) -> None:
    """Remove each namespace of the lab of that name, and so every link that has an end in one.

    The namespaces must be empty of processes. The bridge bears the lab's name as its alias: it is found even if the
    lab's record was lost.
    """
    for netns in existing_namespaces(name):
        succeeds(["ip", "netns", "delete", netns])
    for alias in Path("/sys/class/net").glob("bl*/ifalias"):
        if alias.read_text().strip() == f"bastide-{name}":
            succeeds(["ip", "link", "delete", alias.parent.name])


def existing_namespaces(name: str) -> tuple[str, ...]:
    """Return the names of the namespaces that the lab of that name has on this machine."""
    folder = Path("/run/netns")
    if not folder.is_dir():
        return ()
    # A lab's name holds no hyphen, so this prefix fits no other lab.
    return tuple(
        sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(f"bastide-{name}-"))
    )


def namespaces(lab: LabState) -> tuple[str, ...]:
    """Return the names of all namespaces of a lab: of the networks, then of the hosts."""
    return (*lab.netns.values(), *(host.netns for host in lab.hosts.values()))


def index_is_free(index: int) -> bool:
    """Say whether no interface of this machine has the names of the lab with this index."""
    return not any(Path("/sys/class/net").glob(f"bl{index}")) and not any(
        Path("/sys/class/net").glob(f"bl{index}-*")
    )


def open_taps(lab: LabState, host: Host) -> list[int]:
    """Give a virtual machine its legs: a tap a network, on the bridge there; return their descriptors, mgmt first.

    A tap is there as long as a process holds its descriptor: none outlives its machine. Raises LabError.
    """
    descriptors = []
    for leg, network in host.legs.items():
        netns = lab.netns.get(network)
        tap, bridge = (host.name, leg) if netns else (lab.veth(host), lab.bridge)
        # A thread alone changes its namespace (setns(2)); this one ends with what it was begun for.
        with ThreadPoolExecutor(max_workers=1) as elsewhere:
            descriptors.append(elsewhere.submit(_open_tap, tap, netns).result())
        inside = ["-n", netns] if netns else []
        run(["ip", *inside, "link", "set", tap, "master", bridge, "up"])
    return descriptors


def _open_tap(name: str, netns: str | None) -> int:
    """Make a tap in a namespace, or in this thread's own, and return its descriptor (tuntap.rst of the kernel)."""
    if netns is not None:
        _enter(netns)
    # Above the numbers that they have in the child: none is overwritten while they are moved there.
    opened = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, LEAST_DESCRIPTOR)
    finally:
        os.close(opened)
    request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except OSError as error:
        os.close(descriptor)
        raise LabError(
            f"tap {name} cannot be made, look whether this kernel has tun devices: {error}"
        ) from error
    return descriptor


def _enter(netns: str) -> None:
    """Move this thread into a network namespace (setns(2); os.setns is Python 3.12's)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", netns).open("rb") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise LabError(f"namespace {netns} cannot be entered: {os.strerror(ctypes.get_errno())}")


def _of_kind(lab: LabState, kind: str) -> Iterator[Host]:
    return (host for host in lab.hosts.values() if host.kind == kind)


def _sysctl_script() -> str:
    lines = [f"test ! -e {path} || echo {value} > {path}" for path, value in _SYSCTLS.items()]
    return "; ".join(["cd /proc/sys/net", *lines])


def _root_batch(lab: LabState) -> str:
    """Write the commands for this machine's own namespace: bridge, and both ends of every leg."""
    lines = [
        f"link add {lab.bridge} {_BRIDGE}",
        f"link set {lab.bridge} up alias bastide-{lab.name}",
        f"address add {lab.mgmt[1]}/24 dev {lab.bridge}",
    ]
    for host in _of_kind(lab, CONTAINER):
        lines.append(f"link add {lab.veth(host)} type veth peer name mgmt0 netns {host.netns}")
        lines.append(f"link set {lab.veth(host)} master {lab.bridge} up")
        lines += [
            f"link add {leg} netns {host.netns} type veth peer name {host.name} netns {lab.netns[network]}"
            for network, leg in BRIDGE_OF.items()
            if host.is_on(network)
        ]
    return "\n".join(lines)


def _vantage_batch(lab: LabState, network: str) -> str:
    """Write the commands for the wan or lan namespace: its bridge, which carries the probes' own addresses."""
    bridge = BRIDGE_OF[network]
    lines = ["link set lo up", f"link add {bridge} {_BRIDGE}", f"link set {bridge} up"]
    net4, net6, numbers = (WAN4, WAN6, WAN_VANTAGES) if network == "wan" else (LAN4, LAN6, LAN_VANTAGES)
    for number in numbers:
        lines.append(f"address add {net4[number]}/24 dev {bridge}")
        lines.append(f"address add {v6(net6, number)}/64 dev {bridge} nodad")
    lines += [
        f"link set {host.name} master {bridge} up" for host in _of_kind(lab, CONTAINER) if host.is_on(network)
    ]
    return "\n".join(lines)


def _host_batch(lab: LabState, host: Host) -> str:
    """Write the commands for a container's namespace. The host itself configures no interface."""
    lines = [
        "link set lo up",
        "link set mgmt0 up",
        f"address add {host.ssh_host}/{lab.mgmt.prefixlen} dev mgmt0",
    ]
    for leg, address4, address6 in (("wan0", host.wan4, host.wan6), ("lan0", host.lan4, host.lan6)):
        if address4 is not None:
            lines += [
                f"link set {leg} up",
                f"address add {address4}/24 dev {leg}",
                f"address add {address6}/64 dev {leg} nodad",
            ]
    if host.role == "world":
        lines.append(f"address add {WAN4[AUTHORITY]}/24 dev wan0")
    if host.role == "gateway":
        lines.append(f"route add default via {WAN4[VANTAGE]}")
        lines.append(f"route add ::/0 via {v6(WAN6, VANTAGE)}")
    return "\n".join(lines)
