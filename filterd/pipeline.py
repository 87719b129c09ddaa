"""Runs the stages over one message, cheapest first, under a deadline, and stops when the rest cannot matter.

The attack it stops: a message on which a stage fails, and which then passes as if it had been looked at.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from .config import MilterSettings
from .errors import ScannerError
from .message import Message
from .scanners.engines import Engines
from .stages import Finding, Stage, Verdict

# Behind these no later stage is asked: a refusal stands whatever the rest would say, and a message that was not
# inspected comes back and is then seen by all.
DECISIVE: Final = frozenset({Verdict.INFECTED, Verdict.OVER_LIMIT, Verdict.NOT_INSPECTED})
_DEFAULTS: Final = MilterSettings()


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


def beyond_bounds(message: Message, bounds: MilterSettings) -> Finding | None:
    """Return why a message is too much to be inspected, or None. Pure.

    An MTA cuts a header beyond its own bound and says nothing (Postfix: header_size_limit), so the engines would
    see less than the recipient's mail reader may be told by the rest: a header beyond ours is refused instead.
    """
    if message.oversize:
        rule, detail = "size.limit", f"{message.size} bytes"
    elif message.longest_header > bounds.max_header_bytes:
        rule, detail = "size.header", f"a header of {message.longest_header} bytes"
    elif message.size_of_headers > bounds.max_all_headers_bytes:
        rule, detail = "size.header", f"headers of {message.size_of_headers} bytes"
    else:
        return None
    return Finding(stage="size", verdict=Verdict.OVER_LIMIT, rule=rule, detail=detail)


async def examine(
    message: Message,
    engines: Engines,
    stages: Sequence[Stage],
    *,
    seconds: float,
    bounds: MilterSettings = _DEFAULTS,
) -> Report:
    """Return what the stages find within ``seconds``. A stage that fails or is late is "not inspected"."""
    if (found := beyond_bounds(message, bounds)) is not None:
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
