"""Items: each defence as a host has it, out of the host's answers. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from audit import evidence
from audit.judging import judged
from audit.probes.host import Answer
from roles.defence import Defence, Lacking
from roles.hardening.settings import LEVELS, Level
from roles.kinds import Kind, applies
from roles.settings import Gateway

Verdict = Literal["yes", "no", "not seen"]
ItemState = Literal["yes", "partly", "no", "not seen", "not applicable", "not declared"]
# The states of which a score is made; the others are of no host like this one.
SCORED: frozenset[ItemState] = frozenset({"yes", "partly", "no", "not seen"})

_OUTSIDE = "Only somebody outside sees it: `python -m audit` looks from there."
_UNDECLARED = "The settings of this gateway do not ask for it."


class Setting(Struct, frozen=True, kw_only=True):
    """One setting of a defence: what was wanted and what was seen, a line each; ``why`` says why it was not seen."""

    name: str
    state: Verdict
    wanted: str
    seen: str = ""
    why: str = ""


class Item(Struct, frozen=True, kw_only=True):
    """One defence as the host has it.

    ``why`` is its benefit, ``cost`` what it costs the administrator (empty: nothing that he would notice). ``reason`` says
    why it is not seen, not applicable or not declared. ``looks``: how many sights an outsider would have of it, which
    an assessment does not take.
    """

    id: str
    layer: str
    title: str
    why: str
    cost: str
    level: Level
    weight: int
    state: ItemState
    reason: str = ""
    looks: int = 0
    settings: tuple[Setting, ...] = ()

    def count(self, state: Verdict) -> int:
        """Return how many of its settings are in a state."""
        return sum(each.state == state for each in self.settings)

    @property
    def seen(self) -> int:
        """How many of its settings were seen."""
        return len(self.settings) - self.count("not seen")


def at_level(gateway: Gateway, level: Level) -> Gateway:
    """Return a gateway as it would be at another level."""
    return msgspec.structs.replace(gateway, hardening_level=level)


def questions(defences: Iterable[Defence], gateway: Gateway, level: Level) -> list[str]:
    """Return what is to be asked of the host to know all these defences up to a level, each question once."""
    wanted = [
        kind.question(at_level(gateway, each))
        for each in LEVELS[: LEVELS.index(level) + 1]
        for defence in defences
        for kind in _settings(defence, at_level(gateway, each))
    ]
    return list(dict.fromkeys(wanted))


def items(
    defences: Iterable[Defence],
    gateway: Gateway,
    level: Level,
    answers: Mapping[str, Answer],
    *,
    contained: bool,
) -> tuple[Item, ...]:
    """Return each defence that a gateway of this level is to have, as the answers show it.

    A setting whose value belongs to a higher level holds too: who gives more does not give less. So ``answers`` may hold
    those to the questions of higher levels.
    """
    above = [at_level(gateway, each) for each in LEVELS[LEVELS.index(level) :]]
    return tuple(
        _item(each, above, answers, contained=contained)
        for each in defences
        if LEVELS.index(each.level) <= LEVELS.index(level)
    )


def _settings(defence: Defence, gateway: Gateway) -> Iterator[Kind]:
    """Give the settings that a defence asks this gateway for, and that ask for something."""
    if defence.stands(gateway):
        for kind in defence.sets:
            if applies(kind, gateway) and not _asks_nothing(kind, gateway):
                yield kind


def _asks_nothing(kind: Kind, gateway: Gateway) -> bool:
    """Say whether any answer would do, as for the rules of a service that the settings do not have."""
    nonsense = ("", "?", "no\nsuch answer 0", str(getattr(kind, "refuted_by", "")))
    return all(kind.holds(each, gateway) for each in nonsense)


def _item(
    defence: Defence, above: Sequence[Gateway], answers: Mapping[str, Answer], *, contained: bool
) -> Item:
    gateway = above[0]
    settings: tuple[Setting, ...] = tuple(
        _setting(kind, above, answers, contained=contained) for kind in _settings(defence, gateway)
    )
    settings += tuple(
        Setting(name=check.setting, state="no", wanted="in force", seen=check.why)
        for check in defence.checks(gateway)
        if isinstance(check, Lacking) and check.setting
    )
    state, reason = _state(defence, gateway, settings)
    return Item(
        id=defence.id,
        layer=defence.layer,
        title=defence.title,
        why=defence.why,
        cost=defence.cost,
        level=defence.level,
        weight=defence.weight,
        state=state,
        reason=reason,
        looks=sum(applies(claim, gateway) for claim in defence.claims) if defence.stands(gateway) else 0,
        settings=settings,
    )


def _state(defence: Defence, gateway: Gateway, settings: Sequence[Setting]) -> tuple[ItemState, str]:
    """Return an item's state, and why it is that where its settings do not say it."""
    if gateway.mta in defence.lacks:
        return "not applicable", defence.lacks[gateway.mta]
    if not defence.stands(gateway) and not settings:
        return "not declared", _UNDECLARED
    if not settings:
        return ("not seen", _OUTSIDE) if defence.claims else ("not declared", _UNDECLARED)
    states = {each.state for each in settings} - {"not seen"}
    if not states:
        return "not seen", settings[0].why
    if len(states) > 1:
        return "partly", ""
    return ("yes", "") if "yes" in states else ("no", "")


def _setting(
    kind: Kind, above: Sequence[Gateway], answers: Mapping[str, Answer], *, contained: bool
) -> Setting:
    """Return what the host answers of one setting, by the first level's value that it has, else by the lowest one's."""
    seen = [
        judged(kind, answers[question], gateway, contained=contained)
        for gateway in above
        if (question := kind.question(gateway)) in answers
    ]
    best = next((each for each in seen if each.state == "held"), seen[0])
    state: Verdict = "yes" if best.state == "held" else "no" if best.state == "broken" else "not seen"
    wanted = evidence.line(evidence.wanted(kind, above[0]))
    return Setting(name=evidence.line(kind.name()), state=state, wanted=wanted, seen=best.seen, why=best.why)


def scored(found: Iterable[Item]) -> list[Item]:
    """Return the items that count in a score."""
    return [item for item in found if item.state in SCORED]
