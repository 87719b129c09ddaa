"""The decision: a report and an envelope become final dispositions, each recipient in exactly one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from filterd.anatomy import Anatomy
from filterd.config import Config, Group, ListEntry
from filterd.config.actions import Step
from filterd.disposition import HTML_CHAIN, Attempt, Disposition
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from filterd.stages import ORDER
from filterd.stages.lists import REFUSED
from filterd.stages.lists import STAGE as LISTS
from filterd.stages.spam import SCORE

from .chains import HTML_STEPS, Course, chain_of, walk, worst
from .classes import PRECEDENCE, counted
from .fates import STRICTNESS, outcome, resolved
from .groups import direction, is_null_sender, meaning, meeting
from .lists import Listed, accepts, in_force, listed, refusals, sender_of, unproven

REQUIRED: Final = frozenset(stage.id for stage in ORDER)
# Classes of which the sender is never told: the address is as a rule forged, and a notice hits a stranger.
NEVER_TOLD: Final = frozenset({Verdict.INFECTED, Verdict.SUSPICIOUS, Verdict.BANNED})

# Which setting of [html] a rule belongs to; a rule that is not here is met by any of them.
_HTML_SETTINGS: Final = {
    "html.form": "forms",
    "html.iframe": "iframes",
    "html.data-document": "iframes",
    "html.object": "objects",
    "html.webbug": "webbugs",
    "html.remote-content": "webbugs",
    "html.script": "scripts",
    "html.event-handler": "scripts",
    "html.script-url": "scripts",
    "html.css-expression": "scripts",
    "html.meta-refresh": "scripts",
    "html.base-href": "scripts",
    "html.script-long": "scripts",
    "html.builds-file": "scripts",
    "html.smuggling": "scripts",
}


class Result(Protocol):
    """What the policy needs of the result of a stage: that there is one."""

    @property
    def stage(self) -> str:
        """Return the stage's id."""


class Report(Protocol):
    """What the policy needs of a report (pipeline.Report)."""

    @property
    def results(self) -> Sequence[Result]:
        """Return the results of the stages that ran."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Return all findings, those of rules in warn mode too."""

    @property
    def anatomy(self) -> Anatomy | None:
        """Return what the message consists of; None if it was not taken apart."""


class _SoFar(Struct, frozen=True, kw_only=True):
    """A report of which only findings are known."""

    findings: tuple[Finding, ...]
    results: tuple[Result, ...] = ()
    anatomy: Anatomy | None = None


class Explained(Struct, frozen=True, kw_only=True):
    """Why recipients meet their fate: the groups and lists that mean them, and the course of each class's chain."""

    recipients: tuple[bytes, ...]
    groups: tuple[str, ...]
    lists: tuple[Listed, ...]
    courses: tuple[Course, ...]
    disposition: Disposition


class _Case(Struct, frozen=True, kw_only=True):
    """All that is the same for every recipient."""

    report: Report
    envelope: Envelope
    config: Config
    now: datetime
    failed: frozenset[Attempt]
    required: frozenset[str]
    entries: Sequence[ListEntry]


class _Weighed(Struct, frozen=True, kw_only=True):
    """What is decided for one recipient, which others may share."""

    groups: tuple[str, ...]
    lists: tuple[Listed, ...]
    courses: tuple[Course, ...]
    disposition: Disposition


def decide(
    report: Report,
    envelope: Envelope,
    config: Config,
    *,
    now: datetime,
    failed: frozenset[Attempt] = frozenset(),
    required: frozenset[str] = REQUIRED,
    entries: Sequence[ListEntry] | None = None,
) -> tuple[Disposition, ...]:
    """Return the final dispositions; recipients with equal outcomes share one. Pure.

    ``now`` is the gateway's local time. ``failed`` are attempts that were tried and did not make the message fit:
    their chains go on. A report that lacks a required stage is "not inspected", so an empty one never lets a message
    pass. ``entries`` are the lists of senders, if they are not those of ``config``. An envelope without recipients
    gets one disposition without recipients.
    """
    case = _case(report, envelope, config, now, entries, failed=failed, required=required)
    found: dict[Disposition, list[bytes]] = {}
    for recipient, one in zip(_recipients(envelope), _weighed(case), strict=True):
        found.setdefault(one.disposition, []).extend([] if recipient is None else [recipient])
    return tuple(msgspec.structs.replace(one, recipients=tuple(who)) for one, who in found.items())


