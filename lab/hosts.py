"""The life of a host: its overlay, the files that make it that host, its systemd-nspawn process, its end."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lab.el import rootfs
from lab.errors import LabError
from lab.files import files_of, write_file
from lab.image import image_of, rootfs_of
from lab.plan import Host, LabState
from lab.platforms import lab_platform
from lab.tools import QEMU, run, succeeds

# A host that was told to die is gone within milliseconds; longer means that the kernel is stuck.
LONGEST_DEATH_SECONDS = 10.0
POLL_SECONDS = 0.01

# Joins the host's control groups, then becomes systemd-nspawn: hosts that shared a group would share its unit names.
_JOIN_AND_BECOME = 'for group in $LAB_CGROUPS; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'


def start(lab: LabState, host: Host, *, mirror: Path) -> int:
    """Mount the host's overlay, write its files and boot it; return the process id of its systemd-nspawn.

    The process is in a session of its own and outlives this one. Raises LabError.
    """
    place = lab.host_directory(host)
    for folder in ("upper", "work", "root"):
        (place / folder).mkdir(parents=True)
    _mount_overlay(_lower(host), place)
    for file in files_of(lab, host):
        write_file(place / "root", file)
    environment = {
        **os.environ,
        # Without it /proc/sys/net is read-only in a namespace that nspawn was given instead of having made.
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "LAB_CGROUPS": " ".join(str(group) for group in _make_cgroups(host)),
    }
    console = str(place / "console.log")
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", _JOIN_AND_BECOME, "sh", *nspawn_argv(lab, host, mirror=mirror)],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, console, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def died(child: int) -> bool:
    """Say whether a host's process, started by this process, has ended."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def nspawn_argv(lab: LabState, host: Host, *, mirror: Path) -> list[str]:
    """Return the command that boots the host (systemd-nspawn(1))."""
    argv = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        # There may be no machined, or no systemd at all, on this machine.
        "--register=no",
        "--keep-unit",
        f"--directory={lab.host_directory(host) / 'root'}",
        f"--machine={host.machine}",
        f"--hostname={host.short}",
        f"--network-namespace-path=/run/netns/{host.netns}",
        "--capability=CAP_NET_ADMIN",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
    ]
    if host.role == "gateway":
        argv.append(f"--bind-ro={mirror}:/srv/mirror")
    if host.role == "mailhost":
        argv.append(f"--bind={lab.sink}:/var/spool/sink")
    return scoped(host, argv)


def scoped(host: Host, argv: list[str]) -> list[str]:
    """Return the command, or one that begins it in a scope of its own where this machine runs systemd.

    That keeps the host out of the caller's session.
    """
    if not Path("/run/systemd/system").is_dir():
        return argv
    scope = ["systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes"]
    return [*scope, f"--unit={host.machine}", "--", *argv]


def processes(machine: str) -> tuple[int, ...]:
    """Return the ids of the systemd-nspawn or qemu processes that run the machine of that name.

    Found by their own argument, not by a recorded id: so it holds after a crash, and an id that was used again is
    never mistaken.
    """
    wanted = {f"--machine={machine}".encode(): b"systemd-nspawn", f"guest={machine}".encode(): QEMU.encode()}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = _words_of(entry)
                if any(
                    name in words and any(word.endswith(program) for word in words)
                    for name, program in wanted.items()
                ):
                    found.append(int(entry.name))
    return tuple(found)


def stop(machine: str) -> None:
    """End the machine at once, with all that runs in it. Its disk is thrown away, so nothing needs to be flushed.

    A container's first process is killed, and the kernel kills the rest; systemd-nspawn then tidies up after itself.
    Of a virtual machine there is qemu alone.
    """
    for supervisor in processes(machine):
        for victim in _children(supervisor) or [supervisor]:
            _kill(victim)
    if not _wait(lambda: not processes(machine), seconds=2.0):
        for supervisor in processes(machine):
            _kill(supervisor)
        if not _wait(lambda: not processes(machine), seconds=LONGEST_DEATH_SECONDS):
            raise LabError(f"machine {machine} does not die: see 'ps' for process {processes(machine)[0]}")


def forget(machine: str) -> None:
    """Remove what the kernel and systemd-nspawn keep of a machine of which no process is left."""
    shutil.rmtree(Path("/run/systemd/nspawn/propagate", machine), ignore_errors=True)
    for root in _cgroup_roots():
        for folder, _, _ in os.walk(root / machine, topdown=False):
            _wait(partial(_removed, Path(folder)), seconds=1.0)


def empty_namespace(netns: str) -> None:
    """Kill every process that is left in a network namespace of a lab, but not the caller and its parents.

    That is what somebody started there, and a whole host whose systemd-nspawn was killed.
    """
    mine = set(_ancestry())

    def left() -> list[int]:
        done = subprocess.run(["ip", "netns", "pids", netns], capture_output=True, text=True, check=False)
        return [int(word) for word in done.stdout.split() if int(word) not in mine]

    for process in left():
        _kill(process)
    _wait(lambda: not left(), seconds=LONGEST_DEATH_SECONDS)


def unmount_below(directory: Path) -> None:
    """Unmount whatever is mounted in a directory, the innermost first."""
    prefix = f"{directory}/"
    while True:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        mounts = [line.split()[4] for line in lines if line.split()[4].startswith(prefix)]
        if not mounts:
            return
        for mount in reversed(mounts):
            if not succeeds(["umount", mount]):
                run(["umount", "--lazy", mount])


def _lower(host: Host) -> Path:
    """Return what the host's root file system is an overlay of."""
    image = image_of(host)
    return rootfs.place(image) / "rootfs" if lab_platform(host.platform).rpm else rootfs_of(image)


def _mount_overlay(lower: Path, place: Path) -> None:
    options = f"lowerdir={lower},upperdir={place / 'upper'},workdir={place / 'work'}"
    argv: list[str | Path] = ["mount", "-t", "overlay", "overlay", place / "root", "-o"]
    # volatile: nothing is flushed to disk, so packages install several times as fast. Kernels before 5.10 lack it.
    if not succeeds([*argv, f"{options},volatile"]):
        run([*argv, options])


def _cgroup_roots() -> Iterator[Path]:
    """Find the hierarchies in which systemd keeps its units: one (v2), or the named one with or without v2 (v1)."""
    top = Path("/sys/fs/cgroup")
    for root in (top, top / "systemd", top / "unified"):
        if (root / "cgroup.procs").exists():
            yield root


def _make_cgroups(host: Host) -> list[Path]:
    if Path("/run/systemd/system").is_dir():
        return []
    groups = [root / host.machine for root in _cgroup_roots()]
    for group in groups:
        group.mkdir(exist_ok=True)
    return groups


def _removed(cgroup: Path) -> bool:
    try:
        cgroup.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _words_of(process: Path) -> list[bytes]:
    """Return a process's arguments. In the middle of execve(2) it seems to have none: ask again then."""
    for _ in range(10):
        text = (process / "cmdline").read_bytes()
        if text:
            return text.split(b"\0")
        # A kernel thread and a zombie have none for good, and no program either: this raises OSError for them.
        (process / "exe").readlink()
        time.sleep(POLL_SECONDS / 10)
    return []


def _children(process: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _ancestry() -> Iterator[int]:
    process = os.getpid()
    while process > 1:
        yield process
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rpartition(")")[2].split()[1])


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _wait(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
