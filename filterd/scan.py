"""What `filterd scan` says about a message: every finding, every decision and its reasons, as a record and as text.

What stands in a message may be hostile to a terminal as well: texts are shown with control characters escaped.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct

from . import actions
from .config import Config
from .disposition import Disposition, Fate
from .findings import Finding, Mode, Verdict
from .message import Envelope
from .pipeline import Report
from .policy import STRICTNESS, Explained, counted, direction
from .policy.classes import mode_of
from .policy.groups import Direction

_WIDEST: Final = 60  # characters of one cell of the table
_LISTED: Final = {
    ("reject", "yes"): "refuses the sender",
    ("accept", "yes"): "accepts the sender, whose spam score does not count",
    ("accept", "no"): "would accept the sender, who is not proven and so is treated as everybody else",
    ("accept", "not known"): "would accept the sender if he were proven",
}


class FindingSeen(Struct, frozen=True, kw_only=True):
    """One finding. ``mode`` is the rule's outside of groups; ``counts`` whether it counts for some recipient.

    ``verdict`` is the class that it counts as, or would count as.
    """

    rule: str
    verdict: Verdict
    mode: Mode
    counts: bool
    part: str
    path: str
    name: str
    detail: str
    score: float | None


class StageSeen(Struct, frozen=True, kw_only=True):
    """One stage that looked at the message, and how long it took; content stages work within "parse"."""

    stage: str
    milliseconds: float
    findings: tuple[FindingSeen, ...]


class StepSeen(Struct, frozen=True, kw_only=True):
    """One step that was come to. ``outcome``: "done", "not possible", "failed" or "left out"."""

    step: str
    outcome: str


class ChainSeen(Struct, frozen=True, kw_only=True):
    """The chain of one class. ``group`` is "" where it is that of [policy.chains]; ``rules`` are those that count."""

    chain: str
    group: str
    rules: tuple[str, ...]
    steps: tuple[str, ...]
    tried: tuple[StepSeen, ...]
    ran_out: bool
    end: Fate


class EditSeen(Struct, frozen=True, kw_only=True):
    """One change to one part of a message that is delivered."""

    part: str
    action: str


class SideSeen(Struct, frozen=True, kw_only=True):
    """Something done beside: copy, archive, forward ADDRESS, notify WHO."""

    action: str
    argument: str


class ListSeen(Struct, frozen=True, kw_only=True):
    """An entry of a list that names the sender. ``holds`` "no": he is not proven, and treated as everybody else.

    "not known": no spam score has said yet what proves him.
    """

    name: str
    verdict: Literal["accept", "reject"]
    holds: Literal["yes", "no", "not known"]
    why: str


class DecisionSeen(Struct, frozen=True, kw_only=True):
    """What becomes of the message for some recipients. ``wanted`` differs from ``fate`` where others get it."""

    recipients: tuple[str, ...]
    groups: tuple[str, ...]
    lists: tuple[ListSeen, ...]
    chains: tuple[ChainSeen, ...]
    verdict: Verdict
    rule: str
    wanted: Fate
    fate: Fate
    edits: tuple[EditSeen, ...]
    stamped: bool
    tags: tuple[str, ...]
    subject: str
    sides: tuple[SideSeen, ...]
    kept: bool


class Scanned(Struct, frozen=True, kw_only=True):
    """One message: ``reply`` is what the sender would be told, ``protected`` why its content is not to be altered.

    ``verdict``, ``rule`` and ``action`` are those of the strictest decision, for who wants one word: "accept" where
    everybody gets the message, changed or not, else that decision's fate. ``trouble`` says why a change that was
    wanted could not be tried; the message is then told to come again.
    """

    file: str
    verdict: Verdict
    rule: str
    action: Literal["accept", "reject", "tempfail", "move", "discard"]
    direction: Direction
    protected: str
    stages: tuple[StageSeen, ...]
    decisions: tuple[DecisionSeen, ...]
    reply: str
    trouble: str = ""


def scanned(
    name: str,
    report: Report,
    told: Sequence[Explained],
    envelope: Envelope,
    config: Config,
    *,
    trouble: str = "",
) -> Scanned:
    """Return the record of a message that was examined and decided upon. Pure."""
    by_precision = {
        one.rule: verdict
        for verdict, found in counted(report.findings, (), direction(envelope, config), config).items()
        for one in found
    }
    strictest = min((one.disposition for one in told), key=lambda one: STRICTNESS.index(one.fate))
    action = "tempfail" if trouble else "accept" if strictest.fate == "deliver" else strictest.fate
    effective = {finding.rule for one in told for course in one.courses for finding in course.findings}
    return Scanned(
        # A file's name need not be UTF-8.
        file=name.encode("utf-8", "backslashreplace").decode("utf-8"),
        verdict=strictest.verdict,
        rule=strictest.rule,
        action=action,
        direction=direction(envelope, config),
        protected=report.anatomy.protected,
        stages=tuple(
            StageSeen(
                stage=result.stage,
                milliseconds=result.milliseconds,
                findings=tuple(_finding(one, by_precision, effective, config) for one in result.findings),
            )
            for result in report.results
        ),
        decisions=tuple(_decision(one) for one in told),
        reply=_reply([one.disposition for one in told], trouble),
        trouble=trouble,
    )


def _reply(dispositions: Sequence[Disposition], trouble: str) -> str:
    """Return what the sender would be told, without a queue id."""
    return actions.reply_text(
        actions.not_carried_out(None) if trouble else actions.settling(dispositions, None)
    )


def _finding(one: Finding, classes: dict[str, Verdict], effective: set[str], config: Config) -> FindingSeen:
    scored = one.score is not None and one.rule not in effective
    return FindingSeen(
        rule=one.rule,
        verdict=Verdict.CLEAN if scored else classes.get(one.rule, one.verdict),
        mode=mode_of(one.rule, (), config),
        counts=one.rule in effective,
        part=one.part,
        path=one.path or one.part,
        name=one.name,
        detail=one.detail,
        score=one.score,
    )


def _decision(one: Explained) -> DecisionSeen:
    made = one.disposition
    return DecisionSeen(
        recipients=tuple(who.decode("utf-8", "backslashreplace") for who in one.recipients),
        groups=one.groups,
        lists=tuple(
            ListSeen(name=each.name, verdict=each.verdict, holds=each.holds, why=each.why)
            for each in one.lists
        ),
        chains=tuple(
            ChainSeen(
                chain=course.chain,
                group=course.group,
                rules=tuple(dict.fromkeys(finding.rule for finding in course.findings)),
                steps=course.steps,
                tried=tuple(StepSeen(step=each.step, outcome=each.outcome) for each in course.tried),
                ran_out=course.ran_out,
                end=course.end,
            )
            for course in one.courses
        ),
        verdict=made.verdict,
        rule=made.rule,
        wanted=made.wanted,
        fate=made.fate,
        edits=tuple(EditSeen(part=edit.part, action=edit.action) for edit in made.order.edits),
        stamped=bool(made.order.stamp),
        tags=made.tags,
        subject=made.subject,
        sides=tuple(SideSeen(action=side.action, argument=side.argument) for side in made.sides),
        kept=made.kept,
    )


def as_text(seen: Scanned) -> str:
    """Return the record as lines for a person."""
    protected = f", {seen.protected}: its content is not altered" if seen.protected else ""
    lines = [f"{_safe(seen.file)} ({seen.direction}bound{protected})"]
    for stage in seen.stages:
        nothing = "" if stage.findings else ", nothing found"
        lines.append(f"  {stage.stage}: {stage.milliseconds:g} ms{nothing}")
        lines += [f"    {line}" for line in _table(stage.findings)]
    for decision in seen.decisions:
        lines += [f"  {line}" for line in _decision_lines(decision)]
    if seen.trouble:
        lines.append(f"  a change could not be tried: {_safe(seen.trouble)}")
    return "\n".join([*lines, f"  reply: {seen.reply}"])


def _table(findings: Sequence[FindingSeen]) -> Iterator[str]:
    rows = [
        (
            one.rule,
            one.verdict,
            one.mode if one.counts or one.mode != "on" else "on, does not count",
            one.path,
            _safe(one.name),
            f"{one.score:g} points {_safe(one.detail)}" if one.score is not None else _safe(one.detail),
        )
        for one in findings
    ]
    if not rows:
        return
    head = ("RULE", "CLASS", "MODE", "PART", "NAME", "DETAIL")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _decision_lines(one: DecisionSeen) -> Iterator[str]:
    groups = f" (groups: {', '.join(one.groups)})" if one.groups else ""
    yield f"for {', '.join(map(_safe, one.recipients)) or 'any recipient'}{groups}:"
    for each in one.lists:
        yield f"  [[list]] {each.name} {_LISTED[each.verdict, each.holds]}: {_safe(each.why)}"
    for chain in one.chains:
        where = f"[[group]] {chain.group}" if chain.group else "[policy.chains]"
        source = "[html]" if chain.chain == "html" else f"{where} {chain.chain}"
        yield f"  {source} = {', '.join(chain.steps) or '(no steps)'}" + (
            f", for {', '.join(chain.rules)}" if chain.rules else ""
        )
        yield from (f"    {each.step}: {each.outcome}" for each in chain.tried)
        if chain.ran_out:
            yield f"    the chain runs out: {chain.end}"
    changed = "" if one.wanted == one.fate else f", as others differ; alone: {one.wanted}"
    rule = f" [{one.rule}]" if one.rule else ""
    yield f"  becomes: {one.fate}, {one.verdict}{rule}{changed}"
    for edit in one.edits:
        yield f"    part {edit.part}: {edit.action}"
    yield from (f"    header X-Bastide-Tag: {tag}" for tag in one.tags)
    if one.subject:
        yield f"    Subject begins with {one.subject!r}"
    if one.stamped:
        yield "    stamped"
    yield from (f"    {side.action} {side.argument}".rstrip() for side in one.sides)


def _safe(text: str) -> str:
    """Return a text of a message that is fit for a terminal, cut to one cell."""
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
    return shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"
