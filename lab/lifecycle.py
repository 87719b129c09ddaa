"""Up and down: in what order a lab is made, how it is known to be ready, and how every trace of it is removed."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import msgspec

from lab import access, ca, disk, hosts, image, machines, mirror, network, state
from lab.el import repository, rootfs
from lab.errors import LabError
from lab.limits import check_watches
from lab.plan import CONTAINER, MOST_LABS, VM, Host, LabState, check_name, check_platform, plan_lab
from lab.platforms import DEBIAN12, lab_platform
from lab.progress import say, step
from lab.tools import TO_BUILD, TO_BUILD_MACHINES, TO_BUILD_RPMS, TO_RUN, TO_RUN_MACHINES, require, run

# A container boots in about a second; on a busy machine with many hosts it takes several. A virtual machine without
# hardware to help takes half a minute, and several times that on a busy machine.
LONGEST_BOOT_SECONDS = {CONTAINER: 60.0, VM: 300.0}
# A machine that is busy and has no hardware to help needs some seconds to begin a session.
LONGEST_GREETING_SECONDS = 5.0
POLL_SECONDS = 0.02
# The port that a host must listen on before it is of use, besides ssh.
SERVICE_PORT = {"world": 53, "mailhost": 25}


def up(name: str, *, gateways: int, kind: str = CONTAINER, platform: str = DEBIAN12) -> LabState:
    """Make a lab, or find it up already, and return it once ssh answers on every host. Raises LabError.

    ``kind``: whether its gateways are containers or virtual machines. ``platform``: what they run.
    What an earlier lab of that name left behind is removed first. If it cannot be made, nothing is left of it.
    """
    check_name(name)
    check_platform(platform, kind)
    require(tools_for(kind, platform))
    with state.locked(f"lab-{name}"):
        there = state.read(name)
        if there is not None and healthy(there):
            if (len(there.gateways), there.kind, there.platform) != (gateways, kind, platform):
                raise LabError(
                    f"lab {name!r} is up with {len(there.gateways)} gateways of kind {there.kind} that run"
                    f" {there.platform}: run 'python -m lab down --name {name}' before asking for others"
                )
            say(f"Lab {name!r} is up already.")
            return there
        if _traces(name):
            with step(f"remove what is left of lab {name!r}"):
                _remove(name)
        # The world and the mail server are containers too.
        check_watches(2 + (gateways if kind == CONTAINER else 0))
        packages = build_cache(kind, platform)
        try:
            return _make(name, gateways=gateways, kind=kind, platform=platform, packages=packages)
        except BaseException:
            _remove(name)
            raise


def down(name: str) -> bool:
    """Remove a lab and all that it made, whatever state it is in; say whether there was anything to remove."""
    require(TO_RUN)
    with state.locked(f"lab-{name}"):
        if not _traces(name):
            return False
        with step(f"remove lab {name!r}"):
            _remove(name)
    return True


def tools_for(kind: str, platform: str = DEBIAN12) -> dict[str, str]:
    """Return the programs, each with its package, that a lab of that kind and platform needs now: fewer from a warm cache."""
    tools = {**TO_RUN} if cached(kind, platform) else {**TO_RUN, **TO_BUILD}
    if lab_platform(platform).rpm and not cached(kind, platform):
        tools |= TO_BUILD_RPMS
    if kind == VM:
        tools |= TO_RUN_MACHINES if cached(kind, platform) else {**TO_RUN_MACHINES, **TO_BUILD_MACHINES}
    return tools


def cached(kind: str = CONTAINER, platform: str = DEBIAN12) -> bool:
    """Say whether the cache holds all that a lab is made of whose gateways are of that kind and run that platform."""
    return (
        all(image.place_of(each).exists() for each in image.images_for(kind, platform))
        and mirror_of(platform).exists()
        and (kind != VM or disk.place().exists())
        and (not lab_platform(platform).rpm or rootfs.place(image.gateway(platform)).exists())
    )


def mirror_of(platform: str) -> Path:
    """Return the directory of the platform's packages in the cache; it is there only when it is complete."""
    if lab_platform(platform).rpm:
        return repository.place(image.gateway(platform))
    return mirror.place(platform)


def build_cache(kind: str = CONTAINER, platform: str = DEBIAN12) -> Path:
    """Build whatever the cache lacks, once even if several ask for it, and return the platform's mirror."""
    if cached(kind, platform):
        return mirror_of(platform)
    with state.locked("cache"):
        _build_images(kind, platform)
        if not mirror_of(platform).exists():
            with step("fill the package mirror"):
                _build_mirror(platform)
        if lab_platform(platform).rpm and not rootfs.place(image.gateway(platform)).exists():
            with step("shape the image like EL"):
                rootfs.build(image.gateway(platform))
        if kind == VM and not disk.place().exists():
            with step("make the disk of virtual machines"):
                disk.build()
    return mirror_of(platform)


def healthy(lab: LabState) -> bool:
    """Say whether the lab is wholly there: recorded as up, every host running and answering on its ssh port."""
    return (
        lab.phase == "up"
        and set(network.namespaces(lab)) <= set(network.existing_namespaces(lab.name))
        and all(hosts.processes(host.machine) and _greets(host) for host in lab.hosts.values())
    )


def _build_mirror(platform: str) -> None:
    if lab_platform(platform).rpm:
        repository.build(image.gateway(platform))
    else:
        mirror.build(platform)


