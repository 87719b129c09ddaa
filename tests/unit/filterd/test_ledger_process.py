"""The ledger's process and its clients: what was answered is on the disk, whatever happens in between."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from sqlalchemy import Column, ColumnElement, func, insert, select, update

from filterd.config import Config, LedgerSettings, StoreSettings
from filterd.ledger import acts, database, process
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.ledger.client import LedgerClient, LedgerDownError
from filterd.ledger.process import LedgerProcess
from filterd.ledger.records import new_id
from filterd.ledger.roles import RefusedError
from filterd.log import Log
from tests.unit.filterd.engines import wait_for
from tests.unit.filterd.entries import ALICE, kept, record

FORK = multiprocessing.get_context("fork")


def config(home: Path, **changes: Any) -> Config:
    # The first start makes the tables in another process, and the machine may be busy.
    ledger = LedgerSettings(
        url=f"sqlite:///{home}/ledger/ledger.db", socket=str(home / "ledger.sock"), timeout_s=20.0, busy_s=1.0
    )
    return Config(
        ledger=msgspec.structs.replace(ledger, **changes),
        store=StoreSettings(directory=str(home / "store")),
    )


class Ledger:
    """A ledger's process on a listening socket that outlives it, as the supervisor's does."""

    def __init__(self, home: Path, settings: Config) -> None:
        self._path = home / "filterd.toml"
        self._settings = settings
        self._log = (home / "log").open("wb")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(settings.ledger.socket)
        self._listener.listen()
        self._listener.settimeout(0)
        self._beat = os.pipe2(os.O_NONBLOCK)
        self.process = self.start()

    def start(self) -> "multiprocessing.process.BaseProcess":
        self.process = FORK.Process(
            target=LedgerProcess(
                self._path, self._settings, self._listener, self._beat[1], Log(self._log.fileno())
            ).run
        )
        self.process.start()
        return self.process

    def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()

    def close(self) -> None:
        self.process.terminate()
        self.process.join(10)
        assert self.process.exitcode == 0
        self._log.close()
        self._listener.close()
        for end in self._beat:
            os.close(end)


@asynccontextmanager
async def running(home: Path, **changes: object) -> AsyncIterator[tuple[Ledger, LedgerClient, Config]]:
    settings = config(home, **changes)
    ledger = Ledger(home, settings)
    client = LedgerClient(settings.ledger, Log(-1))
    try:
        yield ledger, client, settings
    finally:
        await client.close()
        ledger.close()


def run(deed: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await deed()

    asyncio.run(main())


def ids(settings: Config) -> list[str]:
    return column(settings, s.MESSAGES.c.id)


def column(settings: Config, which: Column[Any]) -> list[str]:
    engine = database.opened(settings.ledger)
    try:
        with engine.connect() as connection:
            return list(connection.execute(select(which)).scalars())
    finally:
        engine.dispose()


def count(settings: Config, column: ColumnElement[Any]) -> int:
    engine = database.opened(settings.ledger)
    try:
        with engine.connect() as connection:
            return int(connection.execute(select(func.count(column))).scalar_one())
    finally:
        engine.dispose()


def test_a_record_that_was_answered_is_there(tmp_path: Path) -> None:
    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            await client.ping()
            records = [record() for _ in range(300)]
            await asyncio.gather(*(client.record(one) for one in records))
            assert sorted(ids(settings)) == sorted(one.id for one in records)

    run(deed)


def test_records_that_were_answered_survive_kills_of_the_ledger(tmp_path: Path) -> None:
    """P02: a client that waits asks again, and a record that was written already is not written twice."""

    async def deed() -> None:
        async with running(tmp_path) as (ledger, client, settings):
            await client.ping()
            answered: list[str] = []

            async def send() -> None:
                for _ in range(40):
                    one = record()
                    await client.record(one)
                    answered.append(one.id)

            async def kill() -> None:
                for _ in range(5):
                    await asyncio.sleep(0.15)
                    ledger.kill()
                    ledger.start()

            await asyncio.gather(kill(), *(send() for _ in range(8)))
            assert len(answered) == 320
            assert sorted(ids(settings)) == sorted(answered)

    run(deed)


def test_what_is_taken_back_is_kept_for_nobody(tmp_path: Path) -> None:
    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            one = record(kept=(kept(),), digest="ab" * 32)
            await client.record(one)
            assert count(settings, s.KEPT_FOR.c.id) == 1
            await client.take_back(one.id, "451 4.3.0")
            assert count(settings, s.KEPT.c.id) == count(settings, s.KEPT_FOR.c.id) == 0
            assert ids(settings) == [one.id]

    run(deed)


def test_what_people_hold_while_retention_runs_stays_and_nothing_else(
    tmp_path: Path, ledger_settings: LedgerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told that an entry is held has it, though its time ended at that moment; who does not is told so too."""
    monkeypatch.setattr(process, "_TIDY_FIRST_S", 0.01)
    monkeypatch.setattr(process, "_TIDY_EVERY_S", 0.0)
    store = Blobs(tmp_path / "store")
    entries = [kept(id=new_id(), expires_ms=0) for _ in range(120)]

    async def deed() -> None:
        async with running(tmp_path, url=ledger_settings.url) as (_, client, settings):
            digests = {one.id: store.put([one.id.encode()]) for one in entries}
            await asyncio.gather(
                *(client.record(record(kept=(one,), digest=digests[one.id])) for one in entries)
            )
            for path in (path for path in (tmp_path / "store").rglob("*") if path.is_file()):
                os.utime(path, (1, 1))  # nothing is spared for being young
            ends = expiring(settings, [one.id for one in entries])
            # Every third one is nobody's.
            lanes = [asyncio.to_thread(held, settings, ends[lane::6]) for lane in (0, 1, 3, 4)]
            said = set[str]().union(*await asyncio.gather(*lanes))
            wait_for(lambda: count(settings, s.KEPT.c.id) <= len(said) >= len(list(store.digests())), 30)
            await asyncio.sleep(0.5)  # retention comes again
            assert set(column(settings, s.KEPT.c.id)) == said == set(column(settings, s.EVENTS.c.subject))
            assert {digest for digest, _ in store.digests()} == {digests[one] for one in said}
            assert len(said) <= 80

    run(deed)


