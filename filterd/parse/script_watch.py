"""The time that the scripts of one message may take: what it cuts off is said, and never taken for harmless."""

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

# Of the processor, for all scripts of a message; the largest honest bundles are read in part.
SECONDS: Final = 1.0
_LEAST: Final = 0.05  # for each further page: a small script is read in a tenth of it
_EVERY: Final = 64  # items between two looks at the time

_Item = TypeVar("_Item")


class ScriptTooLongError(Exception):
    """The time for scripts is spent: what lies behind is not read."""


class Watch:
    """Time of the processor, which runs while `metered` works and stands still while others use what it yielded."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._ends = float("inf")

    def look(self) -> None:
        """Raise ScriptTooLongError when the time is spent; call it between any two steps that cost milliseconds."""
        if time.process_time() > self._ends:
            raise ScriptTooLongError

    def over(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield the items, and look at the time now and then."""
        for number, item in enumerate(items):
            if number % _EVERY == 0:
                self.look()
            yield item

    def metered(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """Yield the items, whose making is what takes the time."""
        self._left = max(self._left, _LEAST)
        while True:
            self._ends = time.process_time() + self._left
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._left = self._ends - time.process_time()
            yield item


UNBOUND: Final = Watch(float("inf"))
