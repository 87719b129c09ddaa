"""Packages as both package managers' books have them, and what became of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .machine import say


class Package(NamedTuple):
    """One package as the package manager has it."""

    version: str
    architecture: str
    source: str
    whole: bool  # installed, its scripts done, and no other version of it beside


class Change(NamedTuple):
    """What became of a package; "" is: it is not there."""

    before: str
    after: str


class NotBegunError(Exception):
    """Nothing was changed, and mail flows: the subject of the alert, and its text."""


def changes(before: Mapping[str, str], now: Mapping[str, Package]) -> dict[str, Change]:
    """Return what is not as it was: other versions, new packages, packages gone, and any that is not whole."""
    found = {
        name: Change(before.get(name, ""), one.version)
        for name, one in now.items()
        if before.get(name) != one.version or not one.whole
    }
    return found | {name: Change(version, "") for name, version in before.items() if name not in now}


def as_before(what: Mapping[str, Change], left: Mapping[str, Package]) -> list[str]:
    """Return what of these changes is still there, as text."""
    return [
        f"{name} is {left[name].version if name in left else 'not installed'} and was to be {change.before or 'removed'}"
        for name, change in sorted(what.items())
        if (left[name].version if name in left and left[name].whole else "") != change.before
    ]


def way_back(
    what: Mapping[str, Change],
    now: Mapping[str, Package],
    architectures: Sequence[str],
    file_of: Callable[[str, Package], Path],
) -> list[str]:
    """Return the kept files of the versions of before, and say of what there is none.

    ``architectures``: what a package that is no longer here may have been made for. ``file_of``: where one is kept.
    """
    files = []
    lacking = []
    for name, change in what.items():
        if not change.before:
            continue
        own = (now[name].architecture,) if name in now else ()
        likely = (Package(change.before, one, "", whole=True) for one in (*own, *architectures))
        there = [str(path) for one in likely if (path := file_of(name, one)).exists()][:1]
        files += there
        lacking += [] if there else [f"{name} {change.before}"]
    if lacking:
        say(f"nothing is kept any more of {', '.join(sorted(lacking))}")
    return files
