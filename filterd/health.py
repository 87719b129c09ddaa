"""How the parts that messages depend on fare, as one process sees them. Data only."""

import asyncio
from typing import Final

from filterd.log import shown

_LONGEST: Final = 300


class _Held:
    """A place at a part, for an ``async with``."""

    __slots__ = ("_condition", "_slots")

    def __init__(self, condition: "Condition", slots: asyncio.Semaphore) -> None:
        self._condition = condition
        self._slots = slots

    async def __aenter__(self) -> None:
        """Wait for it."""
        self._condition.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._condition.waiting -= 1
        self._condition.running += 1

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self._condition.running -= 1
        self._slots.release()


class Condition:
    """One part: how many ask it and wait for it now, how often it failed, and what is wrong with it ("": nothing)."""

    __slots__ = ("failures", "last", "problem", "running", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        self.running = 0
        self.failures = 0
        self.problem = ""
        self.last = ""  # what was wrong the last time that something was

    def failed(self, why: object) -> None:
        """Note a failure."""
        self.failures += 1
        text = str(why) or type(why).__name__
        self.problem = self.last = shown(text.encode("utf-8", "replace"), _LONGEST) or "it failed"

    def place(self, slots: asyncio.Semaphore) -> "_Held":
        """Wait for one of the places at it, and hold it for the block."""
        return _Held(self, slots)

    def worked(self) -> None:
        """Note that it did its work."""
        self.problem = ""


class Health:
    """The parts of one worker that are no engines: asked whether they work only while they do not."""

    def __init__(self) -> None:
        self.inject = Condition()  # the MTA's socket for what filterd sends itself
        self.spool = Condition()  # the volume of [milter] spool_dir
        self.store = Condition()  # that of [store] directory
        self.outbound = Condition()  # what senders inside send: fails while one is beyond his limit
        self.messages = 0  # served by this process
