"""Where filterd listens and keeps its records: what a reload cannot change."""

from pathlib import Path
from typing import Final

from filterd.errors import ConfigError

from . import Config

# What cannot change while filterd runs: where it is found, and where its records are.
_PLACES: Final = {
    "milter": ("socket", "socket_mode", "socket_group"),
    "ledger": ("socket", "url", "password_file"),
    "metrics": ("socket", "mode", "group"),
}


def same_place(new: Config, old: Config, path: Path) -> Config:
    """Return ``new`` if it listens where ``old`` does. Raises ConfigError else: the socket is bound already."""
    for section, names in _PLACES.items():
        before, after = getattr(old, section), getattr(new, section)
        for name in names:
            if getattr(after, name) != getattr(before, name):
                raise ConfigError(f"{path}: [{section}] {name} has changed, which takes a restart of filterd")
    return new
