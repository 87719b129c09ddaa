"""The deploying session: its connection is made quick, whatever connects."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from roles.session import _without_delay


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def host(connector: object) -> Any:
    return SimpleNamespace(connector=connector)


def over(sock: object) -> Any:
    return host(SimpleNamespace(client=SimpleNamespace(get_transport=lambda: SimpleNamespace(sock=sock))))


def test_commands_over_ssh_do_not_wait_for_acknowledgements(tcp: socket.socket) -> None:
    assert not tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    _without_delay(over(tcp))
    assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    "connected",
    [
        host(SimpleNamespace()),
        host(SimpleNamespace(client=None)),
        host(SimpleNamespace(client=SimpleNamespace(get_transport=lambda: None))),
        over(object()),
    ],
    ids=["no-ssh", "not-connected", "no-transport", "through-a-proxy-command"],
)
def test_a_connection_without_a_socket_is_left_as_it_is(connected: Any) -> None:
    _without_delay(connected)
