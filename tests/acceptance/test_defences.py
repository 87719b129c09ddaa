"""Every record of the registry, asked of the live host and tried from outside: `pytest -k mta.banner`."""

import pytest

from audit.engine import Result
from tests.acceptance.conftest import ITEMS


@pytest.mark.parametrize("item_id", [item.id for item in ITEMS])
def test_holds(item_id: str, results: dict[str, Result]) -> None:
    result = results[item_id]
    # What the MTA cannot have, or a container cannot show, is said with its reason; the record's own test wants one.
    assert result.state in ("held", "not available", "not seen: container"), (
        f"wanted: {result.wanted}; seen: {result.seen}{result.why}"
    )
