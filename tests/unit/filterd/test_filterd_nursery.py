"""The daemon with its real parse workers: what ends when, and what the MTA hears of it."""

import base64
import os
import signal
import time
from pathlib import Path

from filterd.milter import commands as c
from filterd.milter import mta
from tests.unit.filterd import dialogue, engines
from tests.unit.filterd.daemon import Daemon, alive, running
from tests.unit.filterd.engines import wait_for


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def nursery(daemon: Daemon) -> int:
    """The nursery of the only worker, once it has answered for a message."""
    (worker,) = daemon.workers()
    with daemon.client() as client:
        assert client.message().code == b"c"
    (pid,) = children(worker)
    return pid


def test_a_nursery_killed_in_the_middle_costs_a_451_and_no_more(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        pid = nursery(daemon)
        for one in (pid, *children(pid)):
            os.kill(one, signal.SIGSTOP)
        with daemon.client() as client:
            client.begin()
            client.send(
                dialogue.content(body=b"not seen before\r\n")
                + mta.macros(c.EndOfMessage, {b"i": b"4XyZ"})
                + mta.plain(c.EndOfMessage)
            )
            time.sleep(0.5)  # a parse worker has the job, and does not get to it
            os.kill(pid, signal.SIGKILL)
            refused = client.verdict()
            assert refused.payload.startswith(b"451 4.7.1 Message not inspected")
            assert b"[parse.unavailable]" in refused.payload
            assert client.message().code == b"c"
        assert daemon.wait_for("parse_nursery_died")[0]["pid"] == pid
        assert daemon.log("worker_died") == []


def test_a_nursery_ends_with_its_worker(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        first = nursery(daemon)
        daemon.signal(signal.SIGHUP)
        daemon.wait_for("reloaded")
        wait_for(lambda: not alive(first))
        wait_for(lambda: len(daemon.workers()) == 1)
        second = nursery(daemon)
        os.kill(daemon.workers()[0], signal.SIGKILL)
        wait_for(lambda: not alive(second))
        daemon.wait_for("worker_died")
        wait_for(lambda: len(daemon.workers()) == 1)
        third = nursery(daemon)
        assert daemon.stop() == 0
        wait_for(lambda: not alive(third))


def test_what_an_attachment_hides_is_refused(tmp_path: Path) -> None:
    hidden = base64.encodebytes(engines.EICAR).replace(b"\n", b"\r\n")
    with running(tmp_path) as daemon, daemon.client() as client:
        client.begin()
        headers = (*dialogue.HEADERS, (b"Content-Transfer-Encoding", b" base64"))
        client.send(
            dialogue.content(headers, hidden)
            + mta.macros(c.EndOfMessage, {b"i": b"4XyZ"})
            + mta.plain(c.EndOfMessage)
        )
        assert b"[virus.signature]" in client.verdict().payload
        findings = daemon.wait_for("message")[0]["findings"]
        assert [(one["rule"], one["path"]) for one in findings if one["rule"].startswith("virus.")] == [
            ("virus.signature", "1")
        ]


def test_a_retired_worker_has_a_nursery_only_while_there_is_work(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        (worker,) = daemon.workers()
        with daemon.client() as client:
            assert client.message().code == b"c"
            (first,) = children(worker)
            daemon.signal(signal.SIGHUP)
            wait_for(lambda: not alive(first))
            assert alive(worker)
            assert client.message().code == b"c"
        wait_for(lambda: not alive(worker))
        assert daemon.log("parse_nursery_died") == []
