"""One thread beside an event loop, for what blocks.

``run_in_executor`` makes a future of its own for each deed, chains it to the loop's and copies from one to the other: a
twentieth of what a record costs.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Thread:
    """A thread that does one deed after the other. Close it; one that hangs is not waited for."""

    def __init__(self, name: str) -> None:
        """Begin; it starts with the first deed, in the process that wants it done."""
        self._deeds: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started = False

    async def do(self, deed: Callable[[], T]) -> T:
        """Return what a deed returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            tell: Callable[[Any], None]
            try:
                said: T | BaseException = deed()
                tell = done.set_result
            except BaseException as error:  # noqa: BLE001 - whoever waits is to have it
                said, tell = error, done.set_exception
            # The loop may have ended: nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_told, done, tell, said)

        if not self._started:
            self._started = True
            self._thread.start()
        self._deeds.put(work)
        return await done

    def close(self) -> None:
        """Let it end when it has done what it was given."""
        self._deeds.put(None)

    def _run(self) -> None:
        while (work := self._deeds.get()) is not None:
            work()


def _told(done: "asyncio.Future[Any]", tell: Callable[[Any], None], said: object) -> None:
    if not done.done():
        tell(said)
