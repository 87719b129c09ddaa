"""Databases for the tests of the ledger: a file, and a throw-away PostgreSQL server on a unix socket."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from filterd.config.ledger import LedgerSettings

# Debian's package; the newest that is there.
PROGRAMS: Final = "/usr/lib/postgresql"
_NUMBERS = itertools.count(1)
# The path of a unix socket is short (unix(7)).
_TMP: Final = Path("/tmp")  # noqa: S108 - what is made there is made by mkdtemp
_HOME: Final = "bastide-pg-"
_SECONDS: Final = 60


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
    """Run a cluster: as nobody where the tests run as root, for the server refuses to be root.

    It ends with this process, however that ends; what it has left on the disk goes when the next one starts.
    """
    at = programs()
    if at is None:
        lacks(f"{PROGRAMS} has no PostgreSQL: apt-get install postgresql-15")
    assert at is not None
    who: dict[str, Any] = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    )
    _swept()
    home = Path(tempfile.mkdtemp(prefix=f"{_HOME}{os.getpid()}-", dir=_TMP))
    try:
        if who:
            shutil.chown(home, "nobody", "nogroup")
        with _served(at, home, who) as server:
            yield server
    finally:
        shutil.rmtree(home)


@contextlib.contextmanager
def _served(at: Path, home: Path, who: Mapping[str, Any]) -> Iterator[Postgres]:
    """Make a cluster in ``home`` and run its server for the length of a block."""
    data = str(home / "data")
    made = (str(at / "initdb"), "-D", data, "-U", "filterd", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    subprocess.run([*made, "-N"], check=True, cwd=home, stdout=subprocess.DEVNULL, timeout=_SECONDS, **who)
    # Not by pg_ctl, whose server is nobody's child. SIGQUIT: it stops at once, with all of its processes.
    command = ["setpriv", "--pdeathsig=QUIT", str(at / "postgres"), "-D", data, "-k", str(home), "-F"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen([*command, "-c", "listen_addresses="], cwd=home, stderr=log, **who)
    try:
        ready = [str(at / "pg_isready"), "-q", "-h", str(home)]
        deadline = time.monotonic() + _SECONDS
        while subprocess.run(ready, check=False, timeout=_SECONDS).returncode:
            assert server.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.05)
        yield Postgres(home)
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(_SECONDS)


def _swept() -> None:
    """Remove what processes that are gone have left behind."""
    for left in _TMP.glob(f"{_HOME}*-*"):
        owner = left.name.removeprefix(_HOME).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)


def settings(home: Path, url: str = "") -> LedgerSettings:
    """Return settings of a ledger in a directory of the test, or at a URL."""
    return LedgerSettings(
        url=url or f"sqlite:///{home}/ledger/ledger.db",
        socket=str(home / "ledger.sock"),
        timeout_s=5,
        busy_s=2,
    )
