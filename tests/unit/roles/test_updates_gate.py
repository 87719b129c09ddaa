"""The gate on the host: it passes who filters, and finds each thing that can be wrong."""

import fcntl
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from roles.updates.host import gate, machine

DECLARED = {"recipient": "postmaster@example.org", "smtp_port": 25}


HELD = "451 4.7.1 Message not accepted for now: policy [hold.{}] id=4XyZ"


REPLIES = {
    "clean": HELD.format("clean"),
    "eicar": "550 5.7.1 Message refused: virus [virus.signature] id=4XyZ",
    "gtube": "550 5.7.1 Message refused: spam [spam.high] id=4XyZ",
}


@contextmanager
def mta(answer: Callable[[bytes], str]) -> Iterator[int]:
    """Serve SMTP on a port of loopback; ``answer`` gives the reply to a message."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line, line.makefile("rwb") as stream:

                def say(text: str) -> None:
                    stream.write(f"{text}\r\n".encode())
                    stream.flush()

                say("220 mx ESMTP")
                while word := stream.readline():
                    if word.startswith(b"DATA"):
                        say("354 go on")
                        text = b""
                        while (part := stream.readline()) != b".\r\n":
                            text += part
                        say(answer(text))
                    else:
                        say("250-mx\r\n250 SIZE" if word.startswith(b"EHLO") else "250 Ok")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def replies(wanted: Mapping[str, str]) -> Callable[[bytes], str]:
    def answer(text: bytes) -> str:
        return wanted["eicar" if gate.EICAR in text else "gtube" if gate.GTUBE in text else "clean"]

    return answer


@pytest.mark.parametrize("name", REPLIES)
def test_a_gateway_that_filters_passes(name: str) -> None:
    with mta(replies(REPLIES)) as port:
        check = gate.checked_message(name, {**DECLARED, "smtp_port": port}, 10)
    assert check.well, check
    assert REPLIES[name] in check.seen


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("clean", "250 2.0.0 Ok: queued as 4XyZ"),
        ("clean", "451 4.7.1 Message not inspected, please try again later [virus.clamd] id=4XyZ"),
        ("clean", HELD.format("spam")),
        ("clean", "451 4.7.1 Service unavailable - try again later"),
        ("eicar", "250 2.0.0 Ok: queued as 4XyZ"),
        ("eicar", HELD.format("clean")),
        ("eicar", "550 5.7.1 Relaying denied"),
        ("gtube", HELD.format("clean")),
        ("gtube", "550 5.7.1 Message refused: virus [virus.signature] id=4XyZ"),
    ],
)
def test_a_gateway_that_does_not_filter_fails(name: str, reply: str) -> None:
    with mta(replies({**REPLIES, name: reply})) as port:
        check = gate.checked_message(name, {**DECLARED, "smtp_port": port}, 10)
    assert not check.well
    assert gate.past_hope([check]) == (name != "clean" and (reply.startswith("250") or "hold.clean" in reply))


@pytest.mark.parametrize("name", ["eicar", "gtube"])
def test_a_chain_that_keeps_in_place_of_refusing_passes(name: str) -> None:
    kept = HELD.format("infected" if name == "eicar" else "spam")
    with mta(replies({**REPLIES, name: kept})) as port:
        assert gate.checked_message(name, {**DECLARED, "smtp_port": port}, 10).well


def test_an_mta_that_is_away_or_silent_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "no answer" in gate.checked_message("clean", {**DECLARED, "smtp_port": port}, 0.2).seen
    assert not gate.checked_message("clean", {**DECLARED, "smtp_port": port}, 1).well


def test_what_listens_is_named_by_protocol_address_and_program() -> None:
    seen = gate.listening(
        'tcp LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("master",pid=7,fd=13))\n'
        'udp UNCONN 0 0 127.0.0.1:53 0.0.0.0:* users:(("unbound",pid=8,fd=3))\n'
        'udp UNCONN 0 0 0.0.0.0:40123 0.0.0.0:* users:(("unbound",pid=8,fd=9))\n\n'
    )
    assert seen == ["tcp 0.0.0.0:25 master", "udp 127.0.0.1:53 unbound"]


def test_the_age_of_signatures_is_what_clamd_says() -> None:
    now = 1_700_000_000.0
    assert gate.database_hours("ClamAV 1.4.3/27000/Tue Nov 14 12:13:20 2023", now) == pytest.approx(
        10, abs=15
    )
    assert gate.database_hours("ClamAV 1.4.3", now) is None


def test_a_hold_of_its_own_goes_and_one_that_was_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "hold"
    with gate.holding(file, tmp_path / "lock"):
        assert file.exists()
        with gate.holding(file, tmp_path / "lock"):
            pass
        assert file.exists()
    assert not file.exists()


def test_the_gate_is_no_gate_of_a_host_that_was_not_deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gate, "DECLARED", tmp_path / "missing.json")
    assert gate.main([]) == 2


def test_a_timer_that_an_update_left_stopped_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {
        "list-unit-files": "a.timer enabled enabled\nb.service enabled enabled\n",
        "list-units": "b.service loaded active running B\n",
    }
    monkeypatch.setattr(gate, "ran", lambda *words, **_more: lists.get(words[1], ""))
    assert gate.active_units() == ["b.service"]
    found = {
        one.name: one
        for one in gate.checks(
            {**DECLARED, "units": [], "smtp_port": 1, "clamd_socket": "/x", "database_hours": 0},
            {"active": ["a.timer", "b.service"]},
            0,
        )
    }
    assert found["stopped-units"].seen == "a.timer"
    assert not found["stopped-units"].well


def test_a_snapshot_is_what_is_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "ran", lambda *_words, **_more: "")
    assert gate.main(["--snapshot"]) == 0
    assert json.loads(capsys.readouterr().out) == {"failed": [], "active": [], "listening": []}


def test_who_opened_a_socket_is_named_and_not_the_child_that_holds_it_too() -> None:
    line = 'tcp LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("smtpd",pid=91,fd=6),("master",pid=7,fd=13))\n'
    forwarded = (
        'tcp LISTEN 0 128 127.0.0.1:6010 0.0.0.0:* users:(("sshd",pid=99,fd=9))\n'
        'tcp LISTEN 0 128 0.0.0.0:40000 0.0.0.0:* users:(("nc",pid=99,fd=9))\n'
        'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=3,fd=3))\n'
    )
    assert gate.listening(line + forwarded) == ["tcp 0.0.0.0:22 sshd", "tcp 0.0.0.0:25 master"]


def test_a_gate_by_hand_lays_no_hold_beside_a_run_that_has_none_yet(tmp_path: Path) -> None:
    file, lock = tmp_path / "hold", tmp_path / "lock"
    with lock.open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        with pytest.raises(gate.BusyError), gate.holding(file, lock):
            pass
        assert not file.exists()
        # The run's own gate: by then it has mail on hold.
        file.write_text(f"{machine.OWN}updates\n")
        with gate.holding(file, lock):
            pass
        assert file.exists()


def test_a_gate_removes_no_hold_but_its_own(tmp_path: Path) -> None:
    file = tmp_path / "hold"
    with gate.holding(file, tmp_path / "lock"):
        file.write_text("by hand\n")
    assert file.read_text() == "by hand\n"


def test_a_run_asks_the_gate_also_when_an_administrator_has_ended_its_hold(tmp_path: Path) -> None:
    """The run has the lock already; what the gate sends is still held, and mail flows behind it as before."""
    file, lock = tmp_path / "hold", tmp_path / "lock"
    with lock.open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        with gate.holding(file, lock, locked=True):
            assert file.exists()
        assert not file.exists()
