"""An end to a wait, as `asyncio.timeout` has it, without a coroutine on the way in and another on the way out.

A message waits some ten times for something; by asyncio's that was a twentieth of what it costs.
"""

import asyncio
from types import TracebackType
from typing import Any, Self


class Within:
    """Use as ``with Within.seconds(5):`` in a task: what is awaited within the block ends with TimeoutError then.

    A cancellation of the task from elsewhere passes through, also when it comes at the same time.
    """

    __slots__ = ("_cancelling", "_ended", "_task", "_timer", "_when")

    def __init__(self, when: float) -> None:
        """Begin; ``when`` is in the time of the running loop."""
        self._when = when
        self._ended = False
        self._cancelling = 0
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.Handle | None = None

    @classmethod
    def seconds(cls, seconds: float) -> Self:
        """Return one that ends so many seconds from now."""
        return cls(asyncio.get_running_loop().time() + seconds)

    def __enter__(self) -> None:
        """Begin to wait."""
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("there is no task that could be ended")
        self._cancelling = self._task.cancelling()
        self._timer = asyncio.get_running_loop().call_at(self._when, self._end, self._task)

    def _end(self, task: "asyncio.Task[Any]") -> None:
        self._ended = True
        task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Wait no more. Raises TimeoutError."""
        if self._timer is not None:
            self._timer.cancel()
        if (
            self._ended
            and self._task is not None
            and self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise TimeoutError from error
