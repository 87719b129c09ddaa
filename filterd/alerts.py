"""One alert when a part begins to fail, and one word when it works again. Pure: the caller says what time it is.

The attack it stops: a gateway whose engine has died, which answers "try again later" for hours, and nobody knows.
"""

import time
from collections import deque
from typing import Final

from msgspec import Struct

# A part that has worked for so long is well again; one that comes and goes stays one alert.
QUIET_S: Final = 30.0
_HOUR_S: Final = 3600.0
_MOST_PARTS: Final = 64
_MAILS_PER_HOUR: Final = 12
_MAIL_EVERY_S: Final = 900.0  # about one part


class Alert(Struct, frozen=True, kw_only=True):
    """Something fails, or does so no more. ``since``: seconds since 1970; ``lasted``: seconds, of one that is over."""

    component: str
    problem: str
    since: float
    over: bool = False
    lasted: float = 0.0


class _Part(Struct, kw_only=True):
    """One part. ``failing``: what each of those who ask it says is wrong. Times are of the monotonic clock."""

    failing: dict[str, str] = {}
    open: Alert | None = None
    last_bad: float = 0.0


class Alerts:
    """What fails at the moment. Every method takes ``now``, a reading of the monotonic clock in seconds."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}

    def noted(self, source: str, component: str, problem: str, now: float) -> Alert | None:
        """Take what one process says of a part. Returns the alert when this opens one."""
        part = self._parts.get(component)
        if part is None:
            if not problem or len(self._parts) >= _MOST_PARTS:
                return None
            part = self._parts[component] = _Part()
        if not problem:
            part.failing.pop(source, None)
            return None
        part.failing[source] = problem
        part.last_bad = now
        if part.open is not None:
            return None
        part.open = Alert(component=component, problem=problem, since=time.time())
        return part.open

    def gone(self, source: str) -> None:
        """Forget what a process said that is no more."""
        for part in self._parts.values():
            part.failing.pop(source, None)

    def over(self, now: float) -> list[Alert]:
        """Return the alerts that are over by now; each is returned once."""
        ended = []
        for component, part in list(self._parts.items()):
            if part.failing or part.open is None or now - part.last_bad < QUIET_S:
                continue
            begun = part.open
            ended.append(
                Alert(
                    component=component, problem=begun.problem, since=begun.since, over=True,
                    lasted=max(0.0, time.time() - begun.since),
                )
            )  # fmt: skip
            del self._parts[component]
        return ended

    @property
    def open(self) -> tuple[Alert, ...]:
        """Return what fails, the longest first."""
        return tuple(
            sorted((part.open for part in self._parts.values() if part.open), key=lambda one: one.since)
        )


class MailRate:
    """How many mails about alerts go out: some in an hour, and one about a part in a while."""

    def __init__(self) -> None:
        self._all: deque[float] = deque()
        self._last: dict[str, float] = {}

    def take(self, component: str, now: float) -> bool:
        """Count one mail; False when there were enough."""
        while self._all and now - self._all[0] >= _HOUR_S:
            self._all.popleft()
        if len(self._all) >= _MAILS_PER_HOUR or now - self._last.get(component, -_HOUR_S) < _MAIL_EVERY_S:
            return False
        self._all.append(now)
        self._last[component] = now
        return True
