"""Databases for the tests of the ledger: a file, and a throw-away PostgreSQL server on a unix socket."""

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from filterd.config.ledger import LedgerSettings

# Debian's package; the newest that is there.
PROGRAMS: Final = "/usr/lib/postgresql"
_NUMBERS = itertools.count(1)


def lacks(what: str) -> None:
    """Skip a test and say what it lacked; where all must run, under CI, it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"under CI no test is skipped: {what}", pytrace=False)
    pytest.skip(what)


class Postgres:
    """A running cluster. ``url`` of a database in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://filterd@/{database}?host={self.directory}"

    def administer(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.directory), user="filterd", dbname="postgres", autocommit=True
        ) as one:
            one.execute(statement.encode())

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Return the URL of a new database; it goes at the end."""
        name = f"ledger{next(_NUMBERS)}"
        self.administer(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.administer(f"DROP DATABASE {name} WITH (FORCE)")


def programs() -> Path | None:
    found = sorted(Path(PROGRAMS).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a cluster: as nobody where the tests run as root, for the server refuses to be root."""
    at = programs()
    if at is None:
        lacks(f"{PROGRAMS} has no PostgreSQL: apt-get install postgresql-15")
    assert at is not None
    who: dict[str, Any] = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    )
    # The path of a unix socket is short (unix(7)).
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if who:
        shutil.chown(home, "nobody", "nogroup")
    data = home / "data"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=home, stdout=subprocess.DEVNULL, timeout=60, **who)

    try:
        run(
            str(at / "initdb"),
            "-D",
            str(data),
            "-U",
            "filterd",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
        )
        options = f"-k {home} -c listen_addresses= -F"
        run(str(at / "pg_ctl"), "-D", str(data), "-w", "-s", "-l", str(home / "log"), "-o", options, "start")
        try:
            yield Postgres(home)
        finally:
            run(str(at / "pg_ctl"), "-D", str(data), "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)


def settings(home: Path, url: str = "") -> LedgerSettings:
    """Return settings of a ledger in a directory of the test, or at a URL."""
    return LedgerSettings(
        url=url or f"sqlite:///{home}/ledger/ledger.db",
        socket=str(home / "ledger.sock"),
        timeout_s=5,
        busy_s=2,
    )
