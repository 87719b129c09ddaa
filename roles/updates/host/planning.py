"""What is to be updated this night: what the settings let in, without what is too young or has no way back."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from .machine import SEEN, read, written
from .manager import PLACES, candidates, kept, let_in
from .packages import NotBegunError, Package

__all__ = ["NotBegunError", "Plan", "cramped", "planned"]
# Where packages are fetched to and unpacked, beside the package manager's own places.
_PLACES: Final = (
    "/",
    "/usr",
    "/boot",
    "/var",
    "/var/lib/bastide-updates",
    *PLACES,
)
_INODES: Final = 4096


class Plan(NamedTuple):
    """What is to be upgraded, and what is not, with the reason."""

    names: tuple[str, ...]
    left_out: dict[str, str]


def planned(declared: Mapping[str, Any], now: Mapping[str, Package]) -> Plan:
    """Ask what is let in, leave out what is too young or has no way back, and ask again."""
    newer = candidates()
    seen = {key: when for key, when in read(SEEN).items() if key in {f"{n}={v[1]}" for n, v in newer.items()}}
    for name, (_, new) in newer.items():
        seen.setdefault(f"{name}={new}", time.time())
    written(SEEN, json.dumps(seen))
    if declared["which"] == "none":
        return Plan((), dict.fromkeys(newer, "the setting `updates.which` is none"))
    left: dict[str, str] = {name: "it is held" for name in declared["held"] if name in newer}
    youngest = time.time() - 3600 * declared["delay_hours"]
    for name, (_, new) in newer.items():
        if name not in left and seen[f"{name}={new}"] > youngest:
            left[name] = f"{new} is to be known for {declared['delay_hours']} hours first"
    names = let_in(declared, left)
    for name in names:
        if name in now and kept(name, now[name]) is None:
            left[name] = (
                f"nobody has {now[name].version} any more, so there would be no way back: docs/updates.md"
            )
    return Plan(tuple(let_in(declared, left) if left else names), left)


def cramped(megabytes: int) -> str:
    """Return where there is less room than this, or ""."""
    for place in _PLACES:
        if Path(place).is_dir():
            found = os.statvfs(place)
            free = found.f_bavail * found.f_frsize // 1_000_000
            # A file system without a fixed number of inodes says 0.
            if free < megabytes or (found.f_files and found.f_favail < _INODES):
                return f"{place} has {free} MB and {found.f_favail} inodes free, and {megabytes} MB and {_INODES} are wanted"
    return ""
