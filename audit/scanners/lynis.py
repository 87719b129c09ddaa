"""Lynis: an index of 0 to 100, and what it suggests."""

import re
from collections.abc import Iterator
from typing import Final

from audit.scanners.accepted import LYNIS, named
from audit.scanners.figures import Figure, judged
from audit.scanners.host import FOLDER, Scanned
from audit.scanners.shim import shown
from roles.hardening.settings import Level

# The least index by hardening level: what the best of other hardeners reached on the same kind of host was 87.
LEAST: Final[dict[Level, int]] = {"lax": 0, "moderate": 88, "paranoid": 93}
_SCRIPT: Final = (
    f"lynis audit system --quick --no-colors --quiet --logfile {FOLDER}/lynis.log --report-file {FOLDER}/lynis.dat "
    f">/dev/null 2>&1; cat {FOLDER}/lynis.dat"
)
_INDEX: Final = re.compile(r"^hardening_index=(\d+)$", re.MULTILINE)
# warning[]=BOOT-5122|text|detail|solution|
_FINDING: Final = re.compile(r"^(warning|suggestion)\[\]=([A-Z0-9-]+)\|([^|]*)\|([^|]*)\|", re.MULTILINE)


def scanned(host: Scanned) -> Iterator[Figure]:
    """Run Lynis on a host that has it."""
    yield from figures(host.run(shown(_SCRIPT)), host.target.gateway.hardening_level)


def figures(report: str, level: Level) -> Iterator[Figure]:
    """Give the figures of a report file: the index, and what is suggested and on no list with its reason."""
    index = _INDEX.search(report)
    value = int(index[1]) if index else -1
    yield Figure(
        scanner="Lynis",
        about="hardening index",
        value=str(value) if index else "none",
        limit=f"at least {LEAST[level]}",
        judged=judged(good=value >= LEAST[level]),
    )
    found = [
        (kind, test, f"{text} {detail}".strip(" -")) for kind, test, text, detail in _FINDING.findall(report)
    ]
    left = sorted(f"{kind} {test}: {text}" for kind, test, text in found if test not in named(LYNIS))
    warnings = sum(kind == "warning" for kind, _, _ in found)
    yield Figure(
        scanner="Lynis",
        about="warnings, suggestions",
        value=f"{warnings}, {len(found) - warnings}",
        limit="none without a reason in docs/scanners.md",
        judged=judged(good=not left),
        details=tuple(left),
    )
