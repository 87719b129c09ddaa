"""The probe for authentication methods, at ssh servers of our own that take more or less."""

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from audit.errors import AuditError
from audit.probes import Observation, observe
from roles.claims import SshMethods
from tests.unit.audit import stubs

CLAIM = SshMethods(exactly=frozenset({"publickey"}), refuted_by=frozenset({"password"}))
pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="the ssh client is not installed")


class Sshd(paramiko.ServerInterface):
    """Offers the given methods; with ``open_door`` it lets anybody in by none."""

    def __init__(self, methods: str, *, open_door: bool) -> None:
        self.methods, self.open_door = methods, open_door

    def get_allowed_auths(self, username: str) -> str:
        del username
        return self.methods

    def check_auth_none(self, username: str) -> int:
        del username
        return AUTH_SUCCESSFUL if self.open_door else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        del command

        def end() -> None:
            channel.send_exit_status(0)
            channel.close()

        # The client waits for the reply to its request first.
        threading.Timer(0.1, end).start()
        return True


@contextmanager
def _sshd(methods: str, key: paramiko.PKey, *, open_door: bool = False) -> Iterator[int]:
    """Serve one connection and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with paramiko.Transport(peer) as transport:
                transport.add_server_key(key)
                transport.start_server(event=threading.Event(), server=Sshd(methods, open_door=open_door))
                transport.join(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(15)


def _looked(port: int, known: paramiko.PKey, folder: Path) -> Observation:
    hosts = folder / "known_hosts"
    hosts.write_text(f"[127.0.0.1]:{port} {known.get_name()} {known.get_base64()}\n")
    place = stubs.place(port, known_hosts=str(hosts), ssh_user="nobody")
    return asyncio.run(observe(CLAIM, place))


@pytest.fixture(scope="module")
def key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


@pytest.mark.parametrize(
    ("methods", "state", "seen"),
    [
        ("publickey", "held", "publickey"),
        ("publickey,password", "broken", "password, publickey"),
        ("publickey,keyboard-interactive", "broken", "keyboard-interactive, publickey"),
    ],
)
def test_methods_are_seen_as_offered(
    key: paramiko.PKey, tmp_path: Path, methods: str, state: str, seen: str
) -> None:
    with _sshd(methods, key) as port:
        observation = _looked(port, key, tmp_path)
    assert (observation.state, observation.seen) == (state, seen)


def test_an_open_door_is_seen(key: paramiko.PKey, tmp_path: Path) -> None:
    with _sshd("publickey", key, open_door=True) as port:
        assert _looked(port, key, tmp_path).seen == "none"


def test_another_host_key_stops_the_audit(key: paramiko.PKey, tmp_path: Path) -> None:
    with _sshd("publickey", key) as port, pytest.raises(AuditError, match="the host key is not the one"):
        _looked(port, paramiko.ECDSAKey.generate(), tmp_path)
