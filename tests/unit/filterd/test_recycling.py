"""Workers and the ledger's process are replaced while mail flows: nothing is refused but by 451, nothing is lost."""

import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from filterd.beats import Beat
from filterd.children import Child
from filterd.config import RecycleSettings
from filterd.web import fetch
from tests.unit.filterd.daemon import Daemon, running
from tests.unit.filterd.engines import wait_for


class Traffic:
    """Clients that send one message after the other, a connection each few, until they are told to stop."""

    def __init__(self, daemon: Daemon, clients: int = 4) -> None:
        self.codes: list[bytes] = []
        self.errors: list[Exception] = []
        self._daemon = daemon
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(clients)]

    def _send(self) -> None:
        while not self._stop.is_set():
            try:
                with self._daemon.client() as client:
                    for _ in range(5):
                        answer = client.message()
                        self.codes.append(answer.code + answer.payload[:3])
            except OSError as error:
                self.errors.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def more(self, count: int) -> Callable[[], bool]:
        wanted = len(self.codes) + count
        return lambda: len(self.codes) >= wanted


def records(daemon: Daemon) -> int:
    with sqlite3.connect(daemon.home / "ledger" / "ledger.db") as database:
        return int(database.execute("select count(*) from messages where reply = 'continue'").fetchone()[0])


def test_worn_workers_are_replaced_and_no_message_is_refused(tmp_path: Path) -> None:
    served = {"max_concurrent": 4}
    with running(
        tmp_path, milter={"workers": 2}, clamd=served, spamd=served, recycle={"messages": 20}
    ) as daemon:
        first = daemon.workers()
        with Traffic(daemon) as traffic:
            wait_for(lambda: len(daemon.log("worker_recycled")) >= 4, 30)
        assert traffic.errors == []
        assert set(traffic.codes) == {b"c"}
        wait_for(lambda: len(daemon.workers()) == 2, 15)
        assert not set(first) & set(daemon.workers())
        assert all(one["messages"] >= 18 for one in daemon.log("worker_recycled"))
        assert daemon.log("worker_died") == []
        assert records(daemon) == len(traffic.codes)


def test_the_ledger_is_replaced_by_age_and_no_message_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, recycle={"age_s": 3.0, "messages": 0}) as daemon:
        with Traffic(daemon, 2) as traffic:
            wait_for(lambda: len(daemon.log("ledger_recycled")) >= 2, 30)
            wait_for(traffic.more(5), 15)
        assert traffic.errors == []
        assert set(traffic.codes) == {b"c"}
        assert daemon.log("ledger_died") == []
        assert records(daemon) == len(traffic.codes)


def test_a_ledger_that_is_killed_costs_nothing_but_time(tmp_path: Path) -> None:
    """P02, P01: SIGKILL under traffic; one alert, and the one behind it knows of it."""
    with running(tmp_path, ledger={"timeout_s": 8.0}) as daemon:
        with Traffic(daemon, 3) as traffic:
            for _ in range(2):
                wait_for(traffic.more(10), 15)
                pid = daemon.ledger()
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda pid=pid: pid not in daemon.ledgers() and bool(daemon.ledgers()), 15)  # type: ignore[misc] # mypy cannot type a lambda's default
            wait_for(traffic.more(10), 15)
        assert traffic.errors == []
        assert set(traffic.codes) == {b"c"}
        assert len(daemon.log("ledger_died")) == 2
        assert [one["component"] for one in daemon.log("alert")] == ["ledger"]
        assert records(daemon) == len(traffic.codes)
        assert "the ledger's process ended with -9" in fetch(daemon.home / "metrics.sock", "/health")[1]
        wait_for(lambda: fetch(daemon.home / "metrics.sock", "/health")[0] == 200, 30)


def test_a_reload_that_reaches_the_ledger_at_its_start_does_not_end_it(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        os.kill(daemon.ledger(), signal.SIGKILL)
        daemon.wait_for("ledger_died")
        for _ in range(10):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.05)
        with daemon.client() as client:
            assert client.message().code == b"c"
        assert len(daemon.log("ledger_died")) == 1


def test_a_gateway_whose_database_is_away_comes_up_and_says_later(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("in the way")
    with running(tmp_path, starts_s=30, ledger={"timeout_s": 1.0}) as daemon:
        assert daemon.log("ready")[0]["ledger"] is False
        with daemon.client() as client:
            assert client.message().payload.startswith(b"451 4.3")
            status, text = fetch(tmp_path / "metrics.sock", "/health")
            assert status == 503
            assert re.search(r'"component":"ledger","problem":"the ledger[^"]* cannot be used', text)
            (tmp_path / "ledger").unlink()
            wait_for(lambda: fetch(tmp_path / "metrics.sock", "/health")[0] == 200)
            assert client.message().code == b"c"


def test_what_is_worn() -> None:
    bounds = RecycleSettings(messages=100, age_s=1000, rss_bytes=10**6)
    child = Child(1, -1, "worker")
    child.beat = Beat(messages=10**6)
    assert child.worn(bounds) == "messages"
    child.beat = Beat(messages=89, rss=10**6)
    assert child.worn(bounds) == ""
    child.beat = Beat(rss=10**6 + 1)
    assert child.worn(bounds) == "rss"
    child.beat = Beat()
    child.started -= 1000
    assert child.worn(bounds) == "age"
    assert child.worn(RecycleSettings(messages=0, age_s=0, rss_bytes=0)) == ""
    child.beat = Beat(keep=True)
    assert child.worn(bounds) == ""
    ledger = Child(1, -1, "ledger")
    ledger.beat = Beat(messages=10**6)
    assert ledger.worn(bounds) == ""
