"""Rows in the driver's own words: all of a transaction or nothing, and every failure as the rest of the ledger knows it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from filterd.config import LedgerSettings
from filterd.ledger import database
from filterd.ledger import schema as s
from filterd.ledger.direct import Direct

INSERT = "INSERT INTO tries (fingerprint, count, first_ms, last_ms) VALUES (?, ?, ?, ?)"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return database.prepared(LedgerSettings(url=f"sqlite:///{tmp_path}/ledger/ledger.db"))


def written(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(s.TRIES)).scalar_one()


def test_rows_of_a_transaction_that_fails_are_not_written(engine: Engine) -> None:
    direct = Direct(engine)
    with pytest.raises(IntegrityError):
        direct.write([(INSERT, [("a", 1, 1, 1)]), (INSERT, [("b", 1, 1, 1), ("a", 1, 1, 1)])])
    assert written(engine) == 0
    direct.write([(INSERT, [("a", 1, 1, 1)])])
    direct.write([(INSERT, [("b", 1, 1, 1)])])
    assert written(engine) == 2


def test_what_no_column_takes_is_an_error_of_the_statement(engine: Engine) -> None:
    direct = Direct(engine)
    with pytest.raises(StatementError):
        direct.write([(INSERT, [("a", 2**70, 1, 1)])])
    direct.write([(INSERT, [("a", 1, 1, 1)])])
    assert written(engine) == 1


def test_a_database_that_cannot_be_opened_is_an_error_of_the_database(tmp_path: Path) -> None:
    engine = database.opened(LedgerSettings(url=f"sqlite:///{tmp_path}/nowhere/ledger.db"))
    with pytest.raises(OperationalError):
        Direct(engine).write([(INSERT, [("a", 1, 1, 1)])])


def test_a_commit_that_fails_is_an_error_and_nothing_is_written(engine: Engine) -> None:
    direct = Direct(engine)
    direct.write([(INSERT, [("a", 1, 1, 1)])])
    # Only a commit looks at a reference that may wait for it.
    broken = "INSERT INTO recipients (message, address, fate, wanted, verdict, rule, outcome, changed, parameters) "
    row = ("no such message", "", "", "", "", "", "", 0, "")
    with pytest.raises(IntegrityError):
        direct.write([
            ("PRAGMA defer_foreign_keys=ON", ()),
            (broken + "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [row]),
        ])  # fmt: skip
    assert written(engine) == 1
    direct.write([(INSERT, [("b", 1, 1, 1)])])
    assert written(engine) == 2


def test_a_closed_one_leaves_one_file(engine: Engine, tmp_path: Path) -> None:
    direct = Direct(engine)
    direct.write([(INSERT, [("a", 1, 1, 1)])])
    direct.close()
    engine.dispose()
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == ["ledger.db"]
