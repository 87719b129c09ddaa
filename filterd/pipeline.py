"""Runs the stages over one message, cheapest first, under a deadline, and stops when the rest cannot matter.

The attack it stops: a message on which a stage fails, and which then passes as if it had been looked at.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from .anatomy import Anatomy
from .config import MilterSettings
from .errors import ScannerAnswerError, ScannerError
from .message import Message
from .parse.dissection import Dissection
from .scanners.engines import Engines
from .stages import CONTENT, ENGINES, Finding, Stage, Verdict, limits, lists, parse, rate, virus
from .within import Within

# Behind these no later stage is asked: a refusal stands whatever the rest would say, and a message that was not
# inspected comes back and is then seen by all.
DECISIVE: Final = frozenset({Verdict.INFECTED, Verdict.OVER_LIMIT, Verdict.NOT_INSPECTED})
_DEFAULTS: Final = MilterSettings()
# What a parse worker may report: it has read hostile bytes, and rules stand in the reply to the sender.
_KNOWN: Final = frozenset((stage.id, rule.id, rule.verdict) for stage in CONTENT for rule in stage.rules)
_OWN_RULE: Final = re.compile(r"content\.[a-z0-9][a-z0-9-]{0,31}")
_OWN_VERDICTS: Final = frozenset({Verdict.BANNED, Verdict.SUSPICIOUS, Verdict.SPAM, Verdict.BULK})
_PATH: Final = re.compile(r"(?:[0-9]{1,9}(?:[.!][0-9]{1,9}){0,2000})?")


class StageResult(Struct, frozen=True, kw_only=True):
    """What one stage found, and how long it took in milliseconds."""

    stage: str
    milliseconds: float
    findings: tuple[Finding, ...]


class Report(Struct, frozen=True, kw_only=True):
    """The results in the order of the stages that ran; a stage that is missing did not look.

    ``anatomy`` is empty where the message could not be taken apart. What content stages found while it was taken
    apart took its time under "parse".
    """

    results: tuple[StageResult, ...]
    anatomy: Anatomy = Anatomy()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings of all stages."""
        return tuple(finding for result in self.results for finding in result.findings)


Settled = Callable[[Report], bool]
Listed = Callable[[Anatomy], tuple[Finding, ...]]


def decisive(report: Report) -> bool:
    """Whether what is found ends the examination where no policy says better. Pure."""
    return any(finding.verdict in DECISIVE for finding in report.findings)


def beyond_bounds(message: Message, bounds: MilterSettings) -> Finding | None:
    """Return why a message is too much to be inspected, or None. Pure.

    An MTA cuts a header beyond its own bound and says nothing (Postfix: header_size_limit), so the engines would
    see less than the recipient's mail reader may be told by the rest: a header beyond ours is refused instead.
    """
    if message.oversize:
        rule, detail = "limit.message", f"{message.size} bytes"
    elif message.longest_header > bounds.max_header_bytes:
        rule, detail = "limit.header", f"a header of {message.longest_header} bytes"
    elif message.size_of_headers > bounds.max_all_headers_bytes:
        rule, detail = "limit.header", f"headers of {message.size_of_headers} bytes"
    else:
        return None
    return Finding(stage=limits.STAGE.id, verdict=Verdict.OVER_LIMIT, rule=rule, detail=detail)


async def examine(
    message: Message,
    engines: Engines,
    *,
    seconds: float,
    bounds: MilterSettings = _DEFAULTS,
    settled: Settled = decisive,
    listed: Listed = lambda _: (),
    stages: Sequence[Stage] = ENGINES,
) -> Report:
    """Return what the stages find within ``seconds``. A stage that fails or is late is "not inspected".

    ``settled`` says that nothing which is found later can change what becomes of the message. ``listed`` says what
    the lists of senders have against it: asked before it is taken apart, when its From is not known, and after.
    """
    examination = _Examination(message, engines, seconds, listed)
    if (found := beyond_bounds(message, bounds)) is not None:
        examination.note(found)
        return examination.report
    if settled(examination.report):
        return examination.report
    with await examination.take_apart() as dissection:
        for stage in sorted(stages, key=lambda stage: stage.cost):
            if settled(examination.report):
                break
            await examination.run(stage, dissection)
            if stage is virus.STAGE:
                dissection.close()  # of those behind it none looks at contents, and the spam engine takes its time
        return examination.report


