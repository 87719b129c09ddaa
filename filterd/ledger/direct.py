"""Rows written in the driver's own words, on a connection that is kept.

SQLAlchemy's account of a connection, a transaction and each statement costs more than what SQLite does for a message.
"""

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, StatementError

Rows = tuple[str, Sequence[Any]]
# A transaction that begins by reading cannot wait for another writer; psycopg begins by itself.
_BEGIN: Final = "BEGIN IMMEDIATE"


class Direct:
    """Writes rows to one ledger, from one thread. Close it: its connection goes back."""

    def __init__(self, engine: Engine) -> None:
        """Begin; nothing is connected yet."""
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._held: PoolProxiedConnection | None = None

    def write(self, statements: Sequence[Rows]) -> None:
        """Write all rows in one transaction, which is committed then, or nothing. Raises SQLAlchemyError."""
        held = self._held or self._connected()
        self._held = None
        try:
            if self._sqlite:
                execute(held, self._engine.dialect, _BEGIN)
            for statement, rows in statements:
                execute(held, self._engine.dialect, statement, rows)
            self._commit(held)
        except BaseException:
            # Whoever opens it anew finds no transaction left over.
            held.invalidate()
            held.close()
            raise
        if self._sqlite:
            self._held = held
        else:
            held.close()  # a server that was restarted is found out when it is taken again

    def _connected(self) -> PoolProxiedConnection:
        dialect = self._engine.dialect
        try:
            return self._engine.raw_connection()
        except dialect.loaded_dbapi.Error as error:
            raise _explained(None, error, dialect) from error

    def _commit(self, held: PoolProxiedConnection) -> None:
        dialect = self._engine.dialect
        try:
            held.commit()
        except dialect.loaded_dbapi.Error as error:
            raise _explained("COMMIT", error, dialect) from error

    def close(self) -> None:
        """Give the connection back; the next write takes another."""
        if self._held is not None:
            self._held.close()
            self._held = None


def execute_directly(connection: Connection, statement: str, rows: Sequence[Any] = ()) -> None:
    """Execute a statement that returns nothing on SQLAlchemy's connection. Raises SQLAlchemyError."""
    execute(connection.connection, connection.dialect, statement, rows)


def execute(held: PoolProxiedConnection, dialect: Dialect, statement: str, rows: Sequence[Any] = ()) -> None:
    """Execute a statement that returns nothing, in the driver's words, once or for each row. Raises SQLAlchemyError."""
    try:
        with contextlib.closing(held.cursor()) as cursor:
            if rows:
                cursor.executemany(statement, rows)
            else:
                cursor.execute(statement)
    # What no column takes is told by Python itself.
    except (dialect.loaded_dbapi.Error, ValueError, OverflowError, TypeError) as error:
        raise _explained(statement, error, dialect) from error


def _explained(statement: str | None, error: Exception, dialect: Dialect) -> StatementError:
    return DBAPIError.instance(
        statement, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
    )
