"""The life of a virtual machine: its disks, its qemu process. Its end is every host's: lab/hosts.py.

It has a kernel of its own, so that what a container only borrows from this machine is its own too: kernel settings,
modules, mounts, the audit subsystem, AppArmor, a boot loader.
"""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import disk, network
from lab.files import files_of
from lab.hosts import scoped
from lab.plan import Host, LabState
from lab.tools import QEMU

MEMORY_MIB = 2048
PROCESSORS = 2
# The descriptor of its first tap: those before it are the standard ones.
FIRST_TAP = 3

_CPU = ("-cpu", "max")
# The processor in hardware, and the one in software that works everywhere and takes ten times as long.
_KVM, _TCG = ("-accel", "kvm"), ("-accel", "tcg,thread=multi")

# A boot sector that tells qemu to exit, with 33: mov dx, 0xf4; mov al, 0x10; out dx, al; hlt; jmp to the hlt.
_EXIT = bytes.fromhex("baf400 b010 ee f4 ebfd").ljust(510, b"\0") + b"\x55\xaa"
_EXITED = 33
# It takes a tenth of a second. There are machines with a KVM that takes many seconds for it, or for ever.
LONGEST_TRIAL_SECONDS = 2.0


def start(lab: LabState, host: Host, *, mirror: Path) -> int:
    """Make the machine's disks and taps and boot it; return the process id of its qemu.

    The process is in a session of its own and outlives this one. Raises LabError.
    """
    place = lab.host_directory(host)
    place.mkdir(parents=True)
    disk.copy(place / "disk", files_of(lab, host))
    disk.make_mirror(place / "mirror", mirror)
    argv = scoped(host, ["ip", "netns", "exec", host.netns, *qemu_argv(lab, host, accelerator=accelerator())])
    taps = network.open_taps(lab, host)
    try:
        return os.posix_spawn(
            "/usr/bin/env",
            ["env", *argv],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (
                    os.POSIX_SPAWN_OPEN,
                    1,
                    str(place / "qemu.log"),
                    os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                    0o644,
                ),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_DUP2, tap, FIRST_TAP + number) for number, tap in enumerate(taps)),
            ],
            setsid=True,
        )
    finally:
        for tap in taps:
            os.close(tap)


def qemu_argv(lab: LabState, host: Host, *, accelerator: Sequence[str]) -> list[str]:
    """Return the command that boots the machine (qemu(1)): nothing but disks, taps and a console that is a file."""
    place = lab.host_directory(host)
    argv = [QEMU, "-name", f"guest={host.machine}", "-nodefaults", "-no-user-config", "-display", "none"]
    argv += [*accelerator, *_CPU, "-smp", str(PROCESSORS), "-m", str(MEMORY_MIB)]
    argv += ["-sandbox", "on,spawn=deny,elevateprivileges=deny,resourcecontrol=deny"]
    argv += ["-serial", f"file:{place / 'console.log'}", "-device", "virtio-rng-pci"]
    # Nothing is flushed to this machine's disk: the machine's is thrown away.
    argv += ["-drive", f"file={place / 'disk'},format=raw,if=virtio,cache=unsafe"]
    argv += ["-drive", f"file={place / 'mirror'},format=raw,if=virtio,readonly=on"]
    for number, leg in enumerate(host.legs):
        argv += ["-netdev", f"tap,id={leg},fd={FIRST_TAP + number}"]
        argv += ["-device", f"virtio-net-pci,netdev={leg},mac={host.mac(leg)},romfile="]
    return argv


def accelerator() -> tuple[str, str]:
    """Return qemu's words for the fastest processor that works here: that there is a /dev/kvm does not prove it."""
    return _KVM if Path("/dev/kvm").exists() and runs(_KVM) else _TCG


def runs(accelerator: Sequence[str]) -> bool:
    """Say whether a machine with that accelerator carries out its first instructions, and does so in time."""
    with tempfile.NamedTemporaryFile() as sector:
        sector.write(_EXIT)
        sector.flush()
        argv = [QEMU, *accelerator, *_CPU, "-nodefaults", "-no-user-config", "-display", "none"]
        argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        argv += ["-drive", f"file={sector.name},format=raw,if=ide"]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=LONGEST_TRIAL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == _EXITED
