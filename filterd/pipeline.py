"""Runs the stages over one message, cheapest first, under a deadline, and stops when the rest cannot matter.

The attack it stops: a message on which a stage fails, and which then passes as if it had been looked at.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from .errors import ScannerError
from .message import Message
from .scanners.engines import Engines
from .stages import Finding, Stage, Verdict

# Behind these no later stage is asked: a refusal stands whatever the rest would say, and a message that was not
# inspected comes back and is then seen by all.
DECISIVE: Final = frozenset({Verdict.INFECTED, Verdict.OVER_LIMIT, Verdict.NOT_INSPECTED})


class StageResult(Struct, frozen=True, kw_only=True):
    """What one stage found, and how long it took in milliseconds."""

    stage: str
    milliseconds: float
    findings: tuple[Finding, ...]


class Report(Struct, frozen=True, kw_only=True):
    """The results in the order of the stages that ran; a stage that is missing did not look."""

    results: tuple[StageResult, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings of all stages."""
        return tuple(finding for result in self.results for finding in result.findings)


async def examine(message: Message, engines: Engines, stages: Sequence[Stage], *, seconds: float) -> Report:
    """Return what the stages find within ``seconds``. A stage that fails or is late is "not inspected"."""
    if message.oversize:
        found = Finding(
            stage="size", verdict=Verdict.OVER_LIMIT, rule="size.limit", detail=f"{message.size} bytes"
        )
        return Report(results=(StageResult(stage="size", milliseconds=0.0, findings=(found,)),))
    results: list[StageResult] = []
    deadline = asyncio.get_running_loop().time() + seconds
    for stage in sorted(stages, key=lambda stage: stage.cost):
        begun = time.perf_counter()
        try:
            async with asyncio.timeout_at(deadline):
                findings = await stage.examine(message, engines)
        except (ScannerError, OSError, TimeoutError) as error:
            findings = (_not_inspected(stage, error),)
        spent = round((time.perf_counter() - begun) * 1000, 2)
        results.append(StageResult(stage=stage.id, milliseconds=spent, findings=findings))
        if any(finding.verdict in DECISIVE for finding in findings):
            break
    return Report(results=tuple(results))


def _not_inspected(stage: Stage, error: Exception) -> Finding:
    why = str(error) or f"no result in time ({type(error).__name__})"
    return Finding(stage=stage.id, verdict=Verdict.NOT_INSPECTED, rule=f"{stage.id}.unavailable", detail=why)
