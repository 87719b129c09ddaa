"""Counters that processes share: none is lost, a window slides, and nobody's count is another's."""

import os

import pytest

from filterd.rates import Amount, Rates

_HOUR = 3600.0


def sent(rates: Rates, key: str, now: float, messages: int = 1, recipients: int = 1) -> Amount:
    return rates.add(key, messages=messages, recipients=recipients, window_s=_HOUR, now=now)


def test_what_is_counted_is_returned() -> None:
    rates = Rates()
    assert sent(rates, "a", 0.0, recipients=3) == Amount(messages=1, recipients=3)
    assert sent(rates, "a", 10.0, recipients=2) == Amount(messages=2, recipients=5)
    assert sent(rates, "b", 10.0) == Amount(messages=1, recipients=1)


def test_the_window_slides() -> None:
    rates = Rates()
    for _ in range(100):
        sent(rates, "a", 0.0)
    assert sent(rates, "a", _HOUR - 1).messages == 101
    # Half of the window before is over.
    assert sent(rates, "a", 1.5 * _HOUR).messages == pytest.approx(1 + 101 / 2)
    assert sent(rates, "a", 4 * _HOUR).messages == 1


def test_what_is_taken_back_does_not_count_and_never_below_none() -> None:
    rates = Rates()
    sent(rates, "a", 0.0, recipients=4)
    assert sent(rates, "a", 0.0, messages=-1, recipients=-4) == Amount()
    assert sent(rates, "a", 0.0, messages=-1, recipients=-4) == Amount()
    assert sent(rates, "a", 0.0).messages == 1


def test_too_many_keys_push_out_the_oldest_and_no_others() -> None:
    rates = Rates(8)
    for number in range(8):
        sent(rates, f"k{number}", float(number))
    sent(rates, "new", 100.0)
    assert sent(rates, "k7", 101.0).messages == 2
    assert sent(rates, "k0", 102.0).messages == 1


def test_processes_count_together_and_none_is_lost() -> None:
    rates = Rates(8)
    children = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            for _ in range(2000):
                sent(rates, "a", 0.0)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert sent(rates, "a", 0.0).messages == 8001
