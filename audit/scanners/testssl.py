"""testssl.sh: TLS of the MTA, as a sender on the internet meets it."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from audit.scanners.figures import Figure, judged
from audit.scanners.outside import seen
from audit.target import Target

SEVERITIES: Final = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
_BAD: Final = SEVERITIES[:3]
# It ends with the number of what it could not find out, up to 50, and with more where it could not run (testssl(1)).
_CODES: Final = range(51)
# It says some 150 things of a server that speaks TLS, a few of one that does not.
_LEAST_FINDINGS: Final = 50


class Finding(Struct, frozen=True):
    """One line of its JSON file."""

    id: str
    severity: str
    finding: str


def scanned(target: Target) -> Iterator[Figure]:
    """Look at port 25 from wan; the inventory's `audit_authorities` are trusted beside the public ones."""
    authorities = target.stands.authorities
    address = target.place("wan").address()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        seen(
            target,
            "wan",
            [
                *(
                    "testssl",
                    "--quiet",
                    "--color",
                    "0",
                    "--warnings",
                    "batch",
                    "--nodns",
                    "none",
                    "--ip",
                    address,
                ),
                *(("--add-ca", authorities) if authorities else ()),
                *("-t", "smtp", "--jsonfile", str(report), f"{target.gateway.hostname}:25"),
            ],
            codes=_CODES,
        )
        found = msgspec.json.decode(report.read_bytes(), type=list[Finding]) if report.exists() else []
    yield figure(found)


def figure(found: list[Finding]) -> Figure:
    """Return how many findings of each severity there are."""
    counts = Counter(each.severity for each in found)
    answered = len(found) >= _LEAST_FINDINGS and not counts["FATAL"]
    worst = [each for each in found if each.severity in SEVERITIES]
    return Figure(
        scanner="testssl",
        about=", ".join(SEVERITIES).lower(),
        # A server that does not answer has no fault either: that is no figure.
        value=", ".join(str(counts[each]) for each in SEVERITIES) if answered else "no answer",
        limit="no critical, high or medium",
        judged=judged(good=answered and not any(counts[each] for each in _BAD)),
        details=tuple(f"{each.severity} {each.id}: {each.finding}" for each in worst),
    )
