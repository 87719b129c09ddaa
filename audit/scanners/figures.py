"""Figures: what one scanner said of one gateway, and whether that is as good as it must be."""

from typing import Literal

from msgspec import Struct

Judged = Literal["good", "bad", "told"]


class Figure(Struct, frozen=True, kw_only=True):
    """One figure of one scanner.

    ``value`` is what it said and ``limit`` what was asked of it, in words; ``judged`` says which of both it is, or that it is only
    told, for there is no bound to it. ``details`` are single findings, a line each: all of them where it is bad.
    """

    scanner: str
    about: str
    value: str
    judged: Judged
    limit: str = ""
    details: tuple[str, ...] = ()


def judged(*, good: bool) -> Judged:
    """Return the word for a figure that has a bound."""
    return "good" if good else "bad"
