"""Ledgers for tests of those who write to one: in memory, and as a server on a socket."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any, Self

import msgspec

from filterd.ledger.client import LedgerDownError
from filterd.ledger.records import HEAD, Answer, MessageRecord, Record, Request, TakeBack, framed

_REQUEST = msgspec.msgpack.Decoder(Request)


class Recorder:
    """A ledger in memory: what it was told, in order. ``down`` makes it fail from the next call on."""

    def __init__(self) -> None:
        self.records: list[MessageRecord] = []
        self.taken_back: list[str] = []
        self.queue_ids: list[str] = []
        self.down = False
        self.asked: list[str] = []

    async def record(self, message: MessageRecord) -> None:
        self._or_down("record")
        self.records.append(message)

    async def take_back(self, message_id: str, _: str) -> None:
        self._or_down("take_back")
        self.taken_back.append(message_id)

    async def injected(self, _: str, queue_ids: tuple[str, ...]) -> None:
        self._or_down("injected")
        self.queue_ids += queue_ids

    def _or_down(self, what: str) -> None:
        self.asked.append(what)
        if self.down:
            raise LedgerDownError("no ledger")


class Server:
    """A ledger on a socket that takes whatever it is told. Use as a context."""

    def __init__(self, path: Path) -> None:
        self.records: list[MessageRecord] = []
        self.taken_back: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(peer,), daemon=True).start()

    def _one(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as source:
            while head := source.read(HEAD.size):
                request: Any = _REQUEST.decode(source.read(*HEAD.unpack(head)))
                if isinstance(request, Record):
                    self.records.append(request.message)
                if isinstance(request, TakeBack):
                    self.taken_back.append(request.message_id)
                if (number := getattr(request, "number", None)) is not None:
                    with contextlib.suppress(OSError):
                        peer.sendall(framed(Answer(number=number)))