def _build_images(kind: str, platform: str) -> None:
    lacking = [each for each in image.images_for(kind, platform) if not image.place_of(each).exists()]
    if lacking:
        with step(f"build image {' and '.join(f'{each.name} of {each.suite}' for each in lacking)}"):
            _at_once([partial(image.build, each) for each in lacking])


def _make(name: str, *, gateways: int, kind: str, platform: str, packages: Path) -> LabState:
    began = time.monotonic()
    with state.locked("index"):
        # Recorded before anything is made: whatever happens from here on, `down` knows what to look for.
        directory = state.directory_of(name)
        lab = plan_lab(
            name=name,
            index=_free_index(),
            gateways=gateways,
            directory=directory,
            kind=kind,
            platform=platform,
        )
        state.write(lab)
    with step("make networks and keys"):
        lab.sink.mkdir()
        # The sink runs as nobody (65534 on Debian) in its host.
        lab.sink.chmod(0o777)
        _at_once([partial(network.make, lab), partial(access.make_keys, lab), partial(ca.make, lab)])
    with step(f"boot {len(lab.hosts)} hosts"):
        given_up = threading.Event()
        boots = [partial(_boot, lab, host, packages, given_up) for host in lab.hosts.values()]
        _at_once(boots, given_up=given_up)
    lab = msgspec.structs.replace(lab, phase="up")
    state.write(lab)
    say(f"Lab {name!r} is up: ssh answers on {len(lab.hosts)} hosts after {time.monotonic() - began:.1f} s.")
    return lab


def _boot(lab: LabState, host: Host, packages: Path, given_up: threading.Event) -> None:
    """Start a host and wait until a command runs on it over ssh and its service listens. Raises LabError."""
    start = machines.start if host.kind == VM else hosts.start
    process = start(lab, host, mirror=packages)
    deadline = time.monotonic() + LONGEST_BOOT_SECONDS[host.kind]
    while not _greets(host):
        _check_booting(lab, host, process, deadline, given_up)
    run([*access.ssh_argv(host, options=["-o", "BatchMode=yes"]), "true"])
    port = SERVICE_PORT.get(host.role)
    if port is not None:
        while not run(["ip", "netns", "exec", host.netns, "ss", "-Hltn", f"sport = :{port}"]):
            _check_booting(lab, host, process, deadline, given_up)


def _check_booting(
    lab: LabState, host: Host, process: int, deadline: float, given_up: threading.Event
) -> None:
    """Wait a moment for a host that is not ready. Raises LabError if it died, has had its time or is wanted no longer."""
    if given_up.is_set():
        raise LabError(f"host {host.name} is not waited for any longer")
    dead = hosts.died(process)
    if dead or time.monotonic() > deadline:
        console = (lab.host_directory(host) / "console.log").read_text(errors="replace").splitlines()
        said = "; ".join([line.strip() for line in console if line.strip()][-8:]) or "nothing"
        what = "died while booting" if dead else f"is not ready after {LONGEST_BOOT_SECONDS[host.kind]:.0f} s"
        raise LabError(f"host {host.name} {what}, see what its console said: {said}")
    time.sleep(POLL_SECONDS)


def _greets(host: Host) -> bool:
    """Say whether the host's sshd greets. A connection alone proves little: it may still be starting."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host.ssh_host, host.ssh_port), timeout=LONGEST_GREETING_SECONDS) as link,
    ):
        return link.recv(4) == b"SSH-"
    return False


def _free_index() -> int:
    taken = {lab.index for each in state.names() if (lab := state.read(each)) is not None}
    for index in range(MOST_LABS):
        if index not in taken and network.index_is_free(index):
            return index
    raise LabError(
        f"{MOST_LABS} labs are up on this machine: remove some with 'python -m lab down --name NAME'"
    )


def _traces(name: str) -> bool:
    return state.directory_of(name).exists() or bool(network.existing_namespaces(name))


def _remove(name: str) -> None:
    """Remove a lab from whatever it is: processes first, for they hold the rest."""
    lab = state.read(name)
    namespaces = network.existing_namespaces(name)
    machines = {host.machine for host in lab.hosts.values()} if lab else set(namespaces)
    _at_once([partial(hosts.stop, machine) for machine in sorted(machines)])
    _at_once([partial(hosts.empty_namespace, netns) for netns in namespaces])
    _at_once([partial(hosts.forget, machine) for machine in sorted(machines)])
    if lab is not None:
        network.remove(lab)
    network.remove_namespaces(name)
    hosts.unmount_below(state.directory_of(name))
    with state.locked("index"):
        state.erase(name)


def _at_once(deeds: Sequence[Callable[[], object]], *, given_up: threading.Event | None = None) -> None:
    """Do several things side by side, wait for all of them, then raise the first error there was.

    ``given_up`` is set when this process is interrupted, for deeds that look at it and end early then.
    """
    if not deeds:
        return
    pool = ThreadPoolExecutor(max_workers=len(deeds))
    # A thread whose submit() is interrupted is one that the pool does not know of and nobody waits for: until the pool
    # knows them all, none does anything.
    known = threading.Event()
    abandoned = threading.Event()

    def begin(deed: Callable[[], object]) -> object:
        known.wait()
        return None if abandoned.is_set() else deed()

    try:
        try:
            done = [pool.submit(begin, deed) for deed in deeds]
        except BaseException:
            abandoned.set()
            raise
        finally:
            known.set()
        wait(done)
    except BaseException:
        if given_up is not None:
            given_up.set()
        raise
    finally:
        # When this process is interrupted too: whoever removes the lab next must not meet a thread still making it.
        pool.shutdown(wait=True)
    for each in done:
        each.result()
