"""Has Hypothesis invent cases for a target, for as long as BASTIDE_FUZZ_SECONDS says."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.driver import SECONDS, SEED, TargetDiedError

T = TypeVar("T")
# Hypothesis counts examples and knows no time: rounds of so many are run until it is over.
_ROUND: Final = 100


def invent(cases: st.SearchStrategy[T], check: Callable[[T], None], shown: Callable[[T], bytes]) -> int:
    """Run ``check`` on invented cases; how many. ``shown`` makes the reproducer. Raises TargetDiedError."""
    end = time.monotonic() + SECONDS
    count = 0

    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def examine(case: T) -> None:
        nonlocal count
        count += 1
        try:
            check(case)
        except Exception as error:
            raise TargetDiedError(f"{type(error).__name__}: {error}", shown(case), count) from error

    number = SEED
    while time.monotonic() < end:
        seed(number)(examine)()
        number += 1
    return count
