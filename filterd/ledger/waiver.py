"""What stands against letting a kept message out: whatever is found in it today but what it was kept for. Pure.

The attack it stops: malware that no signature knew when its message was kept, and that a person lets out as spam.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from filterd import policy
from filterd.carry.recorded import text
from filterd.config import Config, ListEntry, MilterSettings
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from filterd.pipeline import Report
from filterd.policy.decide import REQUIRED
from filterd.stages import CONTENT, lists, virus

_MAX_DETAIL: Final = 300  # characters of a detail that the ledger has
_NO_BOUND: Final = 1 << 30
# Whoever is told "tempfail" or "nobody looked" may try again later; a release that is refused stays refused.
_LATER: Final = frozenset({"tempfail"})


class Recorded(Struct, frozen=True, kw_only=True):
    """One finding for which a message was kept."""

    stage: str
    rule: str
    verdict: str
    detail: str = ""


class Waiver(Struct, frozen=True, kw_only=True):
    """What does not count this time: the rules for which it was kept, and of the virus engines' findings the very same.

    ``infected``: an administrator lets out what a virus engine convicts, or could not look at.
    """

    rules: frozenset[str]
    signatures: frozenset[tuple[str, str]] = frozenset()
    infected: bool = False

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is one of those for which the message was kept."""
        if finding.stage != virus.STAGE.id:
            return finding.rule in self.rules
        if finding.verdict in {Verdict.INFECTED, Verdict.NOT_INSPECTED} and not self.infected:
            return False
        if finding.verdict is Verdict.NOT_INSPECTED:
            return finding.rule in self.rules
        return (finding.rule, text(finding.detail, _MAX_DETAIL)) in self.signatures

    def bounds(self, settings: MilterSettings) -> MilterSettings:
        """Return the limits for another look: none on headers, where the message was kept for its headers."""
        if "limit.header" not in self.rules:
            return settings
        return msgspec.structs.replace(settings, max_header_bytes=_NO_BOUND, max_all_headers_bytes=_NO_BOUND)


class Objection(Struct, frozen=True, kw_only=True):
    """Why a message is not let out. ``later``: an engine could not look, so it may be another time."""

    why: str
    later: bool = False


def waiver(rule: str, findings: Iterable[Recorded], *, infected: bool) -> Waiver:
    """Return what is waived for an entry that was kept for ``rule`` and these findings that counted."""
    found = tuple(findings)
    return Waiver(
        rules=frozenset({rule, *(one.rule for one in found)} - {""}),
        signatures=frozenset((one.rule, one.detail) for one in found if one.stage == virus.STAGE.id),
        infected=infected,
    )


def classes(verdict: str, findings: Iterable[Recorded]) -> frozenset[str]:
    """Return the classes that a release of an entry waives."""
    return frozenset({verdict, *(one.verdict for one in findings)})


def objections(
    report: Report,
    envelope: Envelope,
    config: Config,
    waived: Waiver,
    now: datetime,
    *,
    listed: Sequence[ListEntry],
) -> tuple[Objection, ...]:
    """Return what stands against a release of a message that was examined by every stage; () for nothing.

    What is left when the waived findings are gone goes through the policy of exactly these recipients: whatever it does
    but deliver the message as it is, stands against it. ``listed`` are the lists in force: those of the configuration
    and of the ledger.
    """
    left = _without(report, waived)
    found = list(_of_engines(left))
    required = REQUIRED
    if "parse.unavailable" in waived.rules:
        required -= {stage.id for stage in CONTENT}
    # The policy asks the lists itself: an entry that refuses is waived by its absence.
    waives_lists = lists.REFUSED.id in waived.rules
    entries = tuple(one for one in listed if not (waives_lists and one.verdict == "reject"))
    if not found:
        for one in policy.decide(left, envelope, config, now=now, required=required, entries=entries):
            if one.fate == "deliver" and not one.rewritten:
                continue
            done = "changed" if one.fate == "deliver" else one.fate
            who = ", ".join(who.decode("utf-8", "backslashreplace") for who in one.recipients)
            rules = ", ".join(dict.fromkeys(f"{each.rule} {each.detail}".strip() for each in one.findings))
            found.append(
                Objection(
                    why=f"it would be {_DONE.get(done, done)} for {who}: {one.verdict} [{rules or one.rule}]",
                    later=one.fate in _LATER,
                )
            )
    return tuple(found)


_DONE: Final = {
    "reject": "refused", "tempfail": "deferred", "move": "quarantined", "discard": "discarded", "changed": "changed",
}  # fmt: skip


def _without(report: Report, waived: Waiver) -> Report:
    return msgspec.structs.replace(
        report,
        results=tuple(
            msgspec.structs.replace(
                result, findings=tuple(one for one in result.findings if not waived.covers(one))
            )
            for result in report.results
        ),
    )


def _of_engines(left: Report) -> Iterator[Objection]:
    """Yield what no chain of the policy can overrule here."""
    for one in left.findings:
        if one.verdict is Verdict.INFECTED:
            yield Objection(why=f"{one.rule}: {one.detail}".removesuffix(": "))
        elif one.stage == virus.STAGE.id and one.verdict is Verdict.NOT_INSPECTED:
            yield Objection(why=f"no virus engine has looked at it: {one.detail}", later=True)
    if not any(result.stage == virus.STAGE.id for result in left.results):
        why = next((one.detail or one.rule for one in left.findings), "it was not asked")
        late = any(one.verdict is Verdict.NOT_INSPECTED for one in left.findings)
        yield Objection(why=f"no virus engine has looked at it: {why}", later=late)
