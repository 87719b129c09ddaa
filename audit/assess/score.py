"""The score of a host, and the level that it matches. Pure; counted in fractions, so that nothing is lost on the way."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from audit.assess.items import Item, scored
from roles.hardening.settings import LEVELS, Level

# What a defence counts that the host has in part, as a share of what it has: a chain with a link missing holds little.
PARTLY = Fraction(1, 2)
# The share of what a level adds that must have been seen for it to be told from the one below: of some levels a container
# shows next to nothing, and nothing missing there would be no proof.
ENOUGH = Fraction(1, 2)

FORMULA = (
    "score = 100 x weight held / weight seen. A defence counts its weight (1 to 10) when all of its settings hold, half of its "
    "weight x holding/all settings when one is seen not to hold. What was not seen (in a container, or from outside alone) "
    "counts neither as held nor as seen: where nothing of a defence is wrong, but some of it was not seen, its weight is split "
    "by the number of settings. The weight that was not seen stands beside the score, with the least and the most that the "
    "score would be if all were seen. What the MTA cannot have, and what the settings do not ask for, has no weight."
)


class Score(Struct, frozen=True, kw_only=True):
    """How much of the weight of some items a host has.

    ``weight`` is that of all, ``seen`` of what was seen, ``held`` of what holds. ``percent`` is held of seen, None if nothing
    was seen; ``at_least`` and ``at_most`` are what it could be if all were seen. Per cent are cut to one decimal, never
    rounded up: 100 means all.
    """

    weight: float
    seen: float
    held: float
    percent: float | None
    at_least: float | None
    at_most: float | None

    @property
    def unseen(self) -> float:
        """The weight that was not seen."""
        return self.weight - self.seen


class LevelMatch(Struct, frozen=True, kw_only=True):
    """How near a host is to a level: its score over all that the level has, and what the level adds to the one below.

    ``lacking`` are the ids of what it does not have, or has in part; ``unseen`` of what was not seen, or seen in part.
    """

    level: Level
    score: Score
    adds: Score
    lacking: tuple[str, ...]
    unseen: tuple[str, ...]

    @property
    def told(self) -> bool:
        """Whether enough was seen of what the level adds to tell it from the one below."""
        return self.score.seen > 0 and self.adds.seen >= float(ENOUGH) * self.adds.weight

    @property
    def holds(self) -> bool:
        """Whether all of the level that could be seen holds, and enough of it was."""
        return self.told and not self.lacking


def score(found: Iterable[Item]) -> Score:
    """Return the score of some items, by FORMULA."""
    weight = seen = held = least = most = Fraction()
    for item in scored(found):
        holding, unseen = item.count("yes"), item.count("not seen")
        wrong = bool(item.count("no"))
        share = Fraction(1) if wrong else _share(holding, len(item.settings))
        weight += item.weight
        seen += item.weight * share
        held += item.weight * (_credit(holding, len(item.settings)) if wrong else share)
        least += item.weight * _credit(holding, len(item.settings))
        most += item.weight * (_credit(holding + unseen, len(item.settings)) if item.settings else 1)
    return Score(
        weight=float(weight),
        seen=float(seen),
        held=float(held),
        percent=_percent(held, seen),
        at_least=_percent(least, weight),
        at_most=_percent(most, weight),
    )


def _credit(holding: int, settings: int) -> Fraction:
    """Return how much of a defence's weight it is worth that so many of its settings hold, 0 to 1."""
    share = _share(holding, settings)
    return share if share == 1 else PARTLY * share


def _share(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction()


def _percent(part: Fraction, whole: Fraction) -> float | None:
    return int(1000 * part / whole) / 10 if whole else None


def by_layer(found: Sequence[Item]) -> dict[str, Score]:
    """Return the score of each layer, in the items' order."""
    layers = dict.fromkeys(item.layer for item in found)
    return {layer: score(item for item in found if item.layer == layer) for layer in layers}


def levels(found: Mapping[Level, Sequence[Item]]) -> tuple[LevelMatch, ...]:
    """Return how near a host is to each level, the lowest first; ``found`` are the items of each, judged at that level."""
    return tuple(
        LevelMatch(
            level=level,
            score=score(found[level]),
            adds=score(item for item in found[level] if item.level == level),
            lacking=tuple(item.id for item in found[level] if item.state in ("no", "partly")),
            unseen=tuple(
                item.id
                for item in scored(found[level])
                if item.seen < len(item.settings) or not item.settings
            ),
        )
        for level in LEVELS
        if level in found
    )


def matched(found: Iterable[LevelMatch]) -> Level | None:
    """Return the highest level of which everything that could be seen holds; None: not even the lowest."""
    return next((each.level for each in reversed(tuple(found)) if each.holds), None)
