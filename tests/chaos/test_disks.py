"""P02, P10: volumes that are full, out of inodes or read-only: 451, one alert, and all is well when there is room."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from filterd.config.ledger import LedgerSettings
from filterd.ledger import database
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.ledger.database import writing
from filterd.ledger.reserve import BYTES
from filterd.ledger.retention import tidied
from tests.chaos import account, full_ledger, volumes
from tests.chaos.gateway import Gateway
from tests.chaos.letters import letter
from tests.chaos.traffic import ACCEPTED, LATER, Post, Traffic, Try
from tests.chaos.volumes import Volume
from tests.unit.filterd.daemon import ROOT
from tests.unit.filterd.engines import wait_for

CLEAN, INFECTED, SPLIT = 0, 1, 4  # numbers of letters of these kinds
DAY_S = 86_400.0


class Bench:
    """A gateway whose store and ledger are small volumes, and a client of it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.store = Volume(gateway, gateway.home / "store")
        self.ledger = Volume(gateway, gateway.home / "ledger")
        self._traffic = Traffic(gateway.daemon.socket)
        self._post = Post(gateway.daemon.socket)

    def send(self, kind: int) -> str:
        """Send the next letter of a kind. Returns how it ended."""
        number = len(self._traffic.tries)
        one = letter(number * 5 + kind)
        how, said = self._post.send(one, f"4D{number:08}")
        self._traffic.tries.append(Try(letter=one, queue_id=f"4D{number:08}", how=how, said=said))
        return how

    def hang_up(self) -> None:
        self._post.hang_up()

    def works_again(self, kind: int) -> None:
        wait_for(lambda: self.send(kind) == ACCEPTED, 20)

    def alerts(self) -> list[str]:
        return [one["component"] for one in self.gateway.log("alert")]

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Return a copy of the ledger, made while nothing is written; SQLite would follow /proc/PID/root to our own root."""
        directory = Path(tempfile.mkdtemp(dir=self.gateway.home))
        for name in ("ledger.db", "ledger.db-wal"):
            shutil.copyfile(self.ledger.inside / name, directory / name)
        engine = database.opened(LedgerSettings(url=f"sqlite:///{directory}/ledger.db"))
        try:
            yield engine
        finally:
            engine.dispose()

    def blobs(self) -> Blobs:
        return Blobs(self.store.inside)

    def balanced(self) -> None:
        """What was accepted is there, as it came; what was not is not kept."""
        with self.engine() as engine:
            found = account.account_of(account.rows(engine), self.blobs(), self.gateway, self._traffic)
        assert not found.wrong, found

    def kept(self) -> set[str]:
        with self.engine() as engine, engine.connect() as connection:
            return set(connection.execute(select(s.KEPT.c.id)).scalars())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    volumes.needed()
    before = volumes.prefix(
        {tmp_path / "store": "size=1m,nr_inodes=300", tmp_path / "ledger": "size=8m,nr_inodes=100"}
    )
    with Gateway(tmp_path, prefix=before, milter={"workers": 1}) as gateway:
        gateway.start()
        bench = Bench(gateway)
        try:
            for kind in range(5):
                assert bench.send(kind) == ACCEPTED
            yield bench
        finally:
            bench.hang_up()


def test_disk_of_the_ledger_that_turns_read_only_under_it(tmp_path: Path) -> None:
    """A damaged disk: nothing was closed or killed, and what is mounted in its place is taken up without a restart."""
    volumes.needed()
    volumes.disks_needed()
    image = tmp_path / "image"
    volumes.disk(image, 32 << 20)
    before = volumes.prefix({}, {tmp_path / "ledger": image})
    with Gateway(tmp_path, prefix=before, milter={"workers": 1}) as gateway:
        gateway.start()
        bench = Bench(gateway)
        try:
            assert [bench.send(kind) for kind in (CLEAN, INFECTED, SPLIT)] == [ACCEPTED] * 3
            pid = gateway.daemon.ledger()
            bench.ledger.damage()
            assert [bench.send(kind) for kind in (CLEAN, INFECTED, SPLIT)] == [LATER] * 3
            wait_for(lambda: "ledger" in bench.alerts())
            bench.ledger.replace(image, tmp_path / "repaired")
            bench.works_again(INFECTED)
            bench.works_again(CLEAN)
            assert bench.alerts().count("ledger") == 1
            assert gateway.daemon.ledger() == pid
            bench.balanced()
        finally:
            bench.hang_up()


def test_retention_makes_room_on_a_ledger_that_has_filled_its_volume(tmp_path: Path) -> None:
    """SQLite cannot remove a row without room: what was due stayed for ever."""
    volumes.needed()
    command = [
        *volumes.prefix({tmp_path: "size=64m"}),
        sys.executable,
        "-m",
        full_ledger.__name__,
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)
    assert (seen["problem"], seen["reserved"]) == ("", BYTES)
    # A person can remove as well, again and again.
    assert seen["left by hand"] == []
    new = seen["written"] + 1 + full_ledger.UNWANTED
    assert seen["before"] == {
        "old": full_ledger.OLD + full_ledger.KEPT + 1, "new": new, "kept": full_ledger.KEPT + 2, "held": 1,
    }  # fmt: skip
    assert seen["removed"] == {
        "kept": full_ledger.KEPT, "records": full_ledger.OLD + full_ledger.KEPT, "listed": 0, "contents": 0,
    }  # fmt: skip
    # What is held stays, and what is newer than its rule.
    assert seen["after"] == {"old": 1, "new": new, "kept": 2, "held": 1}
    assert (seen["again"], seen["reserved again"]) == ("", BYTES)


@pytest.mark.parametrize("how", ["full", "inodes", "read-only"])
def test_store(bench: Bench, how: str) -> None:
    before = bench.kept()
    if how == "full":
        bench.store.fill()
    elif how == "inodes":
        bench.store.exhaust()
    else:
        bench.store.remount("ro")
    assert [bench.send(kind) for kind in (INFECTED, SPLIT, INFECTED)] == [LATER] * 3
    # What needs no store goes on.
    assert bench.send(CLEAN) == ACCEPTED
    wait_for(lambda: "store" in bench.alerts())
    assert bench.kept() == before
    if how == "read-only":
        bench.store.remount("rw")
    else:
        bench.store.make_room()
    bench.works_again(INFECTED)
    assert bench.alerts().count("store") == 1
    assert before < bench.kept()
    bench.balanced()


def test_full_ledger(bench: Bench) -> None:
    before = bench.kept()
    bench.ledger.fill()
    # The log of the database has some room that was written before; then nothing is accepted.
    wait_for(lambda: bench.send(INFECTED) == LATER, 20)
    assert [bench.send(kind) for kind in (CLEAN, SPLIT, INFECTED)] == [LATER] * 3
    wait_for(lambda: "ledger" in bench.alerts())
    bench.ledger.make_room()
    bench.works_again(CLEAN)
    bench.works_again(SPLIT)
    assert bench.alerts().count("ledger") == 1
    assert before <= bench.kept()
    bench.balanced()


def test_ledger_without_inodes_takes_on_what_it_can(bench: Bench) -> None:
    bench.ledger.exhaust()
    assert {bench.send(kind) for kind in (CLEAN, SPLIT, INFECTED)} <= {ACCEPTED, LATER}
    bench.ledger.make_room()
    bench.works_again(INFECTED)
    bench.balanced()


def test_ledger_that_is_opened_where_no_inode_is_left(bench: Bench) -> None:
    # It ends well, by which its log and index go from the disk; its successor finds no room for them.
    pid = bench.gateway.daemon.ledger()
    bench.ledger.exhaust()
    os.kill(bench.gateway.process.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGTERM)
    try:
        wait_for(lambda: _released(pid), 15)
        bench.ledger.exhaust()
    finally:
        os.kill(bench.gateway.process.pid, signal.SIGCONT)
    assert [bench.send(kind) for kind in (CLEAN, INFECTED)] == [LATER] * 2
    wait_for(lambda: "ledger" in bench.alerts())
    bench.ledger.make_room()
    bench.works_again(INFECTED)
    assert bench.alerts().count("ledger") == 1
    bench.balanced()


def test_read_only_ledger(bench: Bench) -> None:
    # A volume with files that are written cannot be made read-only by mount(8): the ledger's process is killed, and
    # its successor finds it so.
    daemon = bench.gateway.daemon
    pid = daemon.ledger()
    os.kill(bench.gateway.process.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    try:
        wait_for(lambda: _released(pid), 5)
        bench.ledger.remount("ro")
    finally:
        os.kill(bench.gateway.process.pid, signal.SIGCONT)
    assert [bench.send(kind) for kind in (CLEAN, INFECTED)] == [LATER] * 2
    assert "ledger" in bench.alerts()
    bench.ledger.remount("rw")
    bench.works_again(INFECTED)
    bench.balanced()


def _released(pid: int) -> bool:
    """Whether a killed process has let go of its files (it is a zombie)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_retention_on_a_full_volume_removes_what_is_due_and_nothing_else(bench: Bench) -> None:
    due, held, *rest = sorted(bench.kept())
    with bench.engine() as engine:
        bench.store.fill()
        # The store is not yet marked as this ledger's, for which there must be room; the daemon does so at its start.
        with pytest.raises(OSError, match="No space left"):
            tidied(engine, bench.blobs(), days=90)
        bench.store.make_room()
        assert not any(tidied(engine, bench.blobs(), days=90).values())
        bench.store.fill()

        def left() -> set[str]:
            with engine.connect() as connection:
                return set(connection.execute(select(s.KEPT.c.id)).scalars())

        with writing(engine) as connection:
            past = int((time.time() - DAY_S) * 1000)
            for one in (due, held):
                connection.execute(update(s.KEPT).where(s.KEPT.c.id == one).values(expires_ms=past))
            connection.execute(update(s.KEPT).where(s.KEPT.c.id == held).values(held_by="alice"))
        assert tidied(engine, bench.blobs(), days=90) == {"kept": 1, "records": 0, "listed": 0, "contents": 0}
        assert left() == {held, *rest}
        # Its content goes when it is older than the longest time for which a message could wait for its record.
        later = time.time() + 2 * 3600
        assert tidied(engine, bench.blobs(), days=90, now=later) == {
            "kept": 0,
            "records": 0,
            "listed": 0,
            "contents": 1,
        }
        assert left() == {held, *rest}
        with engine.connect() as connection:
            for digest in connection.execute(select(s.KEPT.c.digest)).scalars():
                assert b"".join(bench.blobs().pieces(digest))
