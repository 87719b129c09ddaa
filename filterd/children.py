"""The supervisor's children, as it knows them: what each does, how it fares, and when it is worn."""

import random
import time
from typing import Final, Literal

from .beats import Beat, heard
from .config import RecycleSettings

# worker: serves the MTA. ledger: writes down what the workers tell it; there is one.
Role = Literal["worker", "ledger"]
ROLES: Final[tuple[Role, ...]] = ("worker", "ledger")
# How much earlier than written one may be replaced: those that began together do not end together.
_SPREAD: Final = 0.1


class Child:
    """One process and its pipe. ``heard`` and ``started`` are of the monotonic clock, in seconds."""

    def __init__(self, pid: int, pipe: int, role: Role) -> None:
        self.pid = pid
        self.pipe = pipe
        self.role = role
        self.started = self.heard = time.monotonic()
        self.beat = Beat(ready=False)
        self.current = True  # of the configuration in force, and not worn
        self.leaving = False  # was told to finish
        self.killed = False
        self._share = 1 - _SPREAD * random.random()  # noqa: S311 - it guards nothing

    @property
    def ready(self) -> bool:
        """Whether it can do its work."""
        return self.beat.ready

    def listen(self) -> None:
        """Take the newest beat from its pipe."""
        if (beat := heard(self.pipe)) is not None:
            self.heard = time.monotonic()
            self.beat = beat

    def worn(self, bounds: RecycleSettings) -> str:
        """Return why it is to be replaced; "" when it is not. A ledger with an open alert stays: it knows of it."""
        if not self.beat.ready or self.beat.keep:
            return ""
        if bounds.rss_bytes and self.beat.rss > bounds.rss_bytes:
            return "rss"
        if self.role == "worker" and bounds.messages and self.beat.messages >= bounds.messages * self._share:
            return "messages"
        age = time.monotonic() - self.started
        return "age" if bounds.age_s and age >= bounds.age_s * self._share else ""
