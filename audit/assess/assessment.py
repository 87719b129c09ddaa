"""One host, assessed: what is asked of it, and what comes of the answers. Asking is the shell's, all else is pure."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from audit.assess import items, todo
from audit.assess.items import Item
from audit.assess.score import LevelMatch, Score, by_layer, levels, matched, score
from audit.assess.todo import Todo
from audit.errors import AuditError
from audit.probes.host import Answer, Shell
from audit.target import Target
from publish.live import Finding
from roles.defence import Defence
from roles.hardening.settings import LEVELS, Level
from roles.kinds import IN_CONTAINER
from roles.settings import Gateway, Mta
from roles.tasks.task import Task

_WHO = "id -u"


class Assessment(Struct, frozen=True, kw_only=True):
    """What one host is like.

    ``declared`` is the level of its inventory, ``level`` the one up to which it was assessed, ``matches`` the highest one
    that it matches (None: none). ``todo`` are the administrator's tasks.
    """

    host: str
    hostname: str
    mta: Mta
    contained: bool
    declared: Level
    level: Level
    matches: Level | None
    score: Score
    layers: dict[str, Score]
    levels: tuple[LevelMatch, ...]
    items: tuple[Item, ...]
    todo: tuple[Todo, ...]


class Scope(Struct, frozen=True, kw_only=True):
    """What is asked: the defences, the level up to which, and the tasks."""

    defences: tuple[Defence, ...]
    level: Level
    tasks: tuple[Task, ...]


def asked(target: Target, scope: Scope) -> dict[str, Answer]:
    """Return the host's answers to all that the scope asks; nothing on the host is changed by that.

    Raises AuditError when the host cannot be reached, or when the login is not root there: to half of the questions
    anybody else gets another answer.
    """
    gateway = target.gateway
    answers = Shell(target).ask(
        [
            _WHO,
            IN_CONTAINER,
            *items.questions(scope.defences, gateway, scope.level),
            *todo.questions(scope.tasks, gateway),
        ]
    )
    if answers[_WHO].output.strip() != "0":
        raise AuditError(f"{target.name}: cannot ask the host as root: the login is another; set `_sudo`")
    return answers


def assessed(
    name: str,
    gateway: Gateway,
    scope: Scope,
    answers: Mapping[str, Answer],
    findings: Sequence[Finding] = (),
) -> Assessment:
    """Return what a host's answers say of it; ``findings``: of the records that it is to have, if DNS was asked."""
    contained = answers[IN_CONTAINER].code == 0
    found = {
        level: items.items(scope.defences, gateway, level, answers, contained=contained)
        for level in LEVELS[: LEVELS.index(scope.level) + 1]
    }
    near = levels(found)
    every = found[scope.level]
    return Assessment(
        host=name,
        hostname=gateway.hostname,
        mta=gateway.mta,
        contained=contained,
        declared=gateway.hardening_level,
        level=scope.level,
        matches=matched(near),
        score=score(every),
        layers=by_layer(every),
        levels=near,
        items=every,
        todo=todo.todos(scope.tasks, gateway, answers, findings, contained=contained),
    )
