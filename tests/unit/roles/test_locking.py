"""One run at a time on a host: held by the session, told to the next, free when the session is gone."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from pyinfra.api import DeployError

from roles import locking
from roles.locking import LOCK, alone, holding


def script(place: Path) -> str:
    return holding("somebody on a desk").replace("/run/", f"{place}/").replace(" -w 60 ", " -w 1 ")


@contextmanager
def held(place: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        ["sh", "-c", script(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def tried(place: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", script(place)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout


def freed(place: Path) -> None:
    """Wait until the lock can be had: what read the session's input ends behind it."""
    deadline = time.monotonic() + 10
    while (said := tried(place)) != "held\n":
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def test_a_second_run_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    with held(tmp_path) as holder:
        said = tried(tmp_path)
    assert "another run is at work there: a deploy by somebody on a desk, since 20" in said
    assert f"process {holder.pid};" in said
    freed(tmp_path)


def test_the_end_of_the_session_is_the_end_of_the_lock(tmp_path: Path) -> None:
    with held(tmp_path) as holder:
        assert holder.stdin is not None
        holder.stdin.close()
        freed(tmp_path)


def test_an_update_that_is_at_work_is_not_disturbed(tmp_path: Path) -> None:
    lock = tmp_path / Path(locking._UPDATE).name
    lock.touch()
    freed(tmp_path)
    with subprocess.Popen(["flock", str(lock), "sleep", "60"]) as update:
        deadline = time.monotonic() + 10
        while "an update of its packages is at work" not in (said := tried(tmp_path)):
            assert time.monotonic() < deadline, said
        update.terminate()


class Client:
    """What paramiko's client, its transport and a channel do of it, on this machine."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.asked = 0
        self.text = ""
        self.typed = b""

    def sendall(self, typed: bytes) -> None:
        self.typed += typed

    def get_transport(self) -> Self:
        return self

    def open_session(self) -> Self:
        return self

    def settimeout(self, seconds: float) -> None:
        del seconds

    def exec_command(self, text: str) -> None:
        self.text = text
        self.asked += 1
        done = subprocess.run(["sh", "-c", self.command], capture_output=True, check=False)
        out, errors = BytesIO(done.stdout), BytesIO(done.stderr)
        # As a network does, a little at a time.
        self.recv = lambda _count: out.read(3)
        self.recv_stderr = errors.read
        self.recv_stderr_ready = lambda: bool(done.stderr)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(locking, "_HELD", {})
    return SimpleNamespace(name="gw", data={}, connector_data={}, connector=SimpleNamespace(client=None))


def test_a_run_keeps_what_holds_the_lock(host: Any) -> None:
    host.connector.client = Client("echo held")
    alone(host)
    assert list(locking._HELD) == ["gw"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo 'another run is at work there: x'; exit 1", "gw: another run is at work there: x; nothing"),
        ("echo 'sudo: a password is required' >&2; exit 1", "could not be taken: sudo: a password is"),
        ("exit 1", "no answer"),
    ],
)
def test_without_the_lock_there_is_no_run(host: Any, command: str, told: str) -> None:
    host.connector.client = Client(command)
    with pytest.raises(DeployError, match=told):
        alone(host)
    assert locking._HELD == {}


def test_a_look_needs_no_lock(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host.connector.client = Client("exit 1")
    monkeypatch.setattr(sys, "argv", ["pyinfra", "inventory", "deploy.py", "--dry", "--json"])
    alone(host)
    assert host.connector.client.asked == 0


def test_a_revert_takes_the_same_lock() -> None:
    text = (Path(locking.__file__).parent / "history/revert.sh").read_text()
    assert f"\nRUN={LOCK}\n" in text


def test_it_becomes_root_as_the_inventory_says(host: Any) -> None:
    host.data = {"_sudo": True, "_sudo_password": "pass word", "hostname": "mx1", "_parallel": 1}
    host.connector.client = client = Client("echo held")
    alone(host)
    assert client.typed == b"pass word\n"
    assert "sudo -A -k" in client.text
    assert "pass word" not in client.text
