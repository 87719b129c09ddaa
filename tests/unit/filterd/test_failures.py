"""Every cell of the failure table: the part is made to fail, a message is sent, the part is mended, another is sent."""

import errno
import os
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from filterd.config import load
from filterd.failures import TABLE, Failure
from filterd.ledger import database, direct
from filterd.ledger.blobs import Blobs
from filterd.message import Spool
from tests.unit.filterd import engines
from tests.unit.filterd.engines import GTUBE, wait_for
from tests.unit.filterd.failing import Bench, LedgerDouble, raised, sent
from tests.unit.filterd.mta import Greeting, Mta
from tests.unit.filterd.test_ledger_process import Ledger
from tests.unit.filterd.test_parse_pool import DOUBLE

Breaks = Callable[[Bench, pytest.MonkeyPatch], Iterator[None]]
DEEDS: dict[str, Breaks] = {}


def breaks(*ids: str) -> Callable[[Breaks], Breaks]:
    def note(deed: Breaks) -> Breaks:
        DEEDS.update(dict.fromkeys(ids, deed))
        return deed

    return note


def mode(cell: str) -> str:
    return cell.partition("-")[2]


def engine(bench: Bench, name: str, cell: str) -> Iterator[None]:
    one: Any = getattr(bench, name)
    match cell:
        case "down":
            one.path.rename(bench.home / "away")
            yield
            (bench.home / "away").rename(one.path)
        case "hanging":
            one.gate.clear()
            yield
            one.gate.set()
        case "garbage":
            one.answer = b"220 mx.example ESMTP\r\n"
            yield
            one.answer = None
        case _:
            one.answer = b"" if name == "clamd" else b"SPAMD/1.1 0 EX_OK\r\nContent-le"
            yield
            one.answer = None


def _engine(name: str, cell: str) -> None:
    DEEDS[f"{name}-{cell}"] = lambda bench, _: engine(bench, name, cell)


for _name in ("clamd", "spamd"):
    for _mode in ("down", "hanging", "garbage", "dying"):
        _engine(_name, _mode)


