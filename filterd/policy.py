"""Findings become one disposition for each recipient: pure, one table. Nobody else may refuse a message."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from .config import Choice, Config
from .pipeline import Report
from .stages import ORDER, Finding, Verdict

# The strictest action first: what one finding lets pass, another may still refuse.
STRICTNESS: Final[tuple[Choice, ...]] = ("reject", "tempfail", "accept")
# Of findings with the same action, the one that is named. "Clean" is what nothing spoke against.
PRECEDENCE: Final = (Verdict.INFECTED, Verdict.OVER_LIMIT, Verdict.SPAM, Verdict.NOT_INSPECTED)

REQUIRED: Final = frozenset(stage.id for stage in ORDER)


class Disposition(Struct, frozen=True, kw_only=True):
    """What becomes of the message for these recipients, and the rule that says so."""

    recipients: tuple[bytes, ...]
    verdict: Verdict
    action: Choice
    rule: str = ""


def choices(config: Config) -> dict[Verdict, Choice]:
    """Return the table of actions: the declared choice of each class."""
    policy = config.policy
    return {
        Verdict.CLEAN: "accept",
        Verdict.INFECTED: policy.infected,
        Verdict.OVER_LIMIT: policy.over_limit,
        Verdict.SPAM: policy.spam,
        Verdict.NOT_INSPECTED: policy.not_inspected,
    }


def decide(
    report: Report, recipients: Sequence[bytes], config: Config, required: frozenset[str] = REQUIRED
) -> tuple[Disposition, ...]:
    """Return the dispositions; each recipient is in exactly one. Today all recipients share one.

    A report that lacks a required stage is "not inspected", so an empty report never lets a message pass.
    """
    finding = _strongest(report, config, required)
    if finding is None:
        return (Disposition(recipients=tuple(recipients), verdict=Verdict.CLEAN, action="accept"),)
    action = choices(config)[finding.verdict]
    return (
        Disposition(recipients=tuple(recipients), verdict=finding.verdict, action=action, rule=finding.rule),
    )


def _strongest(report: Report, config: Config, required: frozenset[str]) -> Finding | None:
    counted = [finding for finding in report.findings if _counts(finding, config)]
    if missing := sorted(required - {result.stage for result in report.results}):
        counted.append(
            Finding(
                stage=missing[0],
                verdict=Verdict.NOT_INSPECTED,
                rule=f"{missing[0]}.unavailable",
                detail="did not run",
            )
        )
    table = choices(config)
    return min(
        counted,
        key=lambda one: (STRICTNESS.index(table[one.verdict]), PRECEDENCE.index(one.verdict)),
        default=None,
    )


def _counts(finding: Finding, config: Config) -> bool:
    """Whether a finding speaks against the message: a score does so from the reject score on."""
    if finding.verdict is Verdict.CLEAN:
        return False
    return finding.score is None or finding.score >= config.spamd.reject_score
