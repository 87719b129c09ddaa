"""The control host's copies of baselines, each signed by a key that no gateway has (ssh-keygen(1), -Y sign)."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from roles.integrity.paths import FILES

_WHO: Final = "bastide"
_SIGNED: Final = "chain"


class CopyError(Exception):
    """A copy that is not what was kept, or cannot be kept; the text names it and the remedy."""


def place(copies: str, host: str) -> Path:
    """Return the directory of one host's copy."""
    return Path(copies).expanduser() / host.replace("/", "_")


def held(directory: Path) -> dict[str, bytes] | None:
    """Return the files of a copy, or None where there is none. Raises CopyError for one that was not signed as it is.

    The signature is of the chain, whose last line has the digests of the other files; the program that looks compares those.
    """
    if not directory.exists():
        return None
    try:
        found = {name: (directory / name).read_bytes() for name in FILES}
        public = _run("ssh-keygen", "-y", "-f", str(_key(directory.parent))).strip()
        signature = directory / f"{_SIGNED}.sig"
        signers = directory.parent / "signers"
        _written(signers, f"{_WHO} {public}\n".encode())
        done = subprocess.run(
            ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", _WHO, "-n", _WHO, "-s", signature],
            input=found[_SIGNED],
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise CopyError(
            f"the copy {directory} cannot be read ({error}); remove it, and deploy to take one anew"
        ) from error
    if done.returncode:
        raise CopyError(
            f"the copy {directory} is not what was signed: find out who changed it; without it nothing can be told of the host"
        )
    return found


def keep(directory: Path, files: Mapping[str, bytes]) -> None:
    """Keep what was fetched of a host as its copy, signed; the one before stays beside it as NAME.before."""
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new, before = (directory.with_name(f"{directory.name}.{end}") for end in ("new", "before"))
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        for name in FILES:
            _written(new / name, files[name])
        key = _key(directory.parent)
        if not key.exists():
            _made(key)
        _run("ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", _WHO, str(new / _SIGNED))
        shutil.rmtree(before, ignore_errors=True)
        if directory.exists():
            directory.rename(before)
        new.rename(directory)
    except OSError as error:
        raise CopyError(f"the copy {directory} cannot be written: {error}") from error


def forget(directory: Path) -> None:
    """Have no copy of a host that is no longer what was copied; the last one stays beside it as NAME.before."""
    if directory.exists():
        before = directory.with_name(f"{directory.name}.before")
        shutil.rmtree(before, ignore_errors=True)
        directory.rename(before)


def unexplained(directory: Path) -> int:
    """Return how many changes nobody explained when the copy was taken; 0 where there is none."""
    try:
        last = (directory / _SIGNED).read_text().splitlines()[-1]
        return int(json.loads(last).get("unexplained", 0))
    except (OSError, IndexError, ValueError):
        return 0


def _key(copies: Path) -> Path:
    return copies / "key"


def _made(key: Path) -> None:
    """Make the key; where hosts are deployed side by side the first one's counts."""
    with tempfile.TemporaryDirectory(dir=key.parent, prefix=".key-") as place:
        own = Path(place, "key")
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bastide integrity", "-f", str(own))
        with contextlib.suppress(FileExistsError):
            key.hardlink_to(own)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CopyError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _written(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
