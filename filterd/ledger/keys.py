"""The keys of kept contents: a file of 64 hexadecimal digits a line, the newest first.

The newest writes, all of them read. The file is looked at anew whenever it has been replaced, so that a key that is new is in use at
once, in every process, without a reload.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from filterd.errors import ConfigError

_KEY: Final = 32
# Each key of a file that does not fit costs a try of each content.
MOST: Final = 16
_Stamp = tuple[int, int, int]


class Keys:
    """The keys in a file; none where there is no file. Raises ConfigError with the remedy when they cannot be read at first."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._keys: tuple[bytes, ...] = ()
        if path:
            self._stamp, self._keys = _read(path)

    def __call__(self) -> tuple[bytes, ...]:
        """Return the keys, the newest first. While the file cannot be read they are what they were."""
        if self._path:
            try:
                seen = Path(self._path).stat()
                if (seen.st_ino, seen.st_mtime_ns, seen.st_size) != self._stamp:
                    self._stamp, self._keys = _read(self._path)
            except (OSError, ConfigError):
                pass
        return self._keys


def _read(path: str) -> tuple[_Stamp, tuple[bytes, ...]]:
    """Return what tells a file from the one that takes its place, and its keys. Raises ConfigError."""
    try:
        with open(path, encoding="ascii") as source:  # noqa: PTH123 - its descriptor is asked
            seen = os.fstat(source.fileno())
            lines = source.read(MOST * (2 * _KEY + 2) + 1).split()
    except OSError as error:
        raise ConfigError(
            f"[store] key_file: {path} cannot be read ({error.strerror}): let filterd's user read it, or run this as root"
            " (sudo)"
        ) from error
    except ValueError:
        lines = []
    try:
        keys = tuple(bytes.fromhex(line) for line in lines)
    except ValueError:
        keys = ()
    if not 1 <= len(keys) <= MOST or any(len(key) != _KEY for key in keys):
        raise ConfigError(
            f"[store] key_file: {path} holds no key: write 64 hexadecimal digits (openssl rand -hex 32), the newest key in the"
            f" first line, and no more than {MOST}"
        )
    return (seen.st_ino, seen.st_mtime_ns, seen.st_size), keys


def new_key() -> bytes:
    """Return a key that nobody has."""
    return secrets.token_bytes(_KEY)


def write(path: Path, keys: tuple[bytes, ...]) -> None:
    """Replace a file of keys, whose owner and mode stay: it is the old or the new one at every moment. Raises OSError."""
    before = path.stat()
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        with os.fdopen(descriptor, "w", encoding="ascii") as target:
            target.writelines(f"{key.hex()}\n" for key in keys)
            target.flush()
            os.fchown(target.fileno(), before.st_uid, before.st_gid)
            os.fchmod(target.fileno(), before.st_mode & 0o777)
            os.fsync(target.fileno())
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
