"""The assessment as text: a line for each defence, below it what is wrong, then the score, the levels and the TODO list."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from audit.assess.assessment import Assessment
from audit.assess.items import Item
from audit.assess.report import words
from audit.assess.score import FORMULA
from audit.assess.todo import Todo

# More settings of one defence that answer the same share a line; the other reports say what was wanted of each.
TOGETHER = 2
_STYLES = {
    "yes": "green",
    "done": "green",
    "no": "bold red",
    "open": "bold red",
    "partly": "bold yellow",
    "not seen": "cyan",
    "ask yourself": "cyan",
}


class Line(NamedTuple):
    """A line: its text, and the state that its first word is, by which a terminal colours it."""

    text: str
    state: str = ""


def lines(assessment: Assessment) -> Iterator[Line]:
    """Give the lines of one host's report."""
    yield from _head(assessment)
    for layer, group in groupby(assessment.items, key=lambda item: item.layer):
        yield Line(f"\n{layer}: {words.scored(assessment.layers[layer])}")
        rows = list(group)
        width = max(len(item.id) for item in rows)
        for item in rows:
            yield from _item(item, width)
    yield Line("\nscore")
    yield Line(f"  {words.scored(assessment.score)}")
    yield Line(f"  {FORMULA}")
    yield from _levels(assessment)
    yield Line("")
    yield from todo(assessment)


def todo(assessment: Assessment) -> Iterator[Line]:
    """Give the lines of the TODO list alone."""
    still = [each for each in assessment.todo if each.state != "done"]
    yield Line(f"TODO of {assessment.host}: {len(still)} of {len(assessment.todo)} for the administrator")
    for each in assessment.todo:
        yield from _todo(each)


def printed(rows: Iterator[Line], console: Console) -> None:
    """Print lines, coloured on a terminal, as they are elsewhere."""
    for row in rows:
        if not console.is_terminal or row.state not in _STYLES:
            console.out(row.text, highlight=False)
            continue
        # What a host said is text, never markup.
        text = Text(row.text)
        at = row.text.index(row.state)
        text.stylize(_STYLES[row.state], at, at + len(row.state))
        console.print(text, soft_wrap=True)


def _head(assessment: Assessment) -> Iterator[Line]:
    kind = "a container" if assessment.contained else "a machine"
    yield Line(
        f"{assessment.host} ({assessment.hostname}, {assessment.mta}, {kind}; declared level {assessment.declared}), "
        f"assessed up to {assessment.level}"
    )
    yield Line(words.OUTSIDE)


def _item(item: Item, width: int) -> Iterator[Line]:
    state = words.item_state(item)
    yield Line(
        f"  {item.state:<14}  {item.weight:>2}  {item.level:<8}  {item.id:<{width}}  {item.title}", item.state
    )
    if item.state in ("no", "partly"):
        yield Line(f"      {state}. {words.benefit(item)}")
        yield from (Line(f"      - {said}") for said in _wrong(item))
    elif item.reason and item.state != "not declared":
        yield Line(f"      {item.reason}")


def _wrong(item: Item) -> Iterator[str]:
    """Give what each setting that does not hold is; those that one cause explains, a missing program say, together."""
    wrong = [each for each in item.settings if each.state == "no"]
    for seen in dict.fromkeys(each.seen for each in wrong):
        same = [each for each in wrong if each.seen == seen]
        if len(same) > TOGETHER:
            yield f"{', '.join(each.name for each in same)}: seen: {seen}"
        else:
            yield from (f"{each.name}: wanted: {each.wanted}; seen: {each.seen}" for each in same)


def _levels(assessment: Assessment) -> Iterator[Line]:
    yield Line("\nlevels")
    for match in assessment.levels:
        yield Line(f"  {match.level:<8}  {words.level_state(match)}; {words.scored(match.score)}")
        yield Line(f"      adds: {words.scored(match.adds)}")
        if match.lacking:
            yield Line(f"      lacks: {', '.join(match.lacking)}")
    yield Line(f"  {words.matches(assessment)}")


def _todo(each: Todo) -> Iterator[Line]:
    yield Line(f"  {each.state:<12}  {each.id}  {each.title}", each.state)
    if each.state == "done":
        return
    if each.seen:
        yield Line(f"      seen: {each.seen}")
    then = f" Then {each.defence} holds." if each.defence else ""
    yield Line(f"      {each.why} {each.how}{then}")
