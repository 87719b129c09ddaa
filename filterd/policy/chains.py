"""One chain, walked for one class: which side steps are done, what is attempted, and how it ends."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from filterd.anatomy import EditAction
from filterd.config import Config, Group
from filterd.config.actions import Step, step
from filterd.disposition import HTML_CHAIN, Attempt, AttemptAction, Fate
from filterd.findings import Finding, Verdict

ROOT: Final = "1"
# Rules about what `disarm` can take out of a part without taking the part away.
_HTML: Final = "html."
_MACRO_WORD: Final = "macro"

_ENDS: Final[Mapping[str, Fate]] = {
    "ignore": "deliver",
    "reject": "reject",
    "discard": "discard",
    "move": "move",
    "tempfail": "tempfail",
}
_ATTEMPTS: Final[Mapping[str, AttemptAction]] = {
    "clean": "clean",
    "delete": "delete",
    "delete notice": "delete notice",
    "rename": "rename",
    "disarm": "disarm",
}
_EDITS: Final[Mapping[AttemptAction, EditAction]] = {
    "clean": "remove",
    "delete": "warn",
    "delete notice": "notice",
    "rename": "rename",
    "disarm": "disarm",
}
# What [html] asks for is a chain as well: if HTML cannot be sanitised, a short text takes its place.
HTML_STEPS: Final = ("disarm", "delete notice", "reject")

Outcome = Literal["done", "not possible", "failed", "left out"]


class Tried(Struct, frozen=True, kw_only=True):
    """A step that was come to.

    ``outcome`` "failed": it was tried and the result was not fit for delivery; "left out": this message may not
    have it, or not all of it.
    """

    step: str
    outcome: Outcome


class Course(Struct, frozen=True, kw_only=True):
    """How a chain went for one class. ``group`` is "" for ``[policy.chains]``; ``sides`` are its side steps that hold.

    ``edits`` are (part, action) of the attempt that held. ``ran_out`` when the chain had no end of its own.
    """

    chain: str
    group: str
    steps: tuple[str, ...]
    verdict: Verdict
    findings: tuple[Finding, ...]
    tried: tuple[Tried, ...]
    end: Fate
    ran_out: bool = False
    sides: tuple[Step, ...] = ()
    attempt: Attempt | None = None
    edits: tuple[tuple[str, EditAction], ...] = ()

    @property
    def rule(self) -> str:
        """Return the rule that is named for this class, or ""."""
        return self.findings[0].rule if self.findings else ""


@lru_cache(maxsize=1024)
def _parsed(steps: tuple[str, ...]) -> tuple[Step, ...]:
    return tuple(step(one) for one in steps)


def chain_of(verdict: Verdict, groups: Sequence[Group], config: Config) -> tuple[str, str, tuple[str, ...]]:
    """Return name, group ("": none) and steps of the chain for a class: of the first group that has one."""
    name = verdict.value.replace("-", "_")
    for group in groups:
        if steps := getattr(group.chains, name):
            return name, group.name, steps
    return name, "", getattr(config.policy.chains, name)


def run_out(verdict: Verdict) -> Fate:
    """Return how a chain of a class ends that has no end of its own."""
    if verdict is Verdict.CLEAN:
        return "deliver"
    return "tempfail" if verdict is Verdict.NOT_INSPECTED else "reject"


def worst(verdict: Verdict, steps: tuple[str, ...]) -> Fate:
    """Return the end of a chain when every attempt fails."""
    return next((_ENDS[one.name] for one in _parsed(steps) if one.sort == "end"), run_out(verdict))


def walk(
    chain: tuple[str, str, tuple[str, ...]],
    verdict: Verdict,
    findings: tuple[Finding, ...],
    failed: frozenset[Attempt],
    fit: Callable[[Step], Step | None] = lambda side: side,
) -> Course:
    """Return how a chain goes for findings of one class, with these attempts known to fail. Ends always.

    ``fit`` says what of a side step this message may get: all of it, less, or None.
    """
    name, group, steps = chain
    tried: list[Tried] = []
    sides: list[Step] = []
    attempt: Attempt | None = None
    end: Fate | None = None
    for one in _parsed(steps):
        outcome: Outcome = "done"
        if one.sort == "side":
            if (side := fit(one)) is not None:
                sides.append(side)
            outcome = "done" if side == one else "left out"
        elif one.sort == "end":
            end = _ENDS[one.name]
        else:
            attempt, outcome = _attempted(name, one, findings, failed)
        tried.append(Tried(step=one.text, outcome=outcome))
        if attempt is not None or end is not None:
            break
    return Course(
        chain=name,
        group=group,
        steps=steps,
        verdict=verdict,
        findings=findings,
        tried=tuple(tried),
        end=end or ("deliver" if attempt is not None else run_out(verdict)),
        ran_out=end is None and attempt is None,
        sides=tuple(sides),
        attempt=attempt,
        edits=_edits(attempt, findings) if attempt is not None else (),
    )


def _attempted(
    chain: str, one: Step, findings: tuple[Finding, ...], failed: frozenset[Attempt]
) -> tuple[Attempt | None, Outcome]:
    """Return the attempt if it is possible and not known to fail, and what is to be said of it."""
    action = _ATTEMPTS[one.text]
    if not findings or not all(_possible(action, finding, chain) for finding in findings):
        return None, "not possible"
    parts = tuple(dict.fromkeys(finding.part for finding in findings))
    attempt = Attempt(chain=chain, action=action, parts=parts)
    return (None, "failed") if attempt in failed else (attempt, "done")


def _possible(action: AttemptAction, finding: Finding, chain: str) -> bool:
    """Whether an action may help against a finding. The root cannot go: only its content can be put away or disarmed."""
    if not finding.part:
        return False
    if finding.part != ROOT or action in {"delete", "delete notice"}:
        return action != "disarm" or chain == HTML_CHAIN or disarmable(finding)
    return action in {"clean", "disarm"} and finding.rule.startswith(_HTML) and "!" not in finding.path


def disarmable(finding: Finding) -> bool:
    """Whether what was found can be taken out of its part: HTML that is the part itself, or macros."""
    if finding.rule.startswith(_HTML):
        return "!" not in finding.path
    return _MACRO_WORD in finding.rule.partition(".")[2]


def _edits(attempt: Attempt, findings: tuple[Finding, ...]) -> tuple[tuple[str, EditAction], ...]:
    """Return (part, action) for each part; `clean` disarms a part in which nothing else was found."""
    if attempt.action != "clean":
        return tuple((part, _EDITS[attempt.action]) for part in attempt.parts)
    stubborn = {finding.part for finding in findings if not disarmable(finding)}
    return tuple((part, "remove" if part in stubborn else "disarm") for part in attempt.parts)
