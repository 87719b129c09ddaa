"""The database behind the ledger: how it is opened, and how its tables come to be what this release needs.

Revisions are numbered. Each one says the oldest release's number that can still work with it, so that a gateway can go
back to the release before while the tables stay as they are.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from filterd.config.ledger import LedgerSettings, url_problem
from filterd.errors import ConfigError, FilterdError, UsageError

from .direct import execute_directly

MIGRATIONS: Final = Path(__file__).parent / "migrations"
NEWEST: Final = 3
_LOCK: Final = 0x62617374  # of PostgreSQL's advisory locks: two gateways of a fleet start at the same time
_POOL: Final = 2
PATIENCE_S: Final = 600  # for a change of the tables, and for one step of retention


class LedgerError(FilterdError):
    """The ledger cannot be read or written; the text says why and what to do."""


def opened(settings: LedgerSettings, *, patient: bool = False) -> Engine:
    """Return the engine for a ledger; nothing is connected yet. Raises ConfigError.

    ``patient``: no mail waits for it, so a server may take long over a statement.
    """
    if problem := url_problem(settings.url):
        raise ConfigError(problem)
    try:
        url = make_url(settings.url)
    except ArgumentError as error:
        raise ConfigError(f"[ledger] url: {error}") from error
    if url.get_backend_name() == "sqlite":
        return _sqlite(settings)
    if settings.password_file:
        try:
            url = url.set(password=Path(settings.password_file).read_text(encoding="utf-8").strip())
        except OSError as error:
            raise ConfigError(
                f"[ledger] password_file: {settings.password_file} cannot be read ({error.strerror})"
            ) from error
    timeout = max(1, int(settings.busy_s))
    arguments = {
        "connect_timeout": timeout,
        "application_name": "filterd",
        # A commit that was answered is on the disk, whatever the role's own settings are.
        "options": f"-c synchronous_commit=on -c lock_timeout={timeout * 1000} "
        f"-c statement_timeout={(PATIENCE_S if patient else timeout) * 1000}",
    }
    # pre_ping: a server that was restarted is found out before a statement is lost to it.
    return create_engine(
        url, pool_size=_POOL, pool_pre_ping=True, connect_args=arguments, hide_parameters=True
    )


def _sqlite(settings: LedgerSettings) -> Engine:
    engine = create_engine(
        settings.url, pool_size=_POOL, connect_args={"timeout": settings.busy_s}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        # The driver would begin transactions late, so that a reader who writes fails at once (sqlite3, isolation_level).
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # a commit that was answered is on the disk
            "foreign_keys=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        how = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        execute_directly(connection, f"BEGIN {how}")

    return engine


def prepared(settings: LedgerSettings, *, upgrade: Callable[[LedgerSettings], None] | None = None) -> Engine:
    """Return the engine for a ledger whose tables are made or brought up to date. Raises ConfigError, LedgerError.

    ``upgrade`` does that, if it is not to be done in this process (migrating.py).
    """
    engine = opened(settings)
    if engine.dialect.name == "sqlite":
        _own_directory(Path(str(make_url(settings.url).database)))
    with explained(settings):
        at = revision(engine)
        if at < NEWEST and upgrade is not None:
            upgrade(settings)
        elif at < NEWEST:
            _migrate(engine, f"{NEWEST:04}", up=True)
        elif at > NEWEST and _oldest_reader(engine) > NEWEST:
            raise LedgerError(
                f"the ledger's tables (revision {at}) are too new for this release (revision {NEWEST}): run "
                f"`filterd ledger downgrade {NEWEST}` of the newer release, or install that one"
            )
    return engine


@contextlib.contextmanager
def explained(settings: LedgerSettings) -> Iterator[None]:
    """Say of whatever goes wrong with the database that the ledger cannot be used, without statement or password."""
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger at {shown(settings)} cannot be used: {cause(error)}") from error
    except OSError as error:
        raise LedgerError(f"the ledger at {shown(settings)} cannot be used: {error}") from error


def cause(error: SQLAlchemyError) -> str:
    """Return what the driver said, on one line."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return " ".join(str(said).split())[:300] or type(said).__name__


def shown(settings: LedgerSettings) -> str:
    """Return the ledger's URL as it may be printed."""
    return make_url(settings.url).render_as_string(hide_password=True)


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Return a connection in a transaction that writes; committed at the end, rolled back on an error."""
    with writes(engine).begin() as connection:
        yield connection


def writes(engine: Engine) -> Engine:
    """Return the same engine for transactions that write."""
    # SQLite: a transaction that begins by reading cannot wait for another writer.
    return engine.execution_options(sqlite_begin="IMMEDIATE")


def revision(engine: Engine) -> int:
    """Return the number of the revision that the tables have; 0: there are none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return 0
        current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return int(current or 0)


def migrate(settings: LedgerSettings, to: int) -> None:
    """Bring the tables to a revision, up or down. Raises LedgerError, ConfigError, UsageError."""
    if not 1 <= to <= NEWEST:
        raise UsageError(f"there is no revision {to}: this release knows 1 to {NEWEST}")
    engine = opened(settings)
    try:
        with explained(settings):
            _migrate(engine, f"{to:04}", up=revision(engine) < to)
    finally:
        engine.dispose()


def _oldest_reader(engine: Engine) -> int:
    with engine.connect() as connection:
        if not inspect(connection).has_table("ledger_readers"):
            return NEWEST + 1
        return int(connection.execute(text("SELECT oldest FROM ledger_readers")).scalar_one())


def _migrate(engine: Engine, to: str, *, up: bool) -> None:
    """Do all steps in one transaction: a crash leaves the tables as they were."""
    # It is large, and most processes that read the ledger never need it.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config as AlembicConfig  # noqa: PLC0415 - see above

    with altering(engine) as connection:
        if engine.dialect.name == "postgresql":
            _bide(connection)
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        (command.upgrade if up else command.downgrade)(config, to)


def _bide(connection: Connection) -> None:
    """Wait until no other gateway is at the tables, and let the server take as long as it needs."""
    for name in ("statement_timeout", "lock_timeout"):
        connection.execute(text(f"SET LOCAL {name} = '{PATIENCE_S}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    # Whoever waits for a table keeps others from it.
    connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))


@contextlib.contextmanager
def altering(engine: Engine) -> Iterator[Connection]:
    """Return a connection in a transaction that changes tables; committed at the end, rolled back on an error.

    Most changes of a table SQLite makes by a new one in its place, and the rows that refer to the old one would go with
    it: so references are looked at when all is done (sqlite.org/lang_altertable.html, section 7). Raises LedgerError.
    """
    if engine.dialect.name != "sqlite":
        with writing(engine) as connection:
            yield connection
        return
    with engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
        _references(connection, "OFF")
        try:
            with connection.begin():
                yield connection
                if (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()) is not None:
                    raise LedgerError(
                        f"a change of the ledger's tables left {broken[0]} without what it refers to"
                    )
        finally:
            try:
                _references(connection, "ON")
            except (SQLAlchemyError, sqlite3.Error):
                # The cause is on its way already. Nobody gets this connection again.
                connection.invalidate()


def _references(connection: Connection, how: str) -> None:
    """Have SQLite enforce references or not; within a transaction it would do nothing."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={how}")
    cursor.close()


def _own_directory(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(13, "no permission to write", str(path.parent))
    except OSError as error:
        raise LedgerError(f"the ledger's directory {path.parent} cannot be used: {error.strerror}") from error
