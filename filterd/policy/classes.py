"""Which findings count, and for which class: modes of rules, directions, and what a spam score means."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from filterd.config import Config, ContentRule, Group
from filterd.config.policy import Precision
from filterd.findings import Finding, Mode, Rule, Verdict
from filterd.stages import ORDER

from .groups import Direction

# The gravest first: of several classes with the same end, the one that is named.
PRECEDENCE: Final = (
    Verdict.INFECTED,
    Verdict.SUSPICIOUS,
    Verdict.BANNED,
    Verdict.MALFORMED,
    Verdict.OVER_LIMIT,
    Verdict.ENCRYPTED,
    Verdict.NOT_INSPECTED,
    Verdict.SPAM,
    Verdict.BURST,
    Verdict.BULK,
)

# SpamAssassin points from which a message is bulk, and from which it is spam. Each level's are below those of the
# level before, so what one level calls spam (or bulk) the next one does too.
PRECISION: Final[Mapping[Precision, tuple[float, float]]] = {
    "low": (8.0, 15.0),
    "medium": (5.0, 10.0),
    "high": (4.0, 7.0),
    "very_high": (3.0, 5.0),
}

RULES: Final[Mapping[str, Rule]] = {rule.id: rule for stage in ORDER for rule in stage.rules}


def mode_of(rule: str, groups: Sequence[Group], config: Config) -> Mode:
    """Return a rule's mode: of the first group that names it, of ``[rules]``, of its content rule, or its own."""
    for group in groups:
        if rule in group.rules:
            return group.rules[rule]
    if rule in config.rules:
        return config.rules[rule]
    if (content := _content_rule(rule, config)) is not None:
        return content.mode
    return RULES[rule].mode if rule in RULES else "on"


def counted(
    findings: Iterable[Finding], groups: Sequence[Group], way: Direction, config: Config
) -> dict[Verdict, tuple[Finding, ...]]:
    """Return the findings that count for a recipient in these groups, by class, the gravest class first."""
    found: dict[Verdict, list[Finding]] = {}
    for finding in findings:
        one = _graded(finding, config.policy.precision)
        if one.verdict is not Verdict.CLEAN and _counts(one, groups, way, config):
            found.setdefault(one.verdict, []).append(one)
    return {verdict: tuple(found[verdict]) for verdict in PRECEDENCE if verdict in found}


def _counts(finding: Finding, groups: Sequence[Group], way: Direction, config: Config) -> bool:
    if finding.verdict is Verdict.NOT_INSPECTED:
        return True  # no mode can make "nobody looked" into "clean"; a chain can say `ignore`
    content = _content_rule(finding.rule, config)
    if content is not None and content.direction not in {"any", way}:
        return False
    return mode_of(finding.rule, groups, config) == "on"


def _content_rule(rule: str, config: Config) -> ContentRule | None:
    stage, _, name = rule.partition(".")
    if stage != "content":
        return None
    return next((one for one in config.content if one.name == name), None)


def _graded(finding: Finding, precision: Precision) -> Finding:
    """Return a finding with a score as spam, bulk or clean; any other as it is."""
    if finding.score is None or finding.verdict not in {Verdict.SPAM, Verdict.BULK}:
        return finding
    bulk, spam = PRECISION[precision]
    if finding.score >= spam:
        verdict = Verdict.SPAM
    elif finding.score >= bulk:
        verdict = Verdict.BULK
    else:
        verdict = Verdict.CLEAN
    return finding if verdict is finding.verdict else msgspec.structs.replace(finding, verdict=verdict)
