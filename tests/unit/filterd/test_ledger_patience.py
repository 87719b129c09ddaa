"""What a server is asked for: commits that are on the disk, and time where no mail waits."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from filterd.config.ledger import LedgerSettings
from filterd.ledger import database
from tests.unit.filterd import databases


@pytest.fixture
def server() -> Iterator[databases.Postgres]:
    with databases.postgres() as one:
        yield one


def test_commits_wait_for_the_disk_and_only_the_daemon_is_in_a_hurry(
    server: databases.Postgres,
) -> None:
    with server.database() as url:
        server.administer("ALTER ROLE filterd SET synchronous_commit = off")
        settings = LedgerSettings(url=url, busy_s=1)
        asked = "SELECT current_setting('synchronous_commit'), current_setting('statement_timeout')"
        for patient, timeout in ((False, "1s"), (True, "10min")):
            engine = database.opened(settings, patient=patient)
            with engine.connect() as connection:
                assert tuple(connection.execute(text(asked)).one()) == ("on", timeout)
            engine.dispose()
        # A change of the tables takes as long as it takes.
        engine = database.opened(settings)
        with engine.begin() as connection:
            database._bide(connection)
            begun = time.monotonic()
            connection.execute(text("SELECT pg_sleep(1.5)"))
            assert time.monotonic() - begun > 1.4
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "1s"
        engine.dispose()
        database.prepared(settings).dispose()
