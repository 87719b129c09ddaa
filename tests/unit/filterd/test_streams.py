"""How long a peer is waited for, on the event loop of the tests and on that of the daemon."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from filterd.streams import Patience


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def deed(test: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await test()

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return deed


Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.mark.parametrize("seconds", [0.000_01, 0.000_4, 0.000_6, 0.01])
def test_what_is_there_is_read_however_little_time_is_left(run: Run, seconds: float) -> None:
    async def test() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"x" * 50)
        patience = Patience(reader)
        for _ in range(50):
            with patience.of(seconds):
                assert await reader.read(1) == b"x"
        await asyncio.sleep(seconds * 2)  # nothing is waited for: nothing is raised
        reader.feed_data(b"y")
        with patience.of(5):
            assert await reader.read(1) == b"y"
        patience.end()

    run(test)


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_without_any_time_nothing_is_read(run: Run, seconds: float) -> None:
    async def test() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"x")
        patience = Patience(reader)
        with pytest.raises(TimeoutError), patience.of(seconds):
            await reader.read(1)
        assert await reader.read(1) == b"x"

    run(test)


@pytest.mark.parametrize("lasting", [5.0, 0.03])
def test_silence_ends_when_it_was_said_to_and_not_before(run: Run, lasting: float) -> None:
    async def test() -> None:
        reader = asyncio.StreamReader()
        patience = Patience(reader)
        reader.feed_data(b"x")
        with patience.of(lasting):  # the timer that is there rings later, or before
            await reader.read(1)
        begun = time.monotonic()
        with pytest.raises(TimeoutError), patience.of(0.1):
            await reader.read(1)
        assert 0.095 < time.monotonic() - begun < 3
        patience.end()

    run(test)


def test_data_that_came_with_the_last_moment_are_read_and_harm_nothing_later(run: Run) -> None:
    async def test() -> None:
        reader = asyncio.StreamReader()
        patience = Patience(reader)

        async def read() -> bytes:
            with patience.of(0.02):
                return await reader.read(1)

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        # As when the loop was busy: the bytes are taken from the socket, and the timer is overdue, in the same turn.
        time.sleep(0.05)  # noqa: ASYNC251 - the loop has to be held up
        reader.feed_data(b"x")
        assert patience._timer is not None
        patience._timer.cancel()
        patience._ring()
        assert await reading == b"x"
        await asyncio.sleep(0.01)
        assert reader.exception() is None
        patience.end()

    run(test)
