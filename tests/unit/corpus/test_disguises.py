"""Every disguise is caught or refused, and its harmless twin passes: one test each."""

import pytest

from tests.corpus.examine import in_process
from tests.corpus.runner import Result, run
from tests.corpus.table import BY_ID, VARIANTS

_EXAMINE = in_process()
_RESULTS: dict[str, Result] = {}


def _result(name: str) -> Result:
    if name not in _RESULTS:
        (_RESULTS[name],) = run((BY_ID[name],), _EXAMINE)
    return _RESULTS[name]


@pytest.mark.parametrize("name", [one.id for one in VARIANTS if one.recoverable])
def test_the_test_file_is_caught_or_refused(name: str) -> None:
    result = _result(name)
    assert not result.missed, f"{result.variant.title}: found {result.sight.rules or 'nothing'}"


@pytest.mark.parametrize("name", [one.id for one in VARIANTS])
def test_the_twin_passes(name: str) -> None:
    result = _result(name)
    assert not result.alarms, f"{result.variant.title}: {sorted(result.alarms)} by {result.twin.rules}"
