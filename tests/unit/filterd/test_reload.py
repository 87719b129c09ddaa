"""A reload never leaves the MTA without anybody who answers: old workers go when the new ones can serve."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from filterd import supervisor
from filterd.beats import Beat
from filterd.children import Child, Role
from filterd.config import Config
from filterd.log import Log
from filterd.supervisor import Supervisor
from tests.unit.filterd.daemon import running
from tests.unit.filterd.engines import wait_for


def test_a_reload_that_can_fork_nobody_leaves_the_old_ones(tmp_path: Path) -> None:
    with running(tmp_path, milter={"workers": 2}) as daemon:
        old, pid = daemon.workers(), daemon.process.pid
        used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
        first = next(number for number in range(1024) if number not in used)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # One descriptor, for the configuration; a new process needs two, for its pipe.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (first + 1, before[1]))
        daemon.signal(signal.SIGHUP)
        daemon.wait_for("worker_not_started", 2)
        for _ in range(3):
            with daemon.client() as client:
                assert client.message().code == b"c"
        assert sorted(daemon.workers()) == sorted(old)
        assert daemon.log("reloaded") == []
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        daemon.wait_for("reloaded")
        wait_for(lambda: len(daemon.workers()) == 2 and not set(daemon.workers()) & set(old))


class Children:
    """A supervisor whose children are only noted: who was started, and who was told what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: int) -> None:
        self.told: list[tuple[int, int]] = []
        self.log = tmp_path / "log"
        self._descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT)
        config = Config()
        it = self.it = Supervisor.__new__(Supervisor)
        it._path, it._config, it._log, it._workers = Path("f"), config, Log(self._descriptor), workers
        it._children, it._pause, it._next_start, it._stopping_until = {}, 0.1, 0.0, None
        it._reloading = False
        monkeypatch.setattr(supervisor, "load", lambda _: config)
        monkeypatch.setattr(os, "kill", lambda pid, number: self.told.append((pid, number)))
        monkeypatch.setattr(it, "_start_one", self.start)
        monkeypatch.setattr(config.__class__, "workers", workers)
        for _ in range(workers):
            self.start("worker").beat = Beat(ready=True)
        self.start("ledger").beat = Beat(ready=True)

    def start(self, role: Role) -> Child:
        pid = 100 + len(self.it._children)
        self.it._children[pid] = Child(pid, 0, role)
        return self.it._children[pid]

    def serving(self) -> int:
        return sum(one.ready and not one.leaving for one in self.it._of("worker"))

    def reload(self) -> None:
        self.it._reload()
        self.it._recycle()

    @property
    def waiting(self) -> list[Child]:
        return [one for one in self.it._of("worker") if not one.ready and not one.leaving]

    @property
    def reloaded(self) -> int:
        return self.log.read_text().count('"event":"reloaded"')

    def close(self) -> None:
        os.close(self._descriptor)


def test_old_workers_go_one_by_one_as_the_new_ones_can_serve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    them = Children(monkeypatch, tmp_path, workers=2)
    them.reload()
    assert them.told == [(102, signal.SIGHUP)]  # the ledger, which reads the file again
    assert (len(them.waiting), them.serving(), them.reloaded) == (2, 2, 0)
    first, second = them.waiting
    first.beat = Beat(ready=True)
    them.it._recycle()
    assert (them.serving(), them.reloaded) == (2, 0)
    second.beat = Beat(ready=True)
    them.it._recycle()
    assert [pid for pid, _ in them.told] == [102, 100, 101]
    assert (them.serving(), them.reloaded) == (2, 1)
    them.close()


def test_reloads_that_come_faster_than_workers_start_do_not_heap_them_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    them = Children(monkeypatch, tmp_path, workers=2)
    for turn in range(20):
        them.reload()
        assert them.serving() == 2
        assert len(them.waiting) == 2
        if turn % 2:
            them.waiting[0].beat = Beat(ready=True)
            them.it._recycle()
    assert them.serving() == 2
    assert them.reloaded == 0
    them.close()


def test_new_workers_that_die_at_their_start_end_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    them = Children(monkeypatch, tmp_path, workers=2)
    them.reload()
    for _ in range(5):
        for child in them.waiting:
            del them.it._children[child.pid]
            them.it._died(child, 1)
        them.it._next_start = time.monotonic()
        them.it._fill()
        them.it._recycle()
    assert [pid for pid, _ in them.told] == [102]
    assert (them.serving(), them.reloaded) == (2, 0)
    them.close()
