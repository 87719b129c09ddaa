"""The report as JSON: one object with a version, totals and every result."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import msgspec

from audit.engine import Result
from audit.probes import State

VERSION = 1


def written(results: Sequence[Result], problems: Sequence[str], path: Path) -> None:
    """Write the results, and the sentences on hosts that could not be audited, to ``path``."""
    counts = {state: sum(result.state == state for result in results) for state in get_args(State)}
    report = {"version": VERSION, "totals": counts, "problems": list(problems), "results": list(results)}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
