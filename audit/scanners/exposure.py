"""systemd's own judgement of its sandboxes, for each unit that has to do with the network."""

import re
from collections.abc import Iterator
from typing import Final

from audit.scanners.accepted import UNITS, named
from audit.scanners.figures import Figure, judged
from audit.scanners.host import Scanned
from roles.kinds import Sandbox
from roles.platforms import row
from roles.registry import DEFENCES
from roles.sandbox.defences import LIMIT

# Units of the processes that have a socket of the internet, whatever they do with it; those of a login are sessions, not services.
_QUESTION: Final = """{
  for p in $(ss -Htunap | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do
    sed -n 's#.*/\\([^/]*\\.service\\)\\(/.*\\)\\{0,1\\}$#\\1#p' /proc/$p/cgroup 2>/dev/null | head -n 1
  done
  for u in UNITS; do [ "$(systemctl show --property LoadState --value $u)" != loaded ] || echo $u; done
} | sort -u | while read -r u; do
  printf '%s %s\\n' $u \\
    "$(systemd-analyze security --no-pager $u 2>/dev/null | sed -n 's/.*Overall exposure level.*: \\([0-9.]*\\) .*/\\1/p')"
done"""


def scanned(host: Scanned) -> Iterator[Figure]:
    """Ask systemd of each unit with a socket of the internet, and of those that have a sandbox by a record."""
    recorded = sorted(
        row(host.target.gateway).unit(setting.unit)
        for defence in DEFENCES
        if defence.stands(host.target.gateway)
        for setting in defence.sets
        if isinstance(setting, Sandbox)
    )
    yield figure(host.run(_QUESTION.replace("UNITS", " ".join(recorded))))


def figure(answer: str) -> Figure:
    """Return the worst exposure of the answer's units, 0 to 10, and each of them."""
    exposures = {
        unit: float(value) for unit, value in re.findall(r"^(\S+) (\d+(?:\.\d+)?)$", answer, re.MULTILINE)
    }
    mute = [line.split()[0] for line in answer.splitlines() if line.strip() and len(line.split()) == 1]
    bound = {unit: value for unit, value in exposures.items() if unit not in named(UNITS)}
    over = [unit for unit, value in bound.items() if value > float(LIMIT)]
    return Figure(
        scanner="systemd-analyze",
        about="worst exposure of a unit with a network",
        value=f"{max(bound.values()):.1f}" if bound else "none",
        limit=f"at most {LIMIT}, of all but what docs/scanners.md names",
        judged=judged(good=bool(bound) and not over and not mute),
        details=(
            *(f"{unit} {value}" for unit, value in sorted(exposures.items())),
            *(f"{unit} none" for unit in mute),
        ),
    )
