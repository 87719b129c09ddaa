"""The few words of HTTP that a watcher needs: GET of a path, and one answer (RFC 9112). Server and client.

The attack it stops: a client that sends without end, or nothing. Line, head and time are bounded, and so is the number
of clients at a time.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

from msgspec import Struct

_HEAD: Final = 8 * 1024  # bytes of request line and fields
_SECONDS: Final = 10.0
_CLIENTS: Final = 16
_PAUSE_S: Final = 0.1
_REQUEST: Final = re.compile(rb"(GET|HEAD) (/[!-~]{0,200}) HTTP/1\.[01]\r?\n")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")
_MAX_ANSWER: Final = 16 * 1024 * 1024


class Page(Struct, frozen=True, kw_only=True):
    """An answer: status, media type, text."""

    status: int = 200
    media: str = "text/plain; charset=utf-8"
    text: str = ""


Pages = Callable[[str], Awaitable[Page | None]]


class WebServer:
    """Serves ``pages`` (path to page; None: there is none) on listening sockets, until it is closed."""

    def __init__(self, listeners: Sequence[socket.socket], pages: Pages) -> None:
        self._pages = pages
        self._places = asyncio.Semaphore(_CLIENTS)
        self._clients: set[asyncio.Task[None]] = set()
        self._accepting = [asyncio.ensure_future(self._accept(one)) for one in listeners]

    async def close(self) -> None:
        """Accept no more, and break off what is in progress."""
        tasks = (*self._accepting, *self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            try:
                peer, _ = await loop.sock_accept(listener)
            except OSError:
                # No descriptor free, or a client that has gone: the next one may fare better.
                self._places.release()
                await asyncio.sleep(_PAUSE_S)
                continue
            task = asyncio.ensure_future(self._serve(peer))
            self._clients.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._clients.discard(task)
        self._places.release()

    async def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError, TimeoutError):
            peer.settimeout(0)
            async with asyncio.timeout(_SECONDS):
                await _one(peer, self._pages)


async def _one(peer: socket.socket, pages: Pages) -> None:
    """Take one request and answer it."""
    loop = asyncio.get_running_loop()
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        if len(head) > _HEAD or not (data := await loop.sock_recv(peer, _HEAD)):
            break
        head += data
    request = _REQUEST.match(head)
    page: Page | None = Page(status=400, text="bad request\n")
    if request is not None and len(head) <= _HEAD:
        page = await pages(request[2].decode("ascii").partition("?")[0])
        page = page or Page(status=404, text="there are /metrics and /health\n")
    if page is None:
        return
    body = page.text.encode("utf-8")
    start = (
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}\r\nContent-Type: {page.media}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    only_head = request is not None and request[1] == b"HEAD"
    await loop.sock_sendall(peer, start.encode("ascii") + (b"" if only_head else body))
    with contextlib.suppress(OSError):
        # What is left unread would have the kernel drop our answer on the way (tcp(7): a reset).
        peer.shutdown(socket.SHUT_WR)
        while await loop.sock_recv(peer, _HEAD):
            pass


def fetch(path: str | Path, page: str, seconds: float = 5.0) -> tuple[int, str]:
    """Return status and text of a page (such as "/health") that filterd serves on a unix socket. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(seconds)
        server.connect(str(path))
        server.sendall(f"GET {page} HTTP/1.1\r\nHost: filterd\r\n\r\n".encode("ascii"))
        answer = b"".join(iter(partial(_received, server), b""))
    head, blank, body = answer.partition(b"\r\n\r\n")
    status = _STATUS.match(head + b"\r\n")
    if not blank or status is None or len(answer) > _MAX_ANSWER:
        raise ConnectionError(f"what {path} answers is no HTTP")
    return int(status[1]), body.decode("utf-8", "replace")


def _received(server: socket.socket) -> bytes:
    return server.recv(64 * 1024)