async def whole(message: Message, engines: Engines, *, seconds: float) -> tuple[Finding, ...]:
    """Return what the virus engines say of a message as a whole, which is not taken apart for that."""
    examination = _Examination(message, engines, seconds, lambda _: ())
    await examination.run(virus.STAGE, Dissection(Anatomy()))
    return examination.report.findings


class _Examination:
    """The results so far, and the deadline."""

    def __init__(self, message: Message, engines: Engines, seconds: float, listed: Listed) -> None:
        self._message = message
        self._engines = engines
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._results: list[StageResult] = []
        self._anatomy = Anatomy()
        self._listed = listed
        self._refused = listed(self._anatomy)

    @property
    def report(self) -> Report:
        """Return the results so far."""
        first = StageResult(stage=lists.STAGE.id, milliseconds=0.0, findings=self._refused)
        # Who judges the message fills it: a message counts once, however often it is looked at.
        second = StageResult(stage=rate.STAGE.id, milliseconds=0.0, findings=())
        return Report(results=(first, second, *self._results), anatomy=self._anatomy)

    def note(self, found: Finding) -> None:
        """Note what is known without a look at the message."""
        self._results.append(StageResult(stage=found.stage, milliseconds=0.0, findings=(found,)))

    async def take_apart(self) -> Dissection:
        """Have a parse worker look at the message, and note what each content stage has found in it."""
        begun = time.perf_counter()
        try:
            with Within(self._deadline):
                dissection = await self._engines.parse.anatomise(self._message)
        except (ScannerError, OSError, TimeoutError) as error:
            self._note(parse.STAGE, begun, (_not_inspected(parse.STAGE, error),))
            return Dissection(Anatomy())
        if (stray := _stray(dissection.anatomy)) is not None:
            self._engines.parse.condition.failed(stray)
            dissection.close()
            self._note(parse.STAGE, begun, (_not_inspected(parse.STAGE, stray),))
            return Dissection(Anatomy())
        self._anatomy = dissection.anatomy
        self._refused = self._listed(self._anatomy)
        for stage in CONTENT:
            own = tuple(finding for finding in self._anatomy.findings if finding.stage == stage.id)
            if stage is parse.STAGE:
                self._note(stage, begun, own)
            else:
                self._results.append(StageResult(stage=stage.id, milliseconds=0.0, findings=own))
        return dissection

    async def run(self, stage: Stage, dissection: Dissection) -> None:
        """Ask one engine stage."""
        if stage.examine is None:
            return
        begun = time.perf_counter()
        try:
            with Within(self._deadline):
                findings = await stage.examine(self._message, self._engines, dissection)
        except (ScannerError, OSError, TimeoutError) as error:
            findings = (_not_inspected(stage, error),)
        self._note(stage, begun, findings)

    def _note(self, stage: Stage, begun: float, findings: tuple[Finding, ...]) -> None:
        spent = round((time.perf_counter() - begun) * 1000, 2)
        self._results.append(StageResult(stage=stage.id, milliseconds=spent, findings=findings))


def _stray(anatomy: Anatomy) -> ScannerError | None:
    """Return the error of a parse worker that reports what no stage of its can, or of a part that cannot be."""
    for one in anatomy.findings:
        own = one.stage == "content" and one.verdict in _OWN_VERDICTS and _OWN_RULE.fullmatch(one.rule)
        if (one.stage, one.rule, one.verdict) not in _KNOWN and not own:
            return ScannerAnswerError("the parse worker reported a rule that it has not got")
        # A score is for the spam engine to give: with one, a class can turn out clean.
        if one.score is not None:
            return ScannerAnswerError("the parse worker reported a score")
        if not _PATH.fullmatch(one.path) or not _PATH.fullmatch(one.part) or "!" in one.part:
            return ScannerAnswerError("the parse worker reported a part that there cannot be")
    if not all(_PATH.fullmatch(leaf.path) for leaf in anatomy.leaves):
        return ScannerAnswerError("the parse worker named a leaf that there cannot be")
    return None


def _not_inspected(stage: Stage, error: Exception) -> Finding:
    why = str(error) or f"no result in time ({type(error).__name__})"
    return Finding(stage=stage.id, verdict=Verdict.NOT_INSPECTED, rule=f"{stage.id}.unavailable", detail=why)
