"""What the tests of roles/ share."""

from pathlib import Path

import pytest

from tests.unit.roles.hosts import FakeHost


@pytest.fixture
def fake_host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path / "host")