def explain(
    report: Report,
    envelope: Envelope,
    config: Config,
    *,
    now: datetime,
    failed: frozenset[Attempt] = frozenset(),
    required: frozenset[str] = REQUIRED,
    entries: Sequence[ListEntry] | None = None,
) -> tuple[Explained, ...]:
    """Return what decide() returns, with the reasons; recipients with the same reasons share one."""
    case = _case(report, envelope, config, now, entries, failed=failed, required=required)
    found: dict[_Weighed, list[bytes]] = {}
    for recipient, one in zip(_recipients(envelope), _weighed(case), strict=True):
        found.setdefault(one, []).extend([] if recipient is None else [recipient])
    return tuple(
        Explained(
            recipients=tuple(who),
            groups=one.groups,
            lists=one.lists,
            courses=one.courses,
            disposition=msgspec.structs.replace(one.disposition, recipients=tuple(who)),
        )
        for one, who in found.items()
    )


def _case(
    report: Report,
    envelope: Envelope,
    config: Config,
    now: datetime,
    entries: Sequence[ListEntry] | None,
    *,
    failed: frozenset[Attempt] = frozenset(),
    required: frozenset[str] = frozenset(),
) -> _Case:
    return _Case(
        report=report,
        envelope=envelope,
        config=config,
        now=now,
        failed=failed,
        required=required,
        entries=in_force(config.list if entries is None else entries, envelope, now),
    )


def _recipients(envelope: Envelope) -> Sequence[bytes | None]:
    """Return the recipients; a message without any is decided as for an unknown one."""
    return envelope.recipients or (None,)


def settled(
    findings: Sequence[Finding],
    envelope: Envelope,
    config: Config,
    now: datetime,
    *,
    scanned: bool = True,
    author: str = "",
    entries: Sequence[ListEntry] | None = None,
) -> bool:
    """Whether no later stage needs to be asked: nobody gets the message, whatever would still be found. Pure.

    Until the virus engine has been asked (``scanned``) only a message over its limits, or from one whom a list refuses,
    is settled: asking may then cost more than the answer is worth. Of all others the name of the malware is wanted, also
    where they are refused already. A move or discard waits for a possible reject. ``author`` is Anatomy.author.
    """
    case = _case(
        _SoFar(findings=tuple(findings), anatomy=Anatomy(author=author)), envelope, config, now, entries
    )
    if not case.entries and not scanned and not any(map(_bounds_cost, findings)):
        return False  # before the engines this is asked of nearly every message, and needs no policy weighed
    if not (case.entries or findings or config.group or config.policy.chains.clean):
        return False  # nor does a message against which there is nothing, where nothing is done to such
    wanted = _wanted(case)
    if not scanned and not all(_is_cheap(one.disposition) for _, one in wanted):
        return False
    if any(one.disposition.fate == "tempfail" for _, one in wanted):
        return True
    return all(_is_final(groups, one.disposition, config) for groups, one in wanted)


def _is_cheap(one: Disposition) -> bool:
    return any(map(_bounds_cost, one.findings))


def _bounds_cost(finding: Finding) -> bool:
    return finding.verdict is Verdict.OVER_LIMIT or finding.rule == REFUSED.id


def _is_final(groups: tuple[Group, ...], one: Disposition, config: Config) -> bool:
    if one.fate == "deliver":
        return False
    if one.fate == "reject" or one.verdict is Verdict.OVER_LIMIT:
        return True
    ends = {worst(verdict, chain_of(verdict, groups, config)[2]) for verdict in PRECEDENCE}
    return min(map(STRICTNESS.index, ends)) >= STRICTNESS.index(one.fate)


def _weighed(case: _Case) -> list[_Weighed]:
    """Return what is finally decided for each recipient; the dispositions' recipients are empty."""
    wanted = [one for _, one in _wanted(case)]
    final = resolved([one.disposition for one in wanted])
    return [msgspec.structs.replace(one, disposition=made) for one, made in zip(wanted, final, strict=True)]


