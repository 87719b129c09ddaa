"""Small volumes of the daemon's own, in a mount namespace: full, out of inodes, read-only (mount(8), unshare(1))."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.chaos.gateway import Gateway
from tests.unit.filterd.databases import lacks
from tests.unit.filterd.engines import wait_for

_ROOT: Final = os.geteuid() == 0
_UNSHARE: Final = ("unshare", "-m") if _ROOT else ("unshare", "-Urm")
_PIECE: Final = 4096


def needed() -> None:
    """Skip the test where no volume can be mounted."""
    try:
        tried = subprocess.run(
            [*_UNSHARE, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"],
            capture_output=True, timeout=10, check=False,
        )  # fmt: skip
    except OSError as error:
        lacks(f"no mount namespace: {error}")
    else:
        if tried.returncode:
            lacks(f"no mount namespace: {tried.stderr.decode(errors='replace').strip()}")


def disks_needed() -> None:
    """Skip the test where no disk can be made and damaged: only root can."""
    if not _ROOT or not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None:
        lacks("a disk of its own takes root, /dev/loop-control and mkfs.ext4")


def prefix(volumes: Mapping[Path, str], disks: Mapping[Path, Path] | None = None) -> Sequence[str]:
    """Return what is put before a command so that it sees a tmpfs with these options at each path, or an image."""
    mounts = [
        f"mount -t tmpfs -o mode=0700,{options} tmpfs {shlex.quote(str(path))}"
        for path, options in volumes.items()
    ]
    mounts += [_mounting(image, path) for path, image in (disks or {}).items()]
    for path in (*volumes, *(disks or ())):
        path.mkdir(mode=0o700, exist_ok=True)
    return (*_UNSHARE, "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh")


def _mounting(image: Path, path: Path) -> str:
    return f"mount -o loop,errors=remount-ro {shlex.quote(str(image))} {shlex.quote(str(path))}"


def disk(image: Path, size: int) -> None:
    """Make an image of ext4, which turns read-only under those who write to it when it finds itself damaged."""
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True, timeout=30)


def fill(directory: Path) -> None:
    """Leave no byte on the volume of a directory."""
    with (directory / "filler").open("ab", buffering=0) as filler:
        try:
            while filler.write(b"\0" * _PIECE):
                pass
        except OSError:
            return


class Volume:
    """One of a running gateway's volumes, from outside of its namespace."""

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self._gateway = gateway
        self._path = path

    @property
    def inside(self) -> Path:
        return Path(f"/proc/{self._gateway.process.pid}/root{self._path}")

    def fill(self) -> None:
        """Leave no byte."""
        fill(self.inside)

    def exhaust(self) -> None:
        """Leave no inode."""
        number = 0
        try:
            while True:
                (self.inside / f"filler-{number}").touch()
                number += 1
        except OSError:
            return

    def make_room(self) -> None:
        for path in self.inside.glob("filler*"):
            path.unlink()

    def remount(self, how: str) -> None:
        """Mount it anew, "ro" or "rw". Nobody may have a file there open for writing."""
        # A killed process's last thread may still be closing its files.
        wait_for(lambda: self._run("mount", "-o", f"remount,{how}", str(self._path)).returncode == 0)

    def damage(self) -> None:
        """Have the kernel find a damage in a disk: it makes it read-only there and then (ext4(5), errors)."""
        device = Path(self._run("findmnt", "-no", "SOURCE", str(self._path)).stdout.decode().strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def replace(self, image: Path, repaired: Path) -> None:
        """Mount a repaired copy of a damaged disk over it, as an administrator does: that cannot become writable again."""
        shutil.copyfile(image, repaired)
        # 1: it was repaired (e2fsck(8)).
        assert subprocess.run(
            ["e2fsck", "-fy", str(repaired)], capture_output=True, check=False
        ).returncode in {0, 1}
        assert self._run("sh", "-c", _mounting(repaired, self._path)).returncode == 0

    def _run(self, *command: str) -> "subprocess.CompletedProcess[bytes]":
        enter = ["nsenter", "-t", str(self._gateway.process.pid), "-m"]
        if not _ROOT:
            enter += ["-U", "--preserve-credentials"]
        return subprocess.run([*enter, *command], capture_output=True, timeout=10, check=False)