@breaks("scanner-down")
def scanner_down(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
    bench.script.rename(bench.home / "away")
    yield
    (bench.home / "away").rename(bench.script)


def _scanner(cell: str, deed: str) -> None:
    def breaking(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
        bench.scans(deed)
        yield
        bench.scans("exit 0")

    DEEDS[f"scanner-{cell}"] = breaking


_scanner("hanging", "exec sleep 20")
_scanner("garbage", "exit 77")
_scanner("dying", "kill -9 $$")


@breaks("parse-down")
def parse_down(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
    program = bench.home / "python"
    bench.command = (str(program), *DOUBLE[1:])
    yield
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)


def _parse(cell: str, body: bytes) -> None:
    def breaking(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
        bench.body = body
        yield
        bench.body = b"harmless\r\n"

    DEEDS[f"parse-{cell}"] = breaking


_parse("hanging", b"hang\r\n")
_parse("garbage", b"long-file 99999999999\r\n")
_parse("dying", b"abort\r\n")


def _ledger(cell: str) -> None:
    def breaking(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
        ledger: LedgerDouble = bench.ledger
        if cell == "down":
            ledger.path.rename(bench.home / "away")
        ledger.mode = cell
        ledger.gate.clear()
        yield
        if cell == "down":
            (bench.home / "away").rename(ledger.path)
        ledger.mode = ""
        ledger.gate.set()

    DEEDS[f"ledger-{cell}"] = breaking


for _mode in ("down", "hanging", "garbage", "dying"):
    _ledger(_mode)


def _inject(cell: str) -> None:
    def breaking(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
        bench.body, bench.injects = GTUBE, True
        path = bench.home / "inject.sock"
        if cell == "down":
            yield
        else:
            mta = Greeting(path)
            mta.said = {"hanging": b"", "garbage": b"SSH-2.0-x\r\n", "dying": b"220 mx.example\r\n"}[cell]
            if cell == "hanging":
                mta.gate.clear()
            with mta:
                yield
        bench.stack.enter_context(Mta(path))

    DEEDS[f"inject-{cell}"] = breaking


for _mode in ("down", "hanging", "garbage", "dying"):
    _inject(_mode)


def _disk(cell: str, number: int) -> None:
    def raising(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    def spool(bench: Bench, patch: pytest.MonkeyPatch) -> Iterator[None]:
        bench.body = b"x" * 200_000
        with patch.context() as only:
            only.setattr(Spool, "_unlinked_file", raising)
            yield

    def store(bench: Bench, patch: pytest.MonkeyPatch) -> Iterator[None]:
        bench.body = GTUBE
        with patch.context() as only:
            only.setattr(Blobs, "_write", raising)
            yield

    DEEDS[f"spool-disk-{cell}"] = spool
    DEEDS[f"store-disk-{cell}"] = store


_disk("full", errno.ENOSPC)
_disk("no-inodes", errno.ENOSPC)
_disk("read-only", errno.EROFS)


@breaks("ledger-disk-full")
def ledger_disk_full(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
    pid = real_ledger(bench)
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    # Room for its log, and for no transaction.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (8192, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def _ledger_disk(cell: str, why: str) -> None:
    def refused(bench: Bench, patch: pytest.MonkeyPatch) -> Iterator[None]:
        flag = bench.home / "refused"
        opened, execute = database.opened, direct.execute

        def refuse(statement: str) -> None:
            if flag.exists() and statement.startswith(("INSERT", "UPDATE", "DELETE")):
                raise OperationalError(statement, None, sqlite3.OperationalError(why))

        def executed(held: Any, dialect: Any, statement: str, rows: Any = ()) -> None:
            refuse(statement)
            execute(held, dialect, statement, rows)

        def watched(settings: Any) -> Any:
            engine = opened(settings)

            @event.listens_for(engine, "before_cursor_execute")
            def _refuse(_: object, __: object, statement: str, *___: object) -> None:
                refuse(statement)

            return engine

        patch.setattr(database, "opened", watched)
        patch.setattr(direct, "execute", executed)
        real_ledger(bench)
        flag.touch()
        yield
        flag.unlink()

    DEEDS[f"ledger-disk-{cell}"] = refused


_ledger_disk("read-only", "attempt to write a readonly database")
_ledger_disk("no-inodes", "unable to open database file")


def real_ledger(bench: Bench) -> int:
    """Start a real ledger's process in place of the double, and wait until it has made its tables."""
    bench.ledger.path.unlink()
    ledger = Ledger(bench.home, load(bench.home / "filterd.toml"))
    bench.stack.callback(ledger.close)
    file = bench.home / "ledger" / "ledger.db"

    def made() -> bool:
        if not file.exists():
            return False
        with sqlite3.connect(file) as connection:
            return bool(connection.execute("select 1 from sqlite_master where name = 'listed'").fetchone())

    wait_for(made, 20)
    assert ledger.process.pid is not None
    return ledger.process.pid


@breaks("dns-down", "dns-hanging", "dns-garbage")
def dns(bench: Bench, _: pytest.MonkeyPatch) -> Iterator[None]:
    # What is left of it for us: spamd answers later, without the names of network rules.
    bench.spamd.answer = engines.scored(1.5, b"NO_RECEIVED")
    yield
    bench.spamd.answer = None


def test_every_cell_has_its_test() -> None:
    assert {cell.id for cell in TABLE} == set(DEEDS)
    assert len({cell.id for cell in TABLE}) == len(TABLE)


@pytest.mark.parametrize("cell", TABLE, ids=[cell.id for cell in TABLE])
def test_what_becomes_of_a_message(cell: Failure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        bench = Bench(tmp_path, stack)
        bench.ledger = stack.enter_context(LedgerDouble(tmp_path / "ledger.sock"))
        (tmp_path / "filterd.toml").write_text(bench.config())
        broken = contextmanager(DEEDS[cell.id])(bench, monkeypatch)
        broken.__enter__()  # it is mended between two messages of one worker
        (tmp_path / "filterd.toml").write_text(bench.config())
        first, then = sent(bench, lambda: broken.__exit__(None, None, None))
        assert first.startswith(cell.answer)
        assert "451" not in then
        told(cell, bench)


def told(cell: Failure, bench: Bench) -> None:
    """The part that the table names is the one, and the only one, that was said to fail."""
    failed = {name for name, condition in bench.parts if condition.failures}
    if cell.part in ("ledger", "ledger-disk"):
        assert cell.alert == "ledger"
        assert failed == set()
        if cell.part == "ledger-disk":
            log = (bench.home / "log").read_text()
            assert log.count('"event":"alert","component":"ledger"') == 1
        return
    wanted = [cell.alert.replace("*", "second")] if cell.alert else []
    assert failed == set(wanted)
    if cell.part != "ledger":
        assert raised(bench) == wanted
