"""The ledger's tables: what the revisions make is what the release works with, and each step has its way back."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, inspect, select

from filterd.config.ledger import LedgerSettings
from filterd.ledger import database
from filterd.ledger import schema as s
from tests.unit.filterd.entries import record, write


def columns(ledger: Engine) -> dict[str, set[str]]:
    seen = inspect(ledger)
    return {table: {one["name"] for one in seen.get_columns(table)} for table in seen.get_table_names()}


def test_the_revisions_make_the_tables_that_the_release_has(ledger: Engine) -> None:
    with ledger.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, s.METADATA) == []


def test_each_revision_has_its_way_back(ledger: Engine, ledger_settings: LedgerSettings) -> None:
    seen = {database.NEWEST: columns(ledger)}
    one = record(0, sender_parameters="RET=HDRS")
    write(ledger, one)
    for number in range(database.NEWEST - 1, 0, -1):
        database.migrate(ledger_settings, number)
        seen[number] = columns(ledger)
        assert seen[number] != seen[number + 1]
    for number in range(2, database.NEWEST + 1):
        database.migrate(ledger_settings, number)
        assert columns(ledger) == seen[number]
    with ledger.connect() as connection:
        row = connection.execute(select(s.MESSAGES)).one()
    # What was only in the newer tables is gone with them.
    assert (row.id, row.sender_parameters) == (one.id, "")


def test_an_older_release_writes_into_the_newest_tables(ledger: Engine) -> None:
    """A gateway of a fleet that is not yet brought up to date knows nothing of r0003's columns."""
    one = record(0, sender_parameters="RET=HDRS")
    write(ledger, one)

    def of_before(table: Any, newer: str, **changes: Any) -> None:
        with ledger.begin() as connection:
            row = dict(connection.execute(select(table)).mappings().first() or {}) | changes
            # SQLAlchemy's default of a column is not that of the table: the statement must not name it.
            left = [
                column
                for column in table.columns
                if column.name not in {newer, "id"} or column.name in changes
            ]
            statement = insert(table).values({column.name: row[column.name] for column in left})
            assert newer not in str(statement)
            connection.execute(statement)

    of_before(s.MESSAGES, "sender_parameters", id="older")
    of_before(s.RECIPIENTS, "parameters", message="older")
    with ledger.connect() as connection:
        messages = dict(connection.execute(select(s.MESSAGES.c.id, s.MESSAGES.c.sender_parameters)).all())
        recipients = dict(connection.execute(select(s.RECIPIENTS.c.message, s.RECIPIENTS.c.parameters)).all())
    assert messages == {one.id: "RET=HDRS", "older": ""}
    assert recipients == {one.id: "", "older": ""}
