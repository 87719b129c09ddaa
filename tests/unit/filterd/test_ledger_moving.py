"""From one ledger to another: everything, once, between SQLite and PostgreSQL, whatever ends the work half-way."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine, Table, func, insert, select

from filterd.cli import tables
from filterd.cli.tables import LedgerStatus
from filterd.config.ledger import LedgerSettings
from filterd.errors import UsageError
from filterd.ledger import database, moving
from filterd.ledger import schema as s
from filterd.ledger.acts import note
from filterd.ledger.blobs import Blobs
from filterd.ledger.moving import Moved
from filterd.ledger.queries import Filter, kept, message
from tests.unit.filterd.daemon import ROOT, configuration
from tests.unit.filterd.entries import ALICE, CONTENT, quarantined, record, write
from tests.unit.filterd.test_ledger_actors import as_user
from tests.unit.filterd.test_ledger_cli import Shell

_ALL: Final = (s.MESSAGES, s.RECIPIENTS, s.FINDINGS, s.KEPT, s.KEPT_FOR, s.EVENTS, s.TRIES, s.LISTED)
_LISTED: Final = {
    "verdict": "accept", "sender": "@example.org", "recipient": "", "client": "", "authentication": "dkim",
    "expires_ms": 0, "made_ms": 1, "made_by": "alice", "note": "a\0b",
}  # fmt: skip


def many(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def rows(engine: Engine) -> dict[str, int]:
    return {table.name: many(engine, table) for table in _ALL}


def nothing(_done: int) -> None:
    """Show no progress."""


def name(engine: Engine) -> str:
    with engine.connect() as connection:
        return moving.name_of(connection)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Engine]:
    """Another ledger, on SQLite."""
    engine = database.prepared(LedgerSettings(url=f"sqlite:///{tmp_path}/other/ledger.db"))
    yield engine
    engine.dispose()


@pytest.fixture(params=["into sqlite", "from sqlite"])
def pair(request: pytest.FixtureRequest, ledger: Engine, other: Engine) -> tuple[Engine, Engine]:
    """Two ledgers: where it comes from and where it goes; one of them is on each database in turn."""
    return (ledger, other) if request.param == "into sqlite" else (other, ledger)


def filled(engine: Engine, home: Path, number: int = 0) -> str:
    """Write a delivered message, a kept one, an event and an entry of a list; return the kept one's message."""
    one = quarantined(home, "b@example.org", "c@example.org", number=number + 1)
    write(engine, record(number, "a@example.org"), one)
    with database.writing(engine) as connection:
        note(connection, ALICE, "hold", one.kept[0].id, detail="x")
        connection.execute(
            insert(s.LISTED), [_LISTED] if engine.dialect.name == "sqlite" else [_LISTED | {"note": "ab"}]
        )
        connection.execute(
            insert(s.TRIES), [{"fingerprint": f"{number:064}", "count": 1, "first_ms": 1, "last_ms": 2}]
        )
    return one.id


def test_everything_is_found_in_the_new_ledger_and_nothing_in_the_old_one(
    pair: tuple[Engine, Engine], tmp_path: Path
) -> None:
    old, new = pair
    id_ = filled(old, tmp_path)
    with old.connect() as connection:
        before = message(connection, id_)
    there, blobs = rows(old), Blobs(tmp_path / "store")
    assert blobs.belongs_to(name(old))
    done = moving.moved(old, new, blobs, ALICE, nothing)
    assert done == Moved(messages=2, kept=1, events=1, listed=1)
    # One event more: that it was done.
    assert rows(new) == there | {"events": there["events"] + 1}
    assert set(rows(old).values()) == {0}
    with new.connect() as connection:
        after = message(connection, id_)
        (entry,) = kept(connection, Filter(), 10)
    assert before is not None
    assert after == before
    assert b"".join(blobs.pieces(entry.digest)) == CONTENT
    assert blobs.belongs_to(name(new))
    assert not blobs.belongs_to(name(old))


def test_a_ledger_that_has_rows_gets_those_of_the_other_and_no_entry_of_a_list_twice(
    pair: tuple[Engine, Engine], tmp_path: Path
) -> None:
    old, new = pair
    filled(old, tmp_path)
    filled(new, tmp_path, number=10)
    done = moving.moved(old, new, Blobs(tmp_path / "store"), ALICE, nothing)
    assert done == Moved(messages=2, kept=1, events=1, listed=0)
    assert (many(new, s.MESSAGES), many(new, s.KEPT_FOR), many(new, s.LISTED), many(new, s.TRIES)) == (
        4,
        4,
        1,
        2,
    )


def test_there_and_back_again_and_there_once_more(pair: tuple[Engine, Engine], tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "store")
    for turn, (old, new) in enumerate((pair, pair[::-1], pair)):
        filled(old, tmp_path, number=turn * 10)
        moving.moved(old, new, blobs, ALICE, nothing)
        assert (many(new, s.MESSAGES), many(new, s.KEPT), many(old, s.MESSAGES)) == (
            2 * turn + 2,
            turn + 1,
            0,
        )


