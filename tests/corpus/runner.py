"""Runs the corpus through an examination and tells what was caught, what was missed and what was a false alarm."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from .payload import EICAR, HARMLESS
from .variant import FAMILIES, STOPPED_BY, Variant

# Classes that say nothing about a disguise.
_IGNORED: Final = frozenset({"clean", "spam", "bulk"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What an examination saw of one mail.

    ``seen``: the payload stands in the mail or in a leaf. ``exact``: some leaf begins with it, as engines demand whose
    signature is bound to the file's start. ``classes``: of the findings that count. ``rules``: their ids.
    """

    seen: bool
    exact: bool = False
    classes: frozenset[str] = frozenset()
    rules: tuple[str, ...] = ()


Examine: TypeAlias = Callable[[bytes, bytes], Sight]
"""Takes a mail and the payload to look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one variant and its twin."""

    variant: Variant
    sight: Sight
    twin: Sight

    @property
    def stopped(self) -> frozenset[str]:
        """The classes for which the variant itself is refused."""
        return self.sight.classes & STOPPED_BY

    @property
    def missed(self) -> bool:
        """Whether the test file gets through though somebody can take it out."""
        return self.variant.recoverable and not self.sight.seen and not self.stopped

    @property
    def alarms(self) -> frozenset[str]:
        """The classes that the twin has and may not have."""
        return self.twin.classes - self.variant.twin_may_be - _IGNORED

    def as_data(self) -> dict[str, object]:
        """Return the result for JSON."""
        return {
            "id": self.variant.id,
            "title": self.variant.title,
            "recoverable": self.variant.recoverable,
            "seen": self.sight.seen,
            "exact": self.sight.exact,
            "classes": sorted(self.sight.classes),
            "rules": self.sight.rules,
            "missed": self.missed,
            "twin_classes": sorted(self.twin.classes),
            "twin_rules": self.twin.rules,
            "twin_may_be": sorted(self.variant.twin_may_be),
            "false_alarm": sorted(self.alarms),
        }


def run(variants: Iterable[Variant], examine: Examine) -> Iterator[Result]:
    """Examine each variant and its twin."""
    for one in variants:
        yield Result(
            variant=one,
            sight=examine(one.build(EICAR), EICAR),
            twin=examine(one.build(HARMLESS), HARMLESS),
        )


_COLUMNS: Final = ("variants", "counted", "caught", "exact", "only class", "missed", "false alarms")


def _figures(results: list[Result]) -> tuple[int, ...]:
    counted = [one for one in results if one.variant.recoverable]
    return (
        len(results),
        len(counted),
        sum(one.sight.seen for one in counted),
        sum(one.sight.exact for one in counted),
        sum(not one.sight.seen and bool(one.stopped) for one in counted),
        sum(one.missed for one in counted),
        sum(bool(one.alarms) for one in results),
    )


def report(results: list[Result]) -> Iterator[str]:
    """Give the lines of the report: a table by family, then each miss and each false alarm."""
    yield " ".join((f"{'family':18}", *(f"{name:>12}" for name in _COLUMNS)))
    families = [name for name in FAMILIES if any(one.variant.family == name for one in results)]
    for name in families:
        figures = _figures([one for one in results if one.variant.family == name])
        yield " ".join((f"{name:18}", *(f"{figure:12}" for figure in figures)))
    yield " ".join((f"{'all':18}", *(f"{figure:12}" for figure in _figures(results))))
    for one in results:
        if one.missed:
            found = ", ".join(one.sight.rules) or "nothing"
            yield f"missed: {one.variant.id} ({one.variant.title}); found: {found}"
        if one.alarms:
            rules = ", ".join(one.twin.rules)
            yield f"false alarm: {one.variant.id} ({one.variant.title}): {', '.join(sorted(one.alarms))}; by {rules}"


def failed(results: list[Result]) -> bool:
    """Whether anything was missed or wrongly refused."""
    return any(one.missed or one.alarms for one in results)
