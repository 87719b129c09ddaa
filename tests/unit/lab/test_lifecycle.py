"""What is done side by side is waited for, or never begun: whoever removes a lab meets nobody who still makes it."""

import threading
from functools import partial

import pytest

from lab import lifecycle


def test_all_are_done_and_the_first_error_is_raised() -> None:
    done: list[int] = []

    def fail() -> None:
        raise ValueError("one")

    with pytest.raises(ValueError, match="one"):
        lifecycle._at_once([lambda: done.append(1), fail, lambda: done.append(3)])
    assert sorted(done) == [1, 3]
    lifecycle._at_once([])


@pytest.mark.parametrize("which", [1, 2, 3])
def test_what_is_interrupted_while_its_threads_begin_does_nothing(
    which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        # As a signal does that comes while start() waits for its thread, which runs by then.
        start(thread)
        begun.append(thread)
        if len(begun) == which:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        lifecycle._at_once([partial(done.append, each) for each in range(3)])
    for thread in begun:
        thread.join(timeout=5)
        assert not thread.is_alive()
    assert done == []
