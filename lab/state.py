"""The record of what a lab has made: written before anything is made, so that ``down`` can always undo it."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from lab.errors import LabError
from lab.plan import Host, LabState, check_name

__all__ = ["Host", "LabState", "cache_root", "load", "locked", "names", "read", "state_root", "write"]

FILE = "lab.json"
# `up` from a cold cache holds its lock for some minutes; whoever waits longer than this waits for a hung process.
LONGEST_WAIT_SECONDS = 600.0
LOCK_POLL_SECONDS = 0.05


def cache_root() -> Path:
    """Return where images, mirrors and locks are kept (environment: BASTIDE_LAB_CACHE)."""
    return Path(os.environ.get("BASTIDE_LAB_CACHE", "/var/cache/bastide-lab"))


def state_root() -> Path:
    """Return where each lab has its directory (environment: BASTIDE_LAB_STATE)."""
    return Path(os.environ.get("BASTIDE_LAB_STATE", "/var/lib/bastide-lab"))


def directory_of(name: str) -> Path:
    """Return the directory of the lab of that name. Raises LabError for an impossible name."""
    check_name(name)
    return state_root() / name


def load(name: str = "lab") -> LabState:
    """Return the lab of that name if it is up.

    Raises LabError, with the remedy, if no such lab is up or if it did not outlive a reboot of this machine.
    """
    lab = read(name)
    if lab is None or lab.phase != "up":
        raise LabError(f"lab {name!r} is not up: run 'python -m lab up --name {name}' as root")
    if not Path("/run/netns", lab.netns["wan"]).exists():
        raise LabError(f"lab {name!r} did not outlive a reboot: run 'python -m lab up --name {name}' as root")
    return lab


def read(name: str) -> LabState | None:
    """Return the record of a lab in whatever phase, or None if there is none that can be read."""
    try:
        text = (directory_of(name) / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise LabError(f"the state of lab {name!r} cannot be read: run this as root ({error})") from error
    try:
        return msgspec.json.decode(text, type=LabState, dec_hook=_decode)
    except msgspec.DecodeError:
        # A record of another version: `down` finds what belongs to the lab by name instead.
        return None


def write(lab: LabState) -> None:
    """Store the record of a lab so that a crash leaves the old or the new one, never half of one."""
    lab.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    text = msgspec.json.format(msgspec.json.encode(lab, enc_hook=str), indent=2)
    fresh = lab.directory / f".{FILE}.new"
    with fresh.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(lab.directory / FILE)


def as_json(lab: LabState) -> dict[str, Any]:
    """Return the record of a lab as plain values that JSON can hold."""
    plain: dict[str, Any] = msgspec.to_builtins(lab, enc_hook=str)
    return plain


def erase(name: str) -> None:
    """Remove the directory of a lab, and the folder of all labs when it was the last one."""
    directory = directory_of(name)
    if directory.exists():
        shutil.rmtree(directory)
    if state_root().is_dir() and not any(state_root().iterdir()):
        state_root().rmdir()


def names() -> tuple[str, ...]:
    """Return the name of every lab that has a directory, sorted."""
    if not state_root().is_dir():
        return ()
    return tuple(sorted(entry.name for entry in state_root().iterdir() if entry.is_dir()))


@contextmanager
def locked(what: str) -> Iterator[None]:
    """Hold the lock of that name. The kernel releases it when its holder dies, however it dies.

    Raises LabError when another process holds it for longer than ten minutes.
    """
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{what}.lock"
    with path.open("a") as file:
        _acquire(file.fileno(), path)
        yield


def _acquire(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LabError(
                    f"another process holds {path}: see who with 'fuser {path}' and end it"
                ) from None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return


def _decode(kind: type, value: Any) -> Any:  # noqa: ANN401 - msgspec hands over whatever stood in the JSON
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)
