"""The ledger's tables go up and down under traffic, on SQLite and PostgreSQL: no row of mail is lost on the way."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select

from filterd.config.ledger import LedgerSettings
from filterd.ledger import database
from filterd.ledger import schema as s
from tests.chaos.account import balance
from tests.chaos.gateway import Gateway
from tests.chaos.traffic import Traffic
from tests.unit.filterd.daemon import ROOT
from tests.unit.filterd.engines import wait_for

# Columns that the first revision does not have.
NEWER = frozenset({"sender_parameters", "parameters"})
TABLES = (s.MESSAGES, s.RECIPIENTS, s.FINDINGS, s.KEPT, s.KEPT_FOR, s.INJECTIONS)


def rows(gateway: Gateway) -> dict[str, set[Any]]:
    """Return all rows about mail, by table."""

    def of(table: Table) -> set[Any]:
        with engine.connect() as connection:
            there = [one for one in table.c if one.name not in NEWER]
            return {str(tuple(row)) for row in connection.execute(select(*there))}

    engine = gateway.ledger()
    try:
        return {table.name: of(table) for table in TABLES}
    finally:
        engine.dispose()


def revision(gateway: Gateway) -> int:
    engine = gateway.ledger()
    try:
        return database.revision(engine)
    finally:
        engine.dispose()


def downgrade(gateway: Gateway) -> None:
    """Go back to the first revision, as an administrator does before he installs the release before."""
    command = [
        sys.executable,
        "-m",
        "filterd.cli",
        "ledger",
        "downgrade",
        "1",
        "--config",
        str(gateway.config),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert revision(gateway) == 1


def test_upgrade_and_way_back_under_traffic(tmp_path: Path, ledger_settings: LedgerSettings) -> None:
    with Gateway(tmp_path, ledger={"url": ledger_settings.url}) as gateway:
        (tmp_path / "store").mkdir()
        (tmp_path / "ledger").mkdir()
        database.migrate(ledger_settings, 1)
        assert revision(gateway) == 1
        gateway.start()
        assert revision(gateway) == database.NEWEST
        with Traffic(gateway.daemon.socket, clients=4) as traffic:
            wait_for(lambda: traffic.accepted() >= 10, 30)
            gateway.stop()
            before = rows(gateway)
            assert len(before["messages"]) >= 10
            downgrade(gateway)
            assert rows(gateway) == before
            gateway.start()
            assert revision(gateway) == database.NEWEST
        gateway.stop()
        there = rows(gateway)
        assert all(before[name] <= there[name] for name in there)
        found = balance(gateway, traffic)
        assert not found.wrong, found
        assert gateway.log("internal_error") == []
