"""What the service manager hears, and the listening socket's group."""

import errno
import grp
import os
import socket
from pathlib import Path

import pytest

from filterd import listener, notify
from filterd.config import Config, MilterSettings
from filterd.errors import ConfigError
from filterd.listener import Place, for_the_mta


def place(socket: Path, group: str = "") -> Place:
    return for_the_mta(Config(milter=MilterSettings(socket=str(socket), socket_group=group)))


def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify.notify("READY=1")
        assert manager.recv(100) == b"READY=1"
        manager.close()
        notify.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:2:1")
    notify.notify("READY=1")


def test_the_watchdog_is_told_twice_as_often_as_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert notify.watchdog_seconds() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert notify.watchdog_seconds() == 0.0
    monkeypatch.delenv("WATCHDOG_PID")
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert notify.watchdog_seconds() == 0.0


def test_the_socket_gets_its_group(tmp_path: Path) -> None:
    own = grp.getgrgid(os.getegid()).gr_name
    settings = place(tmp_path / "s", own)
    it = listener.bind(settings)
    assert (tmp_path / "s").stat().st_gid == os.getegid()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    listener.unbind(it, settings)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_group_or_directory_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no group 'no-such-group'; create it"):
        listener.bind(place(tmp_path / "s", "no-such-group"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="its directory must exist"):
        listener.bind(place(tmp_path / "x" / "s"))


def test_a_socket_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ConfigError, match="cannot be made"):
        listener.bind(place(tmp_path / "s"))
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM, errno.EPROTOTYPE])
def test_a_socket_that_may_not_be_asked_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refused(_: socket.socket, __: str) -> None:
        raise OSError(error, os.strerror(error))

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(tmp_path / "s"))
        inode = (tmp_path / "s").stat().st_ino
        monkeypatch.setattr(socket.socket, "connect", refused)
        with pytest.raises(ConfigError, match="remove it if nothing serves it"):
            listener.bind(place(tmp_path / "s"))
    assert (tmp_path / "s").stat().st_ino == inode
