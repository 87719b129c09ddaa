"""The small HTTP server for watchers: what it answers, and what it does not put up with."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from filterd import web
from filterd.web import Page, WebServer, fetch
from tests.unit.filterd.engines import Engine


async def pages(path: str) -> Page | None:
    return {
        "/health": Page(status=503, media="application/json", text='{"ä": 1}\n'),
        "/metrics": Page(text="x" * 10**6),
    }.get(path)


def serving(listener: socket.socket, deed: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        listener.settimeout(0)
        server = WebServer([listener], pages)
        try:
            await deed()
        finally:
            await server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, listener:
        runner.run(run())


def unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def ask(path: Path, data: bytes, *, end: bool = False) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(data)
        if end:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


def test_pages_are_served_and_fetched(tmp_path: Path) -> None:
    async def deed() -> None:
        assert await asyncio.to_thread(fetch, tmp_path / "s", "/health") == (503, '{"ä": 1}\n')
        assert await asyncio.to_thread(fetch, tmp_path / "s", "/metrics?x=1") == (200, "x" * 10**6)
        assert (await asyncio.to_thread(fetch, tmp_path / "s", "/other"))[0] == 404

    serving(unix(tmp_path / "s"), deed)


@pytest.mark.parametrize(
    "request_",
    [b"POST /metrics HTTP/1.1\r\n\r\n", b"GET metrics HTTP/1.1\r\n\r\n", b"GET /a b HTTP/1.1\r\n\r\n", b"\r\n\r\n",
     b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", b"GET /metrics HTTP/2\r\n\r\n",
     b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 3000],
)  # fmt: skip
def test_what_is_no_request_is_a_bad_one(tmp_path: Path, request_: bytes) -> None:
    async def deed() -> None:
        assert (await asyncio.to_thread(ask, tmp_path / "s", request_, end=True)).startswith(
            b"HTTP/1.1 400 Bad Request\r\n"
        )

    serving(unix(tmp_path / "s"), deed)


def test_a_head_has_no_body(tmp_path: Path) -> None:
    async def deed() -> None:
        answer = await asyncio.to_thread(ask, tmp_path / "s", b"HEAD /metrics HTTP/1.1\r\n\r\n", end=True)
        assert b"Content-Length: 1000000\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")

    serving(unix(tmp_path / "s"), deed)


def test_the_silent_are_left_and_the_others_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_SECONDS", 0.3)

    async def deed() -> None:
        silent = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for one in silent:
            one.connect(str(tmp_path / "s"))
        assert (await asyncio.to_thread(fetch, tmp_path / "s", "/health"))[0] == 503
        for one in silent:
            one.close()

    serving(unix(tmp_path / "s"), deed)


def test_a_tcp_socket_is_served_as_well() -> None:
    listener = socket.socket(socket.AF_INET)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]

    async def deed() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.0\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()

    serving(listener, deed)


def test_what_is_no_http_is_an_error(tmp_path: Path) -> None:
    class Chatty(Engine):
        def serve(self, peer: socket.socket) -> None:
            peer.recv(1000)
            peer.sendall(b"220 mx.example ESMTP\r\n")

    with Chatty(tmp_path / "s"), pytest.raises(ConnectionError, match="is no HTTP"):
        fetch(tmp_path / "s", "/health")
