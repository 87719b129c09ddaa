"""Where filterd listens and keeps its records: what a reload cannot change.

The daemon notes where it is, so that whoever is about to have it reload can be told before (`filterd check --reload`).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from filterd.errors import ConfigError

from . import Config

# What cannot change while filterd runs: where it is found, and where its records are.
_PLACES: Final = {
    "milter": ("socket", "socket_mode", "socket_group"),
    "ledger": ("socket", "url", "password_file"),
    # Whoever looks at what is kept reads the file, and would look elsewhere than the workers write.
    "store": ("directory",),
    "metrics": ("socket", "mode", "group"),
}
_NOTE: Final = "places.json"


def same_place(new: Config, old: Config, path: Path) -> Config:
    """Return ``new`` if it is where ``old`` is. Raises ConfigError else: the socket is bound already."""
    return _same(new, _places(old), path)


def same_as_running(new: Config, path: Path) -> Config:
    """Return ``new`` if the daemon that runs could reload it; also if none runs. Raises ConfigError else."""
    try:
        noted = msgspec.json.decode(_note().read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, msgspec.DecodeError):
        return new
    return _same(new, noted, path)


@contextlib.contextmanager
def noted(config: Config) -> Iterator[None]:
    """Note where the daemon is, as long as it runs; who cannot is not told before a reload, but by its log."""
    note = _note()
    with contextlib.suppress(OSError):
        note.touch(0o600)
        note.write_bytes(msgspec.json.encode(_places(config)))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink()


def _same(new: Config, before: dict[str, dict[str, Any]], path: Path) -> Config:
    for section, after in _places(new).items():
        for name, value in after.items():
            if before.get(section, {}).get(name, value) != value:
                raise ConfigError(f"{path}: [{section}] {name} has changed, which takes a restart of filterd")
    return new


def _places(config: Config) -> dict[str, dict[str, Any]]:
    return {
        section: {name: getattr(getattr(config, section), name) for name in names}
        for section, names in _PLACES.items()
    }


def _note() -> Path:
    # systemd.exec(5), RuntimeDirectory=
    return Path(os.environ.get("RUNTIME_DIRECTORY", "/run/filterd").partition(":")[0]) / _NOTE