@pytest.mark.parametrize("broken", ["_emptied", "_copied", "note"])
def test_what_broke_off_is_done_once_when_it_is_done_again(
    broken: str, pair: tuple[Engine, Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = pair
    filled(old, tmp_path)
    there, blobs = rows(old), Blobs(tmp_path / "store")

    def breaks(*_: object, **__: object) -> None:
        raise OSError("broken off")

    with monkeypatch.context() as patched:
        patched.setattr(moving, broken, breaks)
        with pytest.raises(OSError, match="broken off"):
            moving.moved(old, new, blobs, ALICE, nothing)
    assert rows(old) == there
    moving.moved(old, new, blobs, ALICE, nothing)
    assert rows(new) == there | {"events": there["events"] + 1}
    assert set(rows(old).values()) == {0}
    assert blobs.owner() == name(new)


def test_a_ledger_is_not_moved_into_itself(ledger: Engine, tmp_path: Path) -> None:
    filled(ledger, tmp_path)
    before = rows(ledger)
    with pytest.raises(UsageError, match="one and the same ledger"):
        moving.moved(ledger, ledger, Blobs(tmp_path / "store"), ALICE, nothing)
    assert rows(ledger) == before


def test_the_store_of_a_third_ledger_stays_its_own(pair: tuple[Engine, Engine], tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "store")
    assert blobs.belongs_to("third")
    moving.moved(*pair, blobs, ALICE, nothing)
    assert blobs.owner() == "third"


@pytest.fixture
def shell(
    tmp_path: Path,
    ledger_settings: LedgerSettings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """The command line of a gateway whose ledger is to be the one on each database in turn; its tables are not made yet."""
    as_user(monkeypatch, 0)
    (tmp_path / "filterd.toml").write_text(
        configuration(
            tmp_path,
            ledger={"url": ledger_settings.url, "socket": ledger_settings.socket},
            store={"directory": str(tmp_path / "store")},
        )
    )
    return Shell(tmp_path, capsys)


def test_the_command_makes_the_new_ledger_and_says_what_came_over(
    shell: Shell, other: Engine, tmp_path: Path
) -> None:
    filled(other, tmp_path)
    Blobs(tmp_path / "store").belongs_to(name(other))
    url = f"sqlite:///{tmp_path}/other/ledger.db"
    assert shell.json(Moved, "ledger", "move", url) == (
        0, {"messages": 2, "kept": 1, "events": 1, "listed": 1},
    )  # fmt: skip
    code, status = shell.json(LedgerStatus, "ledger", "status")
    assert (code, status["store"], status["rows"]["kept"]) == (0, "own", 1)
    assert shell.json(Moved, "ledger", "move", url)[1]["messages"] == 0


def test_a_status_says_that_the_store_is_another_ledger_s(
    shell: Shell, ledger: Engine, other: Engine, tmp_path: Path
) -> None:
    assert name(ledger) != name(other)
    assert shell.json(LedgerStatus, "ledger", "status")[1]["store"] == "none's"
    Blobs(tmp_path / "store").belongs_to(name(other))
    assert shell.json(LedgerStatus, "ledger", "status")[1]["store"] == "another's"


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("sqlite:////nowhere/ledger.db", 3, "there is no ledger at /nowhere/ledger.db"),
        ("postgresql+psycopg://filterd@db.example.org/filterd", 2, "may be that of other gateways too"),
        (
            "postgresql+psycopg://filterd@/filterd?host=/run/x&hostaddr=192.0.2.1",
            2,
            "that of other gateways too",
        ),
        ("postgresql+psycopg://filterd:secret@/filterd?host=/run/x", 2, "holds a password"),
        ("mysql://x", 2, "is no ledger"),
        ("x", 2, "is no ledger"),
    ],
)
def test_what_is_no_ledger_of_this_gateway_s_own_is_not_moved(
    url: str, code: int, words: str, shell: Shell
) -> None:
    seen, out, errors = shell("ledger", "move", url)
    assert (seen, out) == (code, "")
    assert words in errors


def test_nothing_is_moved_while_filterd_runs(
    shell: Shell, other: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(other, tmp_path)
    before = rows(other)
    monkeypatch.setattr(tables, "_answers", lambda _path: True)
    code, _, errors = shell("ledger", "move", f"sqlite:///{tmp_path}/other/ledger.db")
    assert (code, "stop it first (`systemctl stop filterd`)" in errors) == (3, True)
    assert rows(other) == before


def test_killed_at_any_moment_nothing_is_lost_or_doubled(
    shell: Shell, ledger: Engine, other: Engine, tmp_path: Path
) -> None:
    write(other, *(record(number) for number in range(3000)))
    filled(other, tmp_path, number=4000)
    there = rows(other)
    command = [sys.executable, "-m", "filterd.cli", "ledger", "move", f"sqlite:///{tmp_path}/other/ledger.db"]
    # Each time a little later than the time before, until it comes to its end.
    killed = 0
    while killed < 200:
        with subprocess.Popen([*command, "--config", str(shell.config)], cwd=ROOT) as one:
            try:
                one.wait(0.2 + 0.04 * killed)
                break
            except subprocess.TimeoutExpired:
                one.kill()
                killed += 1
    assert shell("ledger", "move", f"sqlite:///{tmp_path}/other/ledger.db")[0] == 0
    assert killed
    assert rows(ledger) == there | {"events": many(ledger, s.EVENTS)}
    assert set(rows(other).values()) == {0}
