"""The driver sees what it is there for: exceptions, crashes and the case that made them."""

import itertools
import os
import signal

import pytest

from tests.fuzz import driver
from tests.fuzz.driver import TargetDiedError, hammer
from tests.fuzz.mutation import mutated


def _cases(bad: bytes) -> itertools.chain[bytes]:
    return itertools.chain((b"good", b"better", bad), itertools.repeat(b"never reached"))


def _raise(case: bytes) -> None:
    if case == b"raise":
        raise LookupError("here it is")


def _crash(case: bytes) -> None:
    if case == b"crash":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever another test has left there
        os.kill(os.getpid(), signal.SIGTERM)


def _hang(case: bytes) -> None:
    while case == b"hang":
        pass


def test_an_exception_is_told_with_its_case() -> None:
    with pytest.raises(TargetDiedError, match=r"(?s)here it is.*after 3 cases.*cmFpc2U=") as caught:
        hammer(_cases(b"raise"), _raise, seconds=5)
    assert caught.value.case == b"raise"


def test_a_crash_is_told_with_its_case() -> None:
    with pytest.raises(TargetDiedError, match="wait status 15") as caught:
        hammer(_cases(b"crash"), _crash, seconds=5)
    assert caught.value.case == b"crash"


def test_a_hang_is_told_with_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_HUNG_S", 0.5)
    with pytest.raises(TargetDiedError, match="hung") as caught:
        hammer(_cases(b"hang"), _hang, seconds=0.1)
    assert caught.value.case == b"hang"


def test_a_good_target_is_run_for_the_time_given() -> None:
    assert hammer(itertools.repeat(b"good"), _raise, seconds=0.2) > 100


def test_mutations_differ_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "SEED", "1")  # of some other seeds ten changes change nothing
    whole = bytes(range(256)) * 4
    first = [mutated(whole, generator, (b"other",)) for generator in (driver.rng("one"),) for _ in range(200)]
    again = [mutated(whole, generator, (b"other",)) for generator in (driver.rng("one"),) for _ in range(200)]
    assert first == again
    assert len(set(first)) > 190
    assert all(len(one) <= 256 * 1024 for one in first)
