"""An end to a wait: it is told apart from a cancellation, and nothing is left of it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from filterd.within import Within


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def runs(deed: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await deed()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop if request.param else None) as runner:
            runner.run(main())

    return runs


Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.05])
def test_a_wait_ends(run: Run, seconds: float) -> None:
    async def deed() -> None:
        with pytest.raises(TimeoutError), Within.seconds(seconds):
            await asyncio.sleep(30)
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        await asyncio.sleep(0)

    run(deed)


def test_what_comes_in_time_is_left_alone(run: Run) -> None:
    async def deed() -> None:
        with Within.seconds(0.05):
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        with pytest.raises(KeyError), Within.seconds(30):
            raise KeyError

    run(deed)


def test_the_outer_end_is_the_outer_ones(run: Run) -> None:
    inner: list[str] = []

    async def waits() -> None:
        try:
            with Within.seconds(30):
                await asyncio.sleep(30)
        except TimeoutError:
            inner.append("ended")

    async def deed() -> None:
        with pytest.raises(TimeoutError), Within.seconds(0.05):
            await waits()

    run(deed)
    assert not inner


def test_a_cancellation_passes_through(run: Run) -> None:
    async def waits() -> None:
        with Within.seconds(30):
            await asyncio.sleep(30)

    async def deed() -> None:
        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(deed)


def test_a_task_that_is_cancelled_when_its_time_is_over_is_cancelled(run: Run) -> None:
    async def waits() -> None:
        with Within.seconds(0.02):
            try:
                await asyncio.sleep(30)
            finally:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

    async def deed() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(waits())

    run(deed)