def _wanted(case: _Case) -> list[tuple[tuple[Group, ...], _Weighed]]:
    """Return groups and own outcome for each recipient; recipients of the same groups and lists are decided once."""
    known: dict[tuple[tuple[int, ...], tuple[Listed, ...]], _Weighed] = {}
    result = []
    candidates = meeting(case.envelope, case.config, case.now)
    author = case.report.anatomy.author if case.report.anatomy is not None else ""
    sender = sender_of(case.envelope, author, case.report.findings, case.config)
    forged = unproven(sender, case.config.policy.own_domains)
    for recipient in case.envelope.recipients or [b""]:
        groups = meaning(recipient, candidates)
        lists = listed(case.entries, sender, recipient)
        key = tuple(map(id, groups)), lists
        if key not in known:
            courses = _courses(groups, lists, forged, case)
            known[key] = _Weighed(
                groups=tuple(group.name for group in groups),
                lists=lists,
                courses=courses,
                disposition=outcome(courses, case.config),
            )
        result.append((groups, known[key]))
    return result


def _of_lists(findings: Sequence[Finding], lists: tuple[Listed, ...]) -> tuple[Finding, ...]:
    """Return the findings that are this recipient's: refusals by his lists, and no score where they accept the sender."""
    accepted = accepts(lists)
    others = (one for one in findings if one.stage != LISTS.id and not (accepted and one.rule == SCORE.id))
    return (*others, *refusals(lists))


def _courses(
    groups: tuple[Group, ...], lists: tuple[Listed, ...], forged: tuple[Finding, ...], case: _Case
) -> tuple[Course, ...]:
    """Return the courses for recipients of these groups and lists, the gravest class first; at least one."""
    way = direction(case.envelope, case.config)
    classes = counted((*_of_lists(case.report.findings, lists), *forged), groups, way, case.config)
    courses = _walked(classes, groups, case)
    missing = sorted(case.required - {result.stage for result in case.report.results})
    # A stage that was not asked matters only to those who would get the message.
    if missing and all(course.end == "deliver" for course in courses):
        lacking = Finding(
            stage=missing[0],
            verdict=Verdict.NOT_INSPECTED,
            rule=f"{missing[0]}.unavailable",
            detail="did not run",
        )
        classes[Verdict.NOT_INSPECTED] = (*classes.get(Verdict.NOT_INSPECTED, ()), lacking)
        courses = _walked(classes, groups, case)
    return courses


def _walked(
    classes: Mapping[Verdict, tuple[Finding, ...]], groups: tuple[Group, ...], case: _Case
) -> tuple[Course, ...]:
    """Return the course of each class that counts, or of "clean", and of what [html] asks for."""
    fit = partial(_fitting_side, case=case, classes=frozenset(classes))
    courses = [
        walk(chain_of(verdict, groups, case.config), verdict, classes[verdict], case.failed, fit)
        for verdict in PRECEDENCE
        if verdict in classes
    ]
    if not courses:
        chain = chain_of(Verdict.CLEAN, groups, case.config)
        courses = [walk(chain, Verdict.CLEAN, (), case.failed, fit)]
    if found := _active_content(case):
        courses.append(walk((HTML_CHAIN, "", HTML_STEPS), Verdict.SUSPICIOUS, found, case.failed))
    return tuple(courses)


def _fitting_side(side: Step, *, case: _Case, classes: frozenset[Verdict]) -> Step | None:
    """Return what of a side step this message may get, or None."""
    if side.name == "stamp" and _protected(case.report):
        return None
    if side.name != "notify" or "sender" not in side.arguments:
        return side
    infected = any(finding.verdict is Verdict.INFECTED for finding in case.report.findings)
    if not (is_null_sender(case.envelope) or infected or classes & NEVER_TOLD):
        return side
    others = tuple(who for who in side.arguments if who != "sender")
    return msgspec.structs.replace(side, arguments=others) if others else None


def _protected(report: Report) -> str:
    return report.anatomy.protected if report.anatomy is not None else ""


def _active_content(case: _Case) -> tuple[Finding, ...]:
    """Return the findings, of whatever mode, that [html] wants treated; none in mail that must not be altered."""
    html = case.config.html
    treated = {name for name in html.__struct_fields__ if getattr(html, name) != "allow"}
    if not treated or _protected(case.report):
        return ()
    return tuple(
        finding
        for finding in case.report.findings
        if finding.rule.startswith("html.")
        and finding.verdict is Verdict.SUSPICIOUS
        and finding.part
        and "!" not in finding.path
        and _HTML_SETTINGS.get(finding.rule, next(iter(treated))) in treated
    )