def expiring(settings: Config, entries: Sequence[str]) -> list[tuple[str, float]]:
    """Let the time of entries end one after the other, from in a second on. Returns each with its last moment."""
    ends = [(one, time.time() + 1 + number / 50) for number, one in enumerate(entries)]
    engine = database.opened(settings.ledger)
    with database.writing(engine) as connection:
        for one, at in ends:
            connection.execute(update(s.KEPT).where(s.KEPT.c.id == one).values(expires_ms=int(at * 1000)))
    engine.dispose()
    return ends


def held(settings: Config, ends: Sequence[tuple[str, float]]) -> set[str]:
    """Hold each at its last moment; return those of which it was said that they are."""
    said = set()
    engine = database.opened(settings.ledger)
    for one, at in ends:
        time.sleep(max(0.0, at - time.time()))
        with contextlib.suppress(RefusedError):
            acts.hold(engine, ALICE, one, "evidence")
            said.add(one)
    engine.dispose()
    return said


def test_tries_are_counted_and_injections_noted(tmp_path: Path) -> None:
    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            assert [await client.again(b"x" * 32) for _ in range(3)] == [1, 2, 3]
            assert await client.again(b"y" * 32) == 1
            one = record()
            await client.record(one)
            await client.injected(one.id, ("4AAA", "4BBB"))
            assert count(settings, s.INJECTIONS.c.id) == 2

    run(deed)


