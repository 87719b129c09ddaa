"""Classes become one outcome for a recipient, outcomes become what one milter answer can say."""

from collections.abc import Sequence
from typing import Final

import msgspec

from filterd.anatomy import Edit, EditAction, HtmlTreatment, RewriteOrder
from filterd.config import Config
from filterd.config.actions import Step
from filterd.disposition import HTML_CHAIN, Attempt, Disposition, Fate, Side
from filterd.findings import Verdict

from .chains import Course

# The strictest first. reject: the sender must learn of it, and nothing is lost. move: a person can still decide.
# discard: declared as worth nothing. tempfail is below them: whoever would refuse, quarantine or drop a message for
# what was found in it gains nothing from seeing it again; but it stands above delivery.
STRICTNESS: Final[tuple[Fate, ...]] = ("reject", "move", "discard", "tempfail", "deliver")

# Of several edits to one part the first of these holds; rename goes beside disarm.
_EDITS: Final[tuple[EditAction, ...]] = ("remove", "warn", "notice", "disarm", "rename")
_REPLACING: Final = frozenset({"remove", "warn", "notice"})
_TREATMENTS: Final = ("allow", "disarm", "strip")


def outcome(courses: Sequence[Course], config: Config) -> Disposition:
    """Return what the courses of all classes make together, for one recipient and nobody else. ``courses`` ≥ 1.

    The strictest end holds, and of equal ones the gravest class's, which is the first.
    """
    named = min(courses, key=lambda course: STRICTNESS.index(course.end))
    made = Disposition(
        recipients=(),
        verdict=named.verdict,
        fate=named.end,
        wanted=named.end,
        rule=named.rule,
        findings=tuple(
            finding for course in courses if course.chain != HTML_CHAIN for finding in course.findings
        ),
    )
    if named.end == "tempfail":
        return made
    made = msgspec.structs.replace(made, sides=_sides(courses))
    if named.end != "deliver":
        return made
    subjects = [course.verdict for course in courses if _has(course, "tag", "subject")]
    return msgspec.structs.replace(
        made,
        order=_order(courses, config),
        tags=tuple(f"{course.verdict} {course.rule}".strip() for course in courses if _has(course, "tag")),
        subject=config.policy.tag_subject.replace("{verdict}", subjects[0]) if subjects else "",
        attempts=tuple(course.attempt for course in courses if course.attempt is not None),
    )


def _has(course: Course, name: str, argument: str | None = None) -> bool:
    return any(one.name == name and (argument is None or argument in one.arguments) for one in course.sides)


def _sides(courses: Sequence[Course]) -> tuple[Side, ...]:
    """Return what is done beside, each thing once, for the gravest class that asks for it."""
    found: dict[tuple[str, str], Side] = {}
    for course in courses:
        for one in course.sides:
            for side in _side(one, course.verdict, course.rule):
                found.setdefault((side.action, side.argument), side)
    return tuple(found.values())


def _side(one: Step, verdict: Verdict, rule: str) -> tuple[Side, ...]:
    match one.name:
        case "copy" | "archive" | "forward" | "notify" as action:
            return tuple(
                Side(action=action, argument=argument, verdict=verdict, rule=rule)
                for argument in one.arguments or ("",)
            )
        case _:
            return ()


def _order(courses: Sequence[Course], config: Config) -> RewriteOrder:
    edits = _merged([edit for course in courses for edit in course.edits])
    stamps = dict.fromkeys(
        one.arguments[0] for course in courses for one in course.sides if one.name == "stamp"
    )
    tried = any(
        action == "disarm" for course in courses if course.chain != HTML_CHAIN for _, action in course.edits
    )
    disarms = any(edit.action == "disarm" for edit in edits)
    return RewriteOrder(
        edits=edits,
        html=treatment(config, attempted=tried) if disarms else HtmlTreatment(),
        stamp="\n".join(config.notify.stamps.get(name, "") for name in stamps).strip("\n"),
    )


def _merged(wanted: Sequence[tuple[str, EditAction]]) -> tuple[Edit, ...]:
    """Return the edits that hold: one content edit a part, and perhaps a rename; none inside of a part that goes."""
    by_part: dict[str, set[EditAction]] = {}
    for part, action in wanted:
        by_part.setdefault(part, set()).add(action)
    gone = {part for part, actions in by_part.items() if actions & _REPLACING}
    edits: list[Edit] = []
    for part in sorted(by_part, key=_place):
        if any(part.startswith(f"{outer}.") for outer in gone):
            continue
        ordered = sorted(by_part[part], key=_EDITS.index)
        kept = ordered[:1] if ordered[0] in _REPLACING else ordered
        edits.extend(Edit(part=part, action=action) for action in kept)
    return tuple(edits)


def _place(part: str) -> tuple[int, ...]:
    """Return a path as numbers, for the order of the message; whatever is no number comes first."""
    return tuple(int(piece) if piece.isdecimal() else 0 for piece in part.split("."))


def treatment(config: Config, *, attempted: bool) -> HtmlTreatment:
    """Return how HTML is treated: as ``[html]`` says, and at least as ``disarm`` does where a chain attempts it."""
    asked, least = config.html, HtmlTreatment()
    values = {
        name: max(getattr(asked, name), getattr(least, name) if attempted else "allow", key=_TREATMENTS.index)
        for name in least.__struct_fields__
    }
    return msgspec.convert(values, HtmlTreatment)


def resolved(wanted: Sequence[Disposition]) -> tuple[Disposition, ...]:
    """Return what one milter answer can say, which is one thing for all recipients.

    - tempfail for anyone is tempfail for all: the sender comes again, nothing is lost;
    - reject for some but not for all is "move" for those: kept with its reason, as the answer to the sender is 250.
    """
    fates = {one.fate for one in wanted}
    if "tempfail" in fates:
        return tuple(_without_deeds(one) for one in wanted)
    if "reject" in fates and len(fates) > 1:
        return tuple(
            msgspec.structs.replace(one, fate="move") if one.fate == "reject" else one for one in wanted
        )
    return tuple(wanted)


def _without_deeds(one: Disposition) -> Disposition:
    """Return a disposition that only waits; the message comes again, and is then decided anew."""
    nothing: tuple[Attempt, ...] = ()
    return msgspec.structs.replace(
        one, fate="tempfail", order=RewriteOrder(), sides=(), tags=(), subject="", attempts=nothing
    )
