"""Which declared rules are never reached, since an earlier one matches all that they do; in near linear time of their number."""

import re
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from datetime import date
from functools import cached_property
from typing import Final

from roles.mta.literals import address_of
from roles.mta.rules import (
    AccessRule,
    ClientRule,
    ContentRule,
    HeloRule,
    Network,
    Rule,
    is_regexp,
    network_of,
    pattern,
)

# Expressions are tried one by one upon what stands behind them, as often as this in one list. Half a second; more than 1,000
# expressions and as many names in one list are no longer all compared, which only costs a warning.
MOST_TRIES: Final = 1_000_000


class _Expression:
    """A rule whose expression is compiled when it is first asked."""

    def __init__(self, number: int, rule: AccessRule) -> None:
        self.number, self.rule = number, rule
        self.is_regexp = is_regexp(rule.match)

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(pattern(self.rule), re.IGNORECASE | re.DOTALL)


class _Earlier:
    """The rules of one list that have been read, found by what they match."""

    def __init__(self) -> None:
        # By key, last days and numbers of rules; both rise, since who comes later and ends sooner decides nothing.
        self._found: dict[Hashable, list[tuple[date, int]]] = {}
        self._lengths: set[tuple[int, int]] = set()
        self._expressions: list[_Expression] = []
        self._tries = 0

    def add(self, number: int, rule: Rule) -> None:
        """Take a rule; one that only warns leaves all others their turn."""
        if rule.mode == "warn":
            return
        for key in _keys(rule):
            held = self._found.setdefault(key, [])
            if not held or held[-1][0] < rule.expires:
                held.append((rule.expires, number))
        if isinstance(rule, AccessRule):
            if (network := _network(rule)) is not None:
                self._lengths.add((network.version, network.prefixlen))
            elif is_regexp(rule.match) or "*" in rule.match:
                self._expressions.append(_Expression(number, rule))

    def covering(self, rule: Rule) -> int | None:
        """Return the number of the first rule that matches all that another does and holds as long; None if none does."""
        found = [number for key in self._asked(rule) if (number := self._first(key, rule.expires))]
        if isinstance(rule, AccessRule) and _network(rule) is None:
            found += self._tried(rule)
        return min(found, default=None)

    def _first(self, key: Hashable, until: date) -> int | None:
        held = self._found.get(key, [])
        place = bisect_left(held, (until, 0))
        return held[place][1] if place < len(held) else None

    def _asked(self, rule: Rule) -> Iterator[Hashable]:
        """Give the keys of all rules that cover this one, whatever their expressions."""
        if isinstance(rule, ContentRule):
            yield ("content", rule.part, rule.match, rule.verb == "warn" or rule.mode == "warn")
        elif (network := _network(rule)) is not None:
            for version, length in self._lengths:
                if version == network.version and length <= network.prefixlen:
                    yield network.supernet(new_prefix=length)
        else:
            yield from _asked_by_name(rule)

    def _tried(self, rule: AccessRule) -> Iterator[int]:
        """Give the first rule whose expression matches a plain one."""
        if is_regexp(rule.match) or "*" in rule.match:
            return
        domain = rule.match.rpartition("@")[2]
        # A whole domain stands for each address in it; one below it for each domain there.
        plain = {"@": f"\0@{domain}", "@.": f"\0@\0{domain}"}
        kind = rule.match.removesuffix(domain.removeprefix("."))
        text = plain.get(kind, rule.match)
        for each in self._expressions:
            if self._tries >= MOST_TRIES:
                return
            if each.rule.expires < rule.expires or (each.is_regexp and kind in plain):
                continue
            self._tries += 1
            if each.compiled.search(text) is not None:
                yield each.number
                return


def never_reached(rules: Sequence[Rule]) -> Iterator[tuple[int, int]]:
    """Give (number of a rule, number of an earlier one that matches all that it does), numbers from 1, of one list.

    What regular expressions have in common is not asked.
    """
    earlier = _Earlier()
    for number, rule in enumerate(rules, 1):
        if (first := earlier.covering(rule)) is not None:
            yield number, first
        earlier.add(number, rule)


def _network(rule: AccessRule) -> Network | None:
    return network_of(rule.match) if isinstance(rule, ClientRule) else None


def _keys(rule: Rule) -> Iterator[Hashable]:
    """Give the keys that a rule is found by."""
    if isinstance(rule, ContentRule):
        yield ("content", rule.part, rule.match, rule.verb == "warn")
        return
    if (network := _network(rule)) is not None:
        yield network
        return
    name = rule.match.lower()
    yield ("written", name)
    if isinstance(rule, HeloRule) and (address := address_of(rule.match)):
        yield ("address", getattr(address, "ipv4_mapped", None) or address)
    elif not is_regexp(name) and "*" not in name:
        yield ("name", name.rstrip("."))


def _asked_by_name(rule: AccessRule) -> Iterator[Hashable]:
    name = rule.match.lower()
    yield ("written", name)
    if is_regexp(name):
        return
    if isinstance(rule, HeloRule) and (address := address_of(rule.match)):
        yield ("address", getattr(address, "ipv4_mapped", None) or address)
        return
    if "*" not in name:
        # A dot at the end of a HELO name is no other name.
        yield ("name", name.rstrip(".") if isinstance(rule, HeloRule) else name)
    _, at, domain = name.rpartition("@")
    if at:
        yield ("name", f"@{domain}")
        labels = domain.removeprefix(".").split(".")
        for place in range(1, len(labels)):
            yield ("name", f"@.{'.'.join(labels[place:])}")
