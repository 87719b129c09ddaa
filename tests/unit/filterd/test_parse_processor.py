"""The bound on processor time of work that cannot look at the clock."""

import os
import signal
import time

import pytest

from filterd.parse.processor import ProcessorSpentError, bounded


def work(seconds: float) -> None:
    """Use up processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_work_ends_once_its_time_is_spent() -> None:
    begun = time.process_time()
    with pytest.raises(ProcessorSpentError), bounded(0.5):
        work(6)
    assert 0.5 <= time.process_time() - begun < 4


def test_a_signal_before_its_time_ends_nothing() -> None:
    """A process that has run for a quarter of an hour counted five seconds of ticks more than it had worked."""
    with bounded(5):
        os.kill(os.getpid(), signal.SIGXCPU)
        work(0.01)
