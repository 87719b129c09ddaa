"""Packages as both package managers' books have them, and what became of them."""

from collections.abc import Mapping
from typing import NamedTuple


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
