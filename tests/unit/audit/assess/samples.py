"""Items, hosts and records for the assessment's tests."""

from collections.abc import Mapping, Sequence

from audit.assess import items, todo
from audit.assess.assessment import Assessment, Scope, assessed
from audit.assess.items import Item, ItemState, Setting, Verdict
from audit.probes.host import Answer
from roles.defence import Defence
from roles.hardening.settings import Level
from roles.kinds import IN_CONTAINER, HostAnswer, Need
from roles.settings import Gateway
from roles.tasks.task import Task
from tests.unit.roles.examples import gateway

GATEWAY = gateway()
MACHINE = Answer(code=1, output="", errors="")
CONTAINER = Answer(code=0, output="", errors="")


def state_of(states: Sequence[Verdict]) -> ItemState:
    """Return what an item is whose settings are in these states."""
    seen = set(states) - {"not seen"}
    if len(seen) > 1:
        return "partly"
    return "yes" if seen == {"yes"} else "no" if seen else "not seen"


def item(
    *states: Verdict,
    id_: str = "mta.one",
    weight: int = 5,
    level: Level = "lax",
    state: ItemState | None = None,
) -> Item:
    """Return an item with settings in these states."""
    return Item(
        id=id_,
        layer=id_.partition(".")[0],
        title="A record for tests",
        why="It is a test.",
        cost="",
        level=level,
        weight=weight,
        state=state or state_of(states),
        settings=tuple(Setting(name=str(n), state=each, wanted="1") for n, each in enumerate(states)),
    )


def asking(*commands: str, needs: Need | None = None) -> tuple[HostAnswer, ...]:
    """Return a setting for each command, held when it answers `yes`."""
    return tuple(
        HostAnswer(subject=each, command=each, matches="yes", refuted_by="no", needs=needs)
        for each in commands
    )


def record(id_: str, *commands: str, level: Level = "lax", weight: int = 5) -> Defence:
    """Return a record whose settings are these commands'."""
    return Defence(
        id=id_,
        title="A record for tests",
        why="It is a test.",
        rows=("A20",),
        sets=asking(*commands),
        unseen="It is a test.",
        level=level,
        weight=weight,
        cost="It takes time.",
    )


def answered(answers: Mapping[str, str], *, contained: bool = False) -> dict[str, Answer]:
    """Return a host's answers to questions, each with exit code 0."""
    given = {question: Answer(code=0, output=text, errors="") for question, text in answers.items()}
    return {IN_CONTAINER: CONTAINER if contained else MACHINE, **given}


def host(
    defences: Sequence[Defence],
    answers: Mapping[str, Answer],
    *,
    tasks: Sequence[Task] = (),
    of: Gateway = GATEWAY,
    level: Level = "paranoid",
) -> Assessment:
    """Return the assessment of a host with these answers; what is not among them it answers with nothing."""
    scope = Scope(defences=tuple(defences), level=level, tasks=tuple(tasks))
    asked = [*items.questions(scope.defences, of, level), *todo.questions(scope.tasks, of)]
    empty = Answer(code=0, output="", errors="")
    return assessed("gw1", of, scope, {**dict.fromkeys(asked, empty), **answers})
