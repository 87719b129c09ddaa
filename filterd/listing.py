"""What `filterd stages` prints: every stage and rule, drawn from the code, with the mode in force."""

from collections.abc import Sequence

from msgspec import Struct

from .config import Config
from .findings import Mode, Rule, Verdict
from .policy.classes import mode_of
from .stages import ORDER


class RuleListed(Struct, frozen=True, kw_only=True):
    """One rule. ``mode`` is the one in force outside of groups."""

    rule: str
    verdict: Verdict
    mode: Mode
    title: str


class StageListed(Struct, frozen=True, kw_only=True):
    """One stage and what it may report."""

    stage: str
    title: str
    why: str
    rules: tuple[RuleListed, ...]


def stages(config: Config) -> tuple[StageListed, ...]:
    """Return all stages in the order in which they run, the operator's own content rules among them."""
    own = tuple(
        Rule(
            id=f"content.{one.name}",
            verdict=Verdict(one.verdict),
            title=_content_title(one.where, one.pattern),
        )
        for one in config.content
    )
    return tuple(
        StageListed(
            stage=stage.id,
            title=stage.title,
            why=stage.why,
            rules=tuple(
                RuleListed(
                    rule=rule.id, verdict=rule.verdict, mode=mode_of(rule.id, (), config), title=rule.title
                )
                for rule in (*stage.rules, *(own if stage.id == "content" else ()))
            ),
        )
        for stage in ORDER
    )


def _content_title(where: Sequence[str], pattern: str) -> str:
    return f"{', '.join(where)}: {pattern}"


def as_text(listed: Sequence[StageListed]) -> str:
    """Return the list as lines for a person."""
    rows = [row for stage in listed for row in stage.rules]
    rule = max((len(row.rule) for row in rows), default=0)
    verdict = max((len(row.verdict) for row in rows), default=0)
    lines = []
    for stage in listed:
        lines.append(f"{stage.stage}: {stage.title}")
        lines += [
            f"  {row.rule.ljust(rule)}  {row.verdict.ljust(verdict)}  {row.mode.ljust(4)}  {row.title}"
            for row in stage.rules
        ]
    return "\n".join(lines)
