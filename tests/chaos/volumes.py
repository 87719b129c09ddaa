"""Small volumes of the daemon's own, in a mount namespace: full, out of inodes, read-only (mount(8), unshare(1))."""

import os
import shlex
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


def prefix(volumes: Mapping[Path, str]) -> Sequence[str]:
    """Return what is put before a command so that it sees a tmpfs with these options at each path."""
    mounts = [
        f"mount -t tmpfs -o mode=0700,{options} tmpfs {shlex.quote(str(path))}"
        for path, options in volumes.items()
    ]
    for path in volumes:
        path.mkdir(mode=0o700, exist_ok=True)
    return (*_UNSHARE, "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh")


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
        with (self.inside / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(b"\0" * _PIECE):
                    pass
            except OSError:
                return

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
        enter = ["nsenter", "-t", str(self._gateway.process.pid), "-m"]
        if not _ROOT:
            enter += ["-U", "--preserve-credentials"]
        command = [*enter, "mount", "-o", f"remount,{how}", str(self._path)]
        # A killed process's last thread may still be closing its files.
        wait_for(
            lambda: subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
        )
