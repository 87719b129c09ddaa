"""What is to be updated this night: what unattended-upgrades lets in, without what is too young or has no way back."""

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from .machine import LEFT_OUT, SEEN, ran, read, written
from .packages import Package, allowed, kept, simulated

# Where packages are fetched to and unpacked. apt knows what it needs; beside it logs, queue and our own files grow.
_PLACES: Final = (
    "/",
    "/usr",
    "/boot",
    "/var",
    "/var/cache/apt/archives",
    "/var/lib/dpkg",
    "/var/lib/bastide-updates",
)
_INODES: Final = 4096


class NotBegunError(Exception):
    """Nothing was changed, and mail flows: the subject of the alert, and its text."""


class Plan(NamedTuple):
    """What is to be upgraded, and what is not, with the reason."""

    names: tuple[str, ...]
    left_out: dict[str, str]


def planned(declared: Mapping[str, Any], now: Mapping[str, Package]) -> Plan:
    """Ask unattended-upgrades what it lets in, leave out what is too young or has no way back, and ask again."""
    candidates = simulated(ran("apt-get", "-s", "dist-upgrade")[1])
    seen = {
        key: when for key, when in read(SEEN).items() if key in {f"{n}={v[1]}" for n, v in candidates.items()}
    }
    for name, (_, new) in candidates.items():
        seen.setdefault(f"{name}={new}", time.time())
    written(SEEN, json.dumps(seen))
    if declared["which"] == "none":
        return Plan((), dict.fromkeys(candidates, "the setting `updates.which` is none"))
    left: dict[str, str] = {name: "it is held" for name in declared["held"] if name in candidates}
    youngest = time.time() - 3600 * declared["delay_hours"]
    for name, (_, new) in candidates.items():
        if name not in left and seen[f"{name}={new}"] > youngest:
            left[name] = f"{new} is to be known for {declared['delay_hours']} hours first"
    names = _let_in(left)
    for name in names:
        if name in now and kept(name, now[name]) is None:
            left[name] = (
                f"nobody has {now[name].version} any more, so there would be no way back: docs/updates.md"
            )
    return Plan(tuple(_let_in(left) if left else names), left)


def _let_in(left: Iterable[str]) -> list[str]:
    lines = "".join(f'  "^{re.escape(name)}$";\n' for name in sorted(left)).replace("\\", "\\\\")
    # Files that a deploy has changed stay as they are: otherwise such packages would be passed over without a word.
    keep = 'DPkg::Options { "--force-confdef"; "--force-confold"; };\n'
    written(LEFT_OUT, f"Unattended-Upgrade::Package-Blacklist {{\n{lines}}};\n{keep}")
    code, said = ran("unattended-upgrade", "--dry-run", "-v", APT_CONFIG=str(LEFT_OUT))
    names = allowed(said)
    if code or names is None:
        raise NotBegunError(
            "updates cannot be looked for", f"unattended-upgrade --dry-run: {said.strip()[-500:] or code}"
        )
    return names


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
