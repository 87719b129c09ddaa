"""What a worker survives: shortages, the loss of its socket or of its supervisor, an MTA that does not listen."""

import asyncio
import errno
import os
import resource
import signal
import socket
import time
from pathlib import Path

import pytest
import uvloop

from filterd import connection
from filterd.config import Config, load
from filterd.connection import Connection
from filterd.listener import bind, for_the_mta
from filterd.log import Log
from filterd.milter import commands as c
from filterd.milter import mta
from filterd.rates import Rates
from filterd.recent import Memory
from filterd.server import Worker
from filterd.service import Service
from tests.unit.filterd import dialogue, engines, recorder
from tests.unit.filterd.daemon import alive, configuration, running
from tests.unit.filterd.engines import wait_for


class Failing(Worker):
    """A worker that gets one connection; when the next is asked for, it fails once ``broken`` is set."""

    def __init__(self, config: Config, listener: socket.socket, beat: int, log: Log) -> None:
        super().__init__(config, listener, beat, log, workers=1, memory=Memory(4), rates=Rates(8))
        self.broken = asyncio.Event()
        self._served = False

    async def _next(self) -> socket.socket:
        if self._served:
            await self.broken.wait()
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._served = True
        return await super()._next()


def test_workers_whose_supervisor_died_finish_and_end(tmp_path: Path) -> None:
    with running(tmp_path, ends=-signal.SIGKILL, milter={"workers": 2}) as daemon:
        pids = daemon.workers()
        with daemon.client() as busy:
            daemon.clamd.gate.clear()
            busy.begin()
            busy.send(dialogue.content() + mta.plain(c.EndOfMessage))
            wait_for(lambda: bool(daemon.clamd.requests))
            daemon.process.kill()
            daemon.process.wait(5)
            wait_for(lambda: sum(alive(pid) for pid in pids) == 1)
            daemon.clamd.gate.set()
            assert busy.verdict().code == b"c"
        wait_for(lambda: not any(alive(pid) for pid in pids))


def test_a_worker_without_descriptors_waits_for_some(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        (worker,) = daemon.workers()
        with daemon.client() as served:
            open_now = len(list(Path(f"/proc/{worker}/fd").iterdir()))
            before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (open_now, before[1]))
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
                waiting.connect(str(daemon.socket))
                waiting.sendall(mta.offer())
                assert "Too many open files" in daemon.wait_for("accept_paused")[0]["why"]
                waiting.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    waiting.recv(1)
                resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
                waiting.settimeout(5)
                assert waiting.recv(5)[4:] == b"O"
            assert served.message().code == b"c"
        assert daemon.workers() == [worker]
        assert len(daemon.log("accept_paused")) == 1


def test_a_worker_that_cannot_accept_any_more_finishes_its_message(tmp_path: Path) -> None:
    path = tmp_path / "filterd.toml"
    path.write_text(configuration(tmp_path))
    config = load(path)
    heard, told = os.pipe2(os.O_NONBLOCK)

    async def run(worker: Failing) -> None:
        served = asyncio.ensure_future(worker._serve())
        client = await asyncio.to_thread(dialogue.Client(tmp_path / "milter.sock").__enter__)
        await asyncio.to_thread(client.begin)
        worker.broken.set()
        await asyncio.sleep(0.3)
        assert not served.done()
        assert (await asyncio.to_thread(client.finish)).code == b"c"
        client.__exit__()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await asyncio.wait_for(served, 5)

    with (
        bind(for_the_mta(config)) as listener,
        recorder.Server(tmp_path / "ledger.sock"),
        engines.Clamd(tmp_path / "clamd.sock"),
        engines.Spamd(tmp_path / "spamd.sock"),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run(Failing(config, listener, told, Log(-1))))
    os.close(heard)
    os.close(told)


def test_an_mta_that_takes_no_replies_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SEND_S", 0.3)
    monkeypatch.setattr(connection, "_CLOSE_S", 0.3)
    path = tmp_path / "filterd.toml"
    path.write_text(configuration(tmp_path))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.settimeout(0)
    reader_of_log, log = os.pipe()

    async def run() -> float:
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.transport.set_write_buffer_limits(high=0)
        service = Service(load(path), Log(log), workers=1)
        running = asyncio.ensure_future(Connection(service, reader, writer).run())
        data = mta.offer() + dialogue.greeting() + dialogue.envelope(recipients=[b"<b@rcpt.example>"] * 900)
        sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(theirs, data))
        begun = time.monotonic()
        await asyncio.wait_for(running, 5)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return time.monotonic() - begun

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert 0.5 < runner.run(run()) < 4
    assert b"the MTA takes no replies" in os.read(reader_of_log, 10_000)
    theirs.close()
    os.close(reader_of_log)
    os.close(log)


def test_workers_that_die_together_are_one_step_of_the_back_off(tmp_path: Path) -> None:
    # One step each time: 0.1 s, then 0.2 s; three steps each would come to 0.4 s, then 3.2 s.
    served = {"max_concurrent": 4}
    with running(tmp_path, milter={"workers": 3}, clamd=served, spamd=served) as daemon:
        for round_, longest in enumerate((0.3, 0.7), 1):
            for pid in daemon.workers():
                os.kill(pid, signal.SIGKILL)
            deaths = daemon.wait_for("worker_died", 3 * round_)
            assert all(death["restart_in_s"] <= longest for death in deaths[-3:])
            wait_for(lambda: len(daemon.workers()) == 3)
        with daemon.client() as client:
            assert client.message().code == b"c"
