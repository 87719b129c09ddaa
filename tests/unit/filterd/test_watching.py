"""Who is told how filterd fares: the administrator by mail, watchers by HTTP, the service manager by its socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from filterd import supervisor
from filterd.beats import Beat
from filterd.children import Child
from filterd.config import load
from filterd.errors import ConfigError
from filterd.log import Log
from filterd.supervisor import SILENCE_S, Supervisor
from filterd.web import fetch
from tests.unit.filterd.daemon import ROOT, configuration, running
from tests.unit.filterd.engines import wait_for
from tests.unit.filterd.mta import Mta


def test_an_engine_that_dies_is_one_alert_one_mail_and_seen_by_watchers(tmp_path: Path) -> None:
    """P01: clamd is killed: 451, an alert, and it goes on by itself when it is back."""
    notify = {"admin": "admin@example.org"}
    inject = {"socket": str(tmp_path / "inject.sock")}
    with Mta(tmp_path / "inject.sock") as mta, running(tmp_path, notify=notify, inject=inject) as daemon:
        watched = tmp_path / "metrics.sock"
        wait_for(lambda: fetch(watched, "/health")[0] == 200)
        (tmp_path / "clamd.sock").rename(tmp_path / "away")
        with daemon.client() as client:
            for _ in range(3):
                assert client.message().payload.startswith(b"451 4.7.1 Message not inspected")
            (alert,) = daemon.wait_for("alert")
            assert alert["component"] == "clamd"
            wait_for(lambda: len(mta.letters) == 1)
            sender, recipients, letter = mta.letters[0]
            assert (sender, recipients) == (b"<>", [b"<admin@example.org>"])
            assert b"clamd fails" in letter
            assert b"b@rcpt.example" not in letter
            status, text = fetch(watched, "/health")
            health = json.loads(text)
            assert (status, health["alive"], health["ready"]) == (503, True, False)
            assert health["components"]["clamd"] == {"up": False}
            assert [one["component"] for one in health["alerts"]] == ["clamd"]
            metrics = fetch(watched, "/metrics")[1]
            assert 'filterd_component_up{component="clamd"} 0.0' in metrics
            assert 'filterd_alert{component="clamd"} 1.0' in metrics
            assert 'filterd_messages_total{class="not-inspected",outcome="deferred"} 3.0' in metrics
            (tmp_path / "away").rename(tmp_path / "clamd.sock")
            wait_for(lambda: fetch(watched, "/health")[0] == 200)
            assert client.message().code == b"c"
            assert len(daemon.log("alert")) == len(mta.letters) == 1


def test_sockets_of_the_service_manager_are_served(tmp_path: Path) -> None:
    (tmp_path / "filterd.toml").write_text(configuration(tmp_path))
    listener = socket.socket(socket.AF_INET)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    start = 'exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    command = (sys.executable, "-m", "filterd.cli", "serve", "--config", str(tmp_path / "filterd.toml"))
    with (
        listener,
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            ("sh", "-c", start, "sh", *command), stdin=listener.fileno(), stdout=log, cwd=ROOT
        ) as daemon,
    ):
        try:
            wait_for(lambda: b'"ready"' in (tmp_path / "log").read_bytes(), 20)
            with socket.create_connection(listener.getsockname(), 5) as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        finally:
            daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(15) == 0


def made(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Supervisor, list[str]]:
    (home / "filterd.toml").write_text(configuration(home))
    said: list[str] = []
    monkeypatch.setattr(supervisor, "notify", said.append)
    monkeypatch.setattr(supervisor, "watchdog_seconds", lambda: 0.001)
    return Supervisor(home / "filterd.toml", load(home / "filterd.toml"), Log(-1)), said


@pytest.mark.parametrize("silent", [None, "worker", "ledger"])
def test_the_watchdog_is_fed_only_while_every_role_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str | None
) -> None:
    it, said = made(tmp_path, monkeypatch)
    if silent == "worker":
        it._last_heard["worker"] = time.monotonic() - SILENCE_S - 1
    elif silent == "ledger":
        it._last_heard["ledger"] = time.monotonic() - SILENCE_S - 1
    it._say_how_it_goes()
    assert ("WATCHDOG=1" in said) is not bool(silent)
    it._unbind()
    assert not list(tmp_path.glob("*.sock"))


def test_no_room_for_a_process_is_borne(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it, _ = made(tmp_path, monkeypatch)

    def none() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", none)
    before = len(list(Path("/proc/self/fd").iterdir()))
    it._fill()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert it._next_start > time.monotonic()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTERM, signal.SIGHUP}
    it._unbind()


def test_a_socket_that_cannot_be_made_takes_the_others_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metrics.sock").mkdir()
    with pytest.raises(ConfigError, match=r"\[metrics\] socket"):
        made(tmp_path, monkeypatch)
    assert [one.name for one in tmp_path.glob("*.sock")] == ["metrics.sock"]


def test_the_log_has_one_line_a_message_and_no_subject(tmp_path: Path) -> None:
    """P28: subjects are the reader's business."""
    with running(tmp_path) as daemon, daemon.client() as client:
        for _ in range(3):
            client.message(b"Subject: in the body\r\n")
        lines = daemon.wait_for("message", 3)
        assert len(lines) == 3
        assert all("subject" not in json.dumps(line).lower() for line in lines)


def test_the_service_manager_hears_how_it_fares_when_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it, said = made(tmp_path, monkeypatch)
    heard, told = os.pipe()
    os.close(told)
    ledger = Child(os.getpid(), heard, "ledger")
    it._children[ledger.pid] = ledger
    states = (Beat(ready=False), Beat(ready=True), Beat(ready=True), Beat(ready=True, keep=True))
    try:
        for ledger.beat in states:
            it._say_status()
    finally:
        os.close(heard)
    it._unbind()
    none = f"STATUS=0 of {it._workers} workers ready, ledger"
    assert [text for text in said if text.startswith("STATUS=")] == [
        f"{none} down", f"{none} ready", f"{none} ready; something fails: `filterd status` says what",
    ]  # fmt: skip
