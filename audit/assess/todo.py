"""The TODO list: which of the administrator's tasks are done, open, or his to tell."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from audit import evidence
from audit.judging import judged
from audit.probes.host import Answer
from publish.live import Finding
from roles.kinds import resolved
from roles.settings import Gateway
from roles.tasks.task import Published, Task

TodoState = Literal["done", "open", "ask yourself"]


class Todo(Struct, frozen=True, kw_only=True):
    """One task of one host; ``seen`` says what tells its state, ``defence`` which defence stands once it is done."""

    id: str
    title: str
    why: str
    how: str
    state: TodoState
    seen: str = ""
    defence: str = ""


def questions(tasks: Iterable[Task], gateway: Gateway) -> list[str]:
    """Return what is to be asked of the host."""
    asked = [task.asks.question(gateway) for task in tasks if task.asks is not None and task.stands(gateway)]
    return list(dict.fromkeys(asked))


def todos(
    tasks: Iterable[Task],
    gateway: Gateway,
    answers: Mapping[str, Answer],
    findings: Sequence[Finding],
    *,
    contained: bool,
) -> tuple[Todo, ...]:
    """Return this gateway's tasks; ``findings`` are what `python -m publish` found of its records, if it was asked."""
    found = []
    for task in tasks:
        if not task.stands(gateway):
            continue
        state, seen = _told(task, gateway, answers, findings, contained=contained)
        found.append(
            Todo(
                id=task.id,
                title=task.title,
                why=task.why,
                how=resolved(task.how, gateway),
                state=state,
                seen=seen,
                defence=task.defence,
            )
        )
    return tuple(found)


def _told(
    task: Task,
    gateway: Gateway,
    answers: Mapping[str, Answer],
    findings: Sequence[Finding],
    *,
    contained: bool,
) -> tuple[TodoState, str]:
    """Return a task's state and what tells it: open if anybody who was asked says so, done if all say that."""
    told: list[tuple[TodoState, str]] = []
    if task.settled is not None:
        told.append(("done", "") if task.settled(gateway) else ("open", "the settings say so"))
    if task.asks is not None:
        seen = judged(task.asks, answers[task.asks.question(gateway)], gateway, contained=contained)
        states: Mapping[str, TodoState] = {"held": "done", "broken": "open"}
        told.append((states.get(seen.state, "ask yourself"), seen.why or seen.seen))
    if task.publishes:
        told.append(_published(task.publishes, findings))
    order: Sequence[TodoState] = ("open", "ask yourself", "done")
    said = {which for which, _ in told}
    for state in order:
        if state in said:
            return state, "; ".join(seen for which, seen in told if which == state and seen)
    return "ask yourself", ""


def _published(wanted: Sequence[Published], findings: Sequence[Finding]) -> tuple[TodoState, str]:
    """Return what was found of some records, each a type and the beginning of its data."""
    found = [
        each
        for each in findings
        if any(each.type == kind and each.wanted.startswith(begins) for kind, begins in wanted)
    ]
    if not found:
        return "ask yourself", "DNS was not asked: --resolver does, and `python -m publish --check`"
    wrong = [each for each in found if each.state in ("missing", "wrong")]
    if wrong:
        first = f"{wrong[0].owner} {wrong[0].type} is {wrong[0].state}"
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return "open", evidence.line(first + more)
    if any(each.state == "not asked" for each in found):
        return "ask yourself", "the resolver gave no answer"
    return "done", ""
