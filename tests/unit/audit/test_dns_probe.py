"""The probe of port 53: a resolver that answers strangers is seen, and silence of a dead host is no proof."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Literal

import dns.message
import dns.rcode
import pytest

from audit.probes import Observation, observe
from audit.probes import dns as probe
from roles.claims import DnsSilence
from tests.unit.audit import stubs

Protocol = Literal["udp", "tcp"]


def observed(
    protocol: Protocol, port: int, *, smtp_port: int, monkeypatch: pytest.MonkeyPatch
) -> Observation:
    monkeypatch.setattr(probe, "PORT", port)
    monkeypatch.setattr(probe, "SECONDS", 0.5)
    claim = DnsSilence(protocol=protocol, family=4, refuted_by="refused")
    return asyncio.run(observe(claim, stubs.place(smtp_port)))


def refusal(query: bytes) -> bytes:
    made = dns.message.make_response(dns.message.from_wire(query))
    made.set_rcode(dns.rcode.Rcode.REFUSED)
    return made.to_wire()


@contextmanager
def bound(kind: socket.SocketKind, *, answers: bool) -> Iterator[int]:
    """Give the port of a server that refuses each question, or reads it and stays silent."""
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            if kind is socket.SOCK_DGRAM:
                query, peer = server.recvfrom(4096)
                if answers:
                    server.sendto(refusal(query), peer)
                return
            connection, _ = server.accept()
            with connection:
                query = connection.recv(4096)[2:]
                if answers:
                    response = refusal(query)
                    connection.sendall(len(response).to_bytes(2, "big") + response)
                connection.recv(1)

        if kind is socket.SOCK_STREAM:
            server.listen()
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize(("protocol", "kind"), [("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)])
def test_an_answer_is_broken_whatever_it_says_and_silence_is_held(
    protocol: Protocol, kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as smtp:
        smtp.bind(("127.0.0.1", 0))
        smtp.listen()
        reachable = smtp.getsockname()[1]
        for answers, expected in ((True, ("broken", "refused")), (False, ("held", "silent"))):
            with bound(kind, answers=answers) as port:
                found = observed(protocol, port, smtp_port=reachable, monkeypatch=monkeypatch)
            assert (found.state, found.seen) == expected


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_port_that_says_closed_is_broken(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as smtp, socket.socket() as gone:
        smtp.bind(("127.0.0.1", 0))
        smtp.listen()
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
        gone.close()
        found = observed(protocol, port, smtp_port=smtp.getsockname()[1], monkeypatch=monkeypatch)
    assert (found.state, found.seen) == ("broken", "closed")


def test_silence_of_a_host_that_is_away_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as gone, bound(socket.SOCK_DGRAM, answers=False) as port:
        gone.bind(("127.0.0.1", 0))
        away = gone.getsockname()[1]
        gone.close()
        found = observed("udp", port, smtp_port=away, monkeypatch=monkeypatch)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"end", ("127.0.0.1", port))
    assert found.state == "broken"
    assert "does not answer either" in found.seen
