"""What the text and the HTML page say alike: scores, levels and states in words."""

from audit.assess.assessment import Assessment
from audit.assess.items import Item
from audit.assess.score import LevelMatch, Score

OUTSIDE = (
    "Assessed is what the host answers of itself; nothing on it was changed, no mail was sent and no port was tried. What an "
    "outsider sees is the audit's to look at: `python -m audit`."
)


def percent(value: float | None) -> str:
    """Return a score as text; a dash where nothing was seen."""
    return "-" if value is None else f"{value:g}"


def weight(value: float) -> str:
    """Return a weight as text, with a decimal where it has one."""
    return f"{value:.1f}".removesuffix(".0")


def scored(score: Score) -> str:
    """Return a score in words: over what was seen, and what the rest could make of it."""
    if score.percent is None:
        return f"nothing seen (weight {weight(score.weight)})" if score.weight else "nothing to have"
    said = f"{percent(score.percent)} of 100 (weight {weight(score.held)} of {weight(score.seen)} seen"
    if score.unseen <= 0:
        return f"{said})"
    bounds = f"the score of all is from {percent(score.at_least)} to {percent(score.at_most)}"
    return f"{said}; {weight(score.unseen)} more not seen, with it {bounds})"


def matches(assessment: Assessment) -> str:
    """Return in a sentence which level the host matches."""
    limit = " by what a container shows" if assessment.contained else ""
    if assessment.matches is None:
        return f"The host matches no level{limit}."
    return f"The host matches the level {assessment.matches}{limit}."


def level_state(match: LevelMatch) -> str:
    """Return how the host stands to one level."""
    if match.lacking:
        return f"lacks {len(match.lacking)}"
    if not match.told:
        return "cannot be told: too little of what it adds was seen"
    return "holds"


def item_state(item: Item) -> str:
    """Return an item's state, with the number of its settings where that says more."""
    seen, unseen = item.seen, item.count("not seen")
    said = f"partly: {item.count('yes')} of {seen} settings" if item.state == "partly" else item.state
    return f"{said}, {unseen} not seen" if unseen and seen else said


def benefit(item: Item) -> str:
    """Return what a defence is good for and what it costs."""
    return f"{item.why} Costs: {item.cost or 'nothing that an administrator would notice.'}"
