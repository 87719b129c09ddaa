"""Fixtures of the tests of the ledger: each test runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from filterd.config.ledger import LedgerSettings
from filterd.ledger import database
from tests.unit.filterd import databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Postgres]:
    with databases.postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerSettings]:
    """Settings of an empty ledger."""
    if request.param == "sqlite":
        yield databases.settings(tmp_path)
        return
    server: databases.Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield databases.settings(tmp_path, url)


@pytest.fixture
def ledger(ledger_settings: LedgerSettings) -> Iterator[Engine]:
    """Return the engine of a ledger with this release's tables."""
    engine = database.prepared(ledger_settings)
    yield engine
    engine.dispose()
