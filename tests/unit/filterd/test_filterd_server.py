import json
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from filterd.config import load
from filterd.connection import wish
from filterd.milter import commands as c
from filterd.milter import mta
from filterd.milter.frames import frame
from filterd.stages import ORDER
from tests.unit.filterd import dialogue
from tests.unit.filterd.daemon import configuration, running
from tests.unit.filterd.engines import EICAR, GTUBE, wait_for


def test_clean_infected_and_spam_on_one_connection(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as client:
        assert client.begin((b"<b@x>", b"<c@x>")) == [b"c", b"c"]
        assert client.finish().code == b"c"
        assert set(daemon.clamd.requests) == {dialogue.as_sent(), dialogue.BODY}
        assert daemon.spamd.requests[0].endswith(dialogue.as_sent())
        client.send(mta.plain(c.Abort))
        answer = client.message(EICAR)
        assert (answer.code, answer.payload) == (
            b"y",
            b"550 5.7.1 Message refused: virus [virus.signature] id=4XyZ\0",
        )
        assert len(daemon.spamd.requests) == 1
        answer = client.message(GTUBE)
        assert answer.payload == b"550 5.7.1 Message refused: spam [spam.score] id=4XyZ\0"
        clean, virus, spam = daemon.wait_for("message", 3)
        assert {
            "id": "4XyZ", "client": "198.51.100.7", "client_name": "client.example", "helo": "client.example",
            "sender": "<a@sender.example>", "recipients": ["<b@x>", "<c@x>"], "recipient_count": 2,
            "size": len(dialogue.as_sent()), "verdict": "clean", "reply": "continue",
        }.items() <= clean.items()  # fmt: skip
        assert set(clean["stage_ms"]) == {stage.id for stage in ORDER}
        assert "virus.signature" in {one["rule"] for one in virus["findings"]}
        assert virus["verdict"] == "infected"
        assert spam["findings"][-1]["score"] == 1000.0
        assert "Subject" not in str([clean, virus, spam])


@pytest.mark.parametrize("steps", [0, mta.ALL_STEPS], ids=["every command answered", "quiet"])
def test_what_an_mta_may_offer(tmp_path: Path, steps: int) -> None:
    with running(tmp_path) as daemon, daemon.client(steps=steps) as client:
        assert client.agreed[0] == 6
        assert client.agreed[1] & ~0x100 == wish(load(daemon.config)).needs
        client.send(dialogue.greeting() + dialogue.envelope())
        for _ in range(1 if steps else 4):
            assert client.answer().code == b"c"
        client.send(dialogue.content() + mta.plain(c.EndOfMessage, b"tail"))
        for _ in range(0 if steps else 5):
            assert client.answer().code == b"c"
        assert client.verdict().code == b"c"
        wanted = dialogue.as_sent(
            tuple((name, value if steps else b" " + value) for name, value in dialogue.HEADERS)
        )
        assert wanted + b"tail" in daemon.clamd.requests


def test_a_large_message_goes_to_disk_and_an_oversize_one_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as client:
        body = b"0123456789abcde\n" * 20_000
        assert client.message(body).code == b"c"
        assert dialogue.as_sent(body=body) in daemon.clamd.requests
        before = len(daemon.clamd.requests)
        assert client.message(body * 4).payload.startswith(b"552 5.3.4 ")
        assert len(daemon.clamd.requests) == before


def test_a_header_that_the_mta_may_have_cut_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as client:
        client.begin()
        client.send(dialogue.content(((b"X-Long", b" " + b"y" * 59_999),)) + mta.plain(c.EndOfMessage))
        assert client.verdict().payload.startswith(b"552 5.3.4 Message refused: too large")
        assert daemon.wait_for("message")[0]["rule"] == "limit.header"
        assert daemon.clamd.requests == []
        assert client.message().code == b"c"


def test_a_client_of_no_known_address_is_called_so(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as client:
        client.send(frame(c.Connect.code, b"unknown\0U") + dialogue.envelope())
        client.answer()
        assert client.finish().code == b"c"
        assert daemon.wait_for("message")[0]["client"] == "unknown"
        assert b"(unknown)\r\n" in daemon.spamd.requests[0]


@pytest.mark.parametrize("engine", ["clamd", "spamd"])
def test_an_engine_that_is_down_means_later_and_its_return_means_now(tmp_path: Path, engine: str) -> None:
    with running(tmp_path) as daemon, daemon.client() as client:
        path = tmp_path / f"{engine}.sock"
        path.rename(tmp_path / "away")
        stage = {"clamd": "virus", "spamd": "spam"}[engine]
        answer = client.message(EICAR if engine == "clamd" else GTUBE)
        text = f"451 4.7.1 Message not inspected, please try again later [{stage}.unavailable] id=4XyZ\0"
        assert answer.payload == text.encode()
        (tmp_path / "away").rename(path)
        assert client.message().code == b"c"
        assert [record["scanner"] for record in daemon.log("scanner_down")] == [engine]
        assert [record["scanner"] for record in daemon.wait_for("scanner_up")] == [engine]
        assert daemon.log("message")[0]["verdict"] == "not-inspected"


@pytest.mark.parametrize("answer", [b"", b"stream: OK", b"stream: maybe\0"])
def test_an_engine_that_lies_means_later(tmp_path: Path, answer: bytes) -> None:
    with running(tmp_path) as daemon, daemon.client() as client:
        daemon.clamd.answer = answer
        assert client.message().payload.startswith(b"451 4.7.1 ")


def test_a_slow_engine_means_progress_and_then_later(tmp_path: Path) -> None:
    quick = {"scan_timeout_s": 2.0, "progress_s": 0.2}
    changes = {"timeout_s": 1.9}
    parse = {"timeout_s": 1.9, "seconds": 1.0}
    with (
        running(tmp_path, milter=quick, clamd=changes, spamd=changes, parse=parse) as daemon,
        daemon.client() as client,
    ):
        assert client.message().code == b"c"
        daemon.clamd.gate.clear()
        client.begin()
        client.send(dialogue.content(body=b"another\r\n") + mta.plain(c.EndOfMessage))
        assert client.answer().code == b"p"
        assert client.verdict().payload.startswith(b"451 4.7.1 ")
        daemon.clamd.gate.set()


def test_the_header_is_added_only_if_told_so_and_offered(tmp_path: Path) -> None:
    with running(tmp_path, policy={"add_header": True}) as daemon:
        with daemon.client() as client:
            client.begin()
            client.send(dialogue.content() + mta.plain(c.EndOfMessage))
            answer = client.answer()
            assert (answer.code, answer.payload) == (b"i", b"\0\0\0\0X-Bastide-Verdict\0 clean\0")
            assert client.answer().code == b"c"
        with pytest.raises(ConnectionError), daemon.client(actions=0):
            pass
        assert "ADD_HEADERS" in daemon.wait_for("protocol_error")[0]["why"]


def test_too_many_recipients_are_told_so(tmp_path: Path) -> None:
    with running(tmp_path, milter={"max_recipients": 2}) as daemon, daemon.client() as client:
        assert client.begin((b"<a@x>", b"<b@x>", b"<c@x>")) == [b"c", b"c", b"y"]
        assert client.finish().code == b"c"
        assert daemon.wait_for("message")[0]["recipient_count"] == 2


def test_a_peer_that_errs_loses_its_connection_and_nobody_else_theirs(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as good:
        for bad in (
            b"\xff\xff\xff\xff",
            mta.plain(c.EndOfMessage),
            mta.strings(c.Rcpt, b"<a@x>"),
            b"\0\0\0\1\1",
        ):
            with daemon.client() as client:
                client.send(bad)
                with pytest.raises(ConnectionError):
                    client.answer()
        assert good.message().code == b"c"
        assert len(daemon.wait_for("protocol_error", 4)) == 4


def test_a_silent_peer_is_left(tmp_path: Path) -> None:
    with (
        running(tmp_path, milter={"idle_timeout_s": 0.3, "message_timeout_s": 0.3}) as daemon,
        daemon.client() as idle,
        daemon.client() as slow,
    ):
        slow.begin()
        for client in (slow, idle):
            with pytest.raises(ConnectionError):
                client.answer()
        assert daemon.wait_for("message_unfinished")[0]["why"] == "the MTA was silent for too long"


def test_connections_beyond_the_bound_wait_and_are_then_served(tmp_path: Path) -> None:
    with running(tmp_path, milter={"max_connections": 1}) as daemon:
        with daemon.client() as first:
            waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            waiting.connect(str(daemon.socket))
            waiting.sendall(mta.offer())
            waiting.settimeout(0.3)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
            assert first.message().code == b"c"
        waiting.settimeout(5)
        assert waiting.recv(5)[4:] == b"O"
        waiting.close()


def test_an_mta_that_leaves_during_the_scan_is_noticed(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        daemon.clamd.gate.clear()
        with daemon.client() as client:
            client.begin()
            client.send(dialogue.content() + mta.plain(c.EndOfMessage))
            wait_for(lambda: bool(daemon.clamd.requests))
        assert daemon.wait_for("message_unfinished")[0]["why"] == "the MTA closed the connection"
        daemon.clamd.gate.set()


def test_no_room_means_later(tmp_path: Path) -> None:
    with (
        running(tmp_path, milter={"spool_dir": str(tmp_path / "missing")}) as daemon,
        daemon.client() as client,
    ):
        assert client.message(b"x" * 450_000).payload.startswith(b"451 4.3.1 ")
        assert client.message().code == b"c"
        assert len(daemon.log("spool_failed")) == 1


def test_a_stop_finishes_the_message_in_progress_and_leaves_idle_connections(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as busy, daemon.client() as idle:
        daemon.clamd.gate.clear()
        busy.begin()
        busy.send(dialogue.content() + mta.plain(c.EndOfMessage))
        wait_for(lambda: bool(daemon.clamd.requests))
        daemon.signal(signal.SIGTERM)
        with pytest.raises(ConnectionError):
            idle.answer()
        daemon.clamd.gate.set()
        assert busy.verdict().code == b"c"
        assert daemon.process.wait(10) == 0
        assert len(daemon.log("message")) == 1


def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    with running(tmp_path, milter={"drain_s": 0.5}) as daemon, daemon.client() as client:
        client.begin()
        assert daemon.stop() == 0
        with pytest.raises(ConnectionError):
            client.finish()


def test_a_reload_swaps_and_a_bad_file_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as old:
        before = daemon.workers()
        daemon.config.write_text("[spamd]\nmax_byte = 1\n")
        daemon.signal(signal.SIGHUP)
        assert "did you mean max_bytes?" in daemon.wait_for("reload_refused")[0]["why"]
        assert daemon.workers() == before
        assert old.message().code == b"c"
        daemon.config.write_text(configuration(tmp_path, policy={"precision": "very_high"}))
        daemon.signal(signal.SIGHUP)
        daemon.wait_for("reloaded")
        daemon.spamd.score = 6.0

        def refused() -> bool:
            with daemon.client() as new:
                return new.message().payload.startswith(b"550 5.7.1 Message refused: spam")

        wait_for(refused)  # the old worker may take one more connection before it hears of it
        assert old.message().code == b"c"  # a connection ends under the rules it began with
        daemon.config.write_text(configuration(tmp_path, milter={"socket": str(tmp_path / "other")}))
        daemon.signal(signal.SIGHUP)
        assert "takes a restart" in daemon.wait_for("reload_refused", 2)[1]["why"]
        old.send(mta.plain(c.Quit))
        wait_for(lambda: len(daemon.workers()) == 1)
        assert daemon.workers() != before
        assert daemon.log("worker_died") == []


def test_a_killed_worker_is_replaced_while_the_others_serve(tmp_path: Path) -> None:
    with running(tmp_path, milter={"workers": 2}) as daemon:
        victim, other = daemon.workers()
        os.kill(victim, signal.SIGKILL)
        for _ in range(5):
            with daemon.client() as client:
                assert client.message().code == b"c"
        assert daemon.wait_for("worker_died")[0]["code"] == -signal.SIGKILL
        wait_for(lambda: len(daemon.workers()) == 2)
        assert other in daemon.workers()


def test_the_socket_has_its_mode_and_a_second_daemon_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, milter={"socket_mode": "0640"}) as daemon:
        assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o640
        second = tmp_path / "2"  # the path of a unix socket is short (unix(7))
        second.mkdir()
        with pytest.raises(AssertionError), running(second, milter={"socket": str(daemon.socket)}):
            pass
        assert "another filterd serves" in (second / "stderr").read_text()
        (line,) = [one for one in (second / "log").read_text().splitlines() if '"waiting"' in one]
        assert json.loads(line)["why"].startswith("[milter] socket: another filterd serves")
        with daemon.client() as client:
            assert client.message().code == b"c"


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(tmp_path / "milter.sock"))
    stale.close()
    with running(tmp_path) as daemon, daemon.client() as client:
        assert client.message().code == b"c"


def test_a_signature_that_has_come_meanwhile_holds_for_a_message_that_was_seen_before(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.client() as client:
        for _ in range(3):
            assert client.message().code == b"c"
        assert len(daemon.spamd.requests) == 1
        daemon.clamd.answer = b"fd[9]: New.Signature FOUND\0"
        assert b"[virus.signature]" in client.message().payload
        daemon.clamd.answer = None
        # What is convicted stays so for a while, and costs nothing.
        assert b"[virus.signature]" in client.message().payload
        assert len(daemon.spamd.requests) == 1