def test_one_record_that_no_table_takes_fails_alone(tmp_path: Path) -> None:
    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            there = kept()
            await client.record(record(kept=(there,)))
            bad = record(kept=(there,))
            good = [record() for _ in range(20)]
            results = await asyncio.gather(
                *(client.record(one) for one in (*good[:10], bad, *good[10:])), return_exceptions=True
            )
            failed = [isinstance(one, LedgerDownError) for one in results]
            assert failed == [number == 10 for number in range(21)]
            assert len(ids(settings)) == 21
            assert bad.id not in ids(settings)

    run(deed)


def test_one_record_that_is_none_fails_alone(tmp_path: Path) -> None:
    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            good = [record() for _ in range(4)]
            results = await asyncio.gather(
                *(client.record(one) for one in (*good, msgspec.structs.replace(record(), verdict=None))),
                return_exceptions=True,
            )
            assert [isinstance(one, LedgerDownError) for one in results] == [False] * 4 + [True]
            assert len(ids(settings)) == 4

    run(deed)


def test_a_database_that_cannot_be_made_is_said_and_found_again(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("in the way")

    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            with pytest.raises(LedgerDownError, match="cannot be used"):
                await client.record(record())
            (tmp_path / "ledger").unlink()
            one = record()
            await client.record(one)
            assert ids(settings) == [one.id]

    run(deed)


def test_a_ledger_that_is_away_is_an_error_in_time(tmp_path: Path) -> None:
    async def deed() -> None:
        client = LedgerClient(config(tmp_path, timeout_s=0.3).ledger, Log(-1))
        with pytest.raises(LedgerDownError, match="did not answer"):
            await client.record(record())
        client.noted("x")
        assert not await client.reached()
        await client.close()

    run(deed)


def test_a_connection_that_has_just_ended_is_no_error_of_ours(tmp_path: Path) -> None:
    # Between its end and the reader's turn to hear of it, uvloop raises RuntimeError for a write.
    async def deed() -> None:
        async with running(tmp_path) as (_, client, _settings):
            for turns in range(6):
                await client.ping()
                assert client._writer is not None
                client._writer.transport.abort()
                for _ in range(turns):
                    await asyncio.sleep(0)
                client.noted("clamd")
                await client.ping()

    uvloop.run(deed())


def test_a_database_that_is_locked_is_an_error_and_then_works_again(tmp_path: Path) -> None:
    async def deed() -> None:
        async with running(tmp_path, busy_s=0.2) as (_, client, settings):
            await client.ping()
            engine = database.opened(settings.ledger)
            with contextlib.ExitStack() as stack:
                stack.enter_context(database.writing(engine))
                with pytest.raises(LedgerDownError, match="locked"):
                    await client.record(record())
            engine.dispose()
            await client.record(record())
            assert len(ids(settings)) == 1

    run(deed)


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\2xx", b"\0\0"])
def test_a_frame_that_is_none_ends_its_connection_alone(tmp_path: Path, sent: bytes) -> None:
    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            reader, writer = await asyncio.open_unix_connection(settings.ledger.socket)
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await client.ping()

    run(deed)


def test_lists_of_senders_come_from_the_ledger(tmp_path: Path) -> None:
    """R08: what an administrator adds holds for the next message."""

    async def deed() -> None:
        async with running(tmp_path) as (_, client, settings):
            assert await client.listed() == ()
            engine = database.opened(settings.ledger)
            with database.writing(engine) as connection:
                connection.execute(
                    insert(s.LISTED).values(
                        verdict="reject", sender="@spam.example", recipient="b@rcpt.example", client="",
                        authentication="none", expires_ms=0, made_ms=1, made_by="root", note="",
                    )
                )  # fmt: skip
            engine.dispose()
            (entry,) = await client.listed()
            assert (entry.verdict, entry.senders, entry.recipients) == (
                "reject", ("@spam.example",), ("b@rcpt.example",),
            )  # fmt: skip

    run(deed)
