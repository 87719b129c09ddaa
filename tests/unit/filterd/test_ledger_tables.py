"""Changing the ledger's tables: what refers to a table outlives a new one in its place."""

from pathlib import Path

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, func, select

from filterd.ledger import schema as s
from filterd.ledger.database import altering
from tests.unit.filterd.entries import quarantined, write


def test_what_refers_to_a_table_that_is_made_anew_stays(ledger: Engine, tmp_path: Path) -> None:
    write(ledger, quarantined(tmp_path))
    for add in (True, False):
        with altering(ledger) as connection:
            operations = Operations(MigrationContext.configure(connection))
            with operations.batch_alter_table("messages") as table:
                if add:
                    table.add_column(sa.Column("novelty", sa.Text, nullable=False, server_default="new"))
                else:
                    # SQLite makes the table anew for it.
                    table.drop_column("novelty")
    with ledger.connect() as connection:
        for one in (s.MESSAGES, s.RECIPIENTS, s.KEPT, s.KEPT_FOR):
            assert connection.execute(select(func.count()).select_from(one)).scalar_one() == 1, one.name
        if ledger.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
