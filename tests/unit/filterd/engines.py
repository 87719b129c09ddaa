"""Small real engines on unix sockets: they read the whole request, look for the test strings, and can misbehave."""

import array
import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

# Assembled here: virus scanners eat checkouts that hold them whole.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


class _Peer(socket.socket):
    """A connection that calls ``leave`` before each answer: who has it may come again at once."""

    leave: Callable[[], None]

    def sendall(self, *args: Any) -> None:
        self.leave()
        super().sendall(*args)


class Engine:
    """A server that gives each connection to ``serve`` in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self.most_at_once = 0
        self._here: set[_Peer] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._one, args=(_Peer(fileno=peer.detach()),), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _one(self, peer: _Peer) -> None:
        with self._lock:
            self._here.add(peer)
            self.most_at_once = max(self.most_at_once, len(self._here))
        peer.leave = partial(self._here.discard, peer)
        try:
            with peer:
                peer.settimeout(5)
                self.serve(peer)
        except OSError:
            pass
        finally:
            peer.leave()

    def serve(self, peer: socket.socket) -> None:
        raise NotImplementedError


def _exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


def _line(peer: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += _exactly(peer, 1)
    return data


class Clamd(Engine):
    """``answer`` replaces the verdict, ``refusal`` what a descriptor gets (a profile's or another build's way).

    ``fatal`` is a content at which it dies, as a crash in a parser would have it.
    """

    refusal: bytes | None = None
    answer: bytes | None = None
    fatal: bytes | None = None
    version = b"ClamAV 1.4.3/27800/" + time.strftime("%a %b %d %H:%M:%S %Y").encode() + b"\0"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commands: list[bytes] = []

    def serve(self, peer: socket.socket) -> None:
        # A descriptor comes with the first byte of its command.
        first, ancillary, _, _ = peer.recvmsg(1, socket.CMSG_SPACE(array.array("i").itemsize))
        command = first + _line(peer, b"\0")
        if command == b"zPING\0":
            peer.sendall(b"PONG\0")
            return
        if command == b"zVERSION\0":
            peer.sendall(self.version)
            return
        self.commands.append(command)
        if command == b"zFILDES\0":
            _exactly(peer, 1)
            content = self._from_descriptor(ancillary)
            if self.refusal is not None:
                peer.sendall(self.refusal)
                return
            name = b"fd[9]"
        else:
            content, name = self._from_stream(peer), b"stream"
        self.requests.append(content)
        self.gate.wait(10)
        if self.fatal is not None and self.fatal in content:
            return
        if self.answer is not None:
            peer.sendall(self.answer)
        elif EICAR in content:
            peer.sendall(name + b": Test-Signature(44d88612fea8a8f36de82e1278abb02f:68) FOUND\0")
        else:
            peer.sendall(name + b": OK\0")

    def _from_descriptor(self, ancillary: list[tuple[int, int, bytes]]) -> bytes:
        if not ancillary:
            raise ConnectionError
        (descriptor,) = array.array("i", ancillary[0][2])
        with open(descriptor, "rb") as content:  # noqa: PTH123 - a descriptor has no path
            content.seek(0)
            return content.read()

    def _from_stream(self, peer: socket.socket) -> bytes:
        content = b""
        while length := struct.unpack("!I", _exactly(peer, 4))[0]:
            content += _exactly(peer, length)
        return content


class Spamd(Engine):
    """Scores 1000 for GTUBE, else ``score``; ``answer`` replaces the whole reply."""

    score = 1.5
    answer: bytes | None = None

    def serve(self, peer: socket.socket) -> None:
        head = _line(peer, b"\r\n\r\n")
        if head.startswith(b"PING"):
            peer.sendall(b"SPAMD/1.5 0 PONG\r\n")
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content = _exactly(peer, length)
        # As the real one, which reads by lines: an unfinished last line takes the end of the stream.
        if not content.endswith(b"\n") and peer.recv(1):
            return
        self.requests.append(head + content)
        self.gate.wait(10)
        score = 1000.0 if GTUBE in content else self.score
        self.reply(peer, scored(score) if self.answer is None else self.answer)

    def reply(self, peer: socket.socket, answer: bytes) -> None:
        """Send an answer."""
        peer.sendall(answer)


def scored(score: float, symbols: bytes = b"GTUBE,NO_RECEIVED") -> bytes:
    body = symbols + b"\r\n"
    spam = b"True" if score >= 5 else b"False"
    return (
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s ; %.1f / 5.0\r\n\r\n" % (len(body), spam, score)
        + body
    )


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until ``condition`` holds; fail when it does not, even on a busy machine."""
    waiter = threading.Event()
    for _ in range(int(seconds * 100)):
        if condition():
            return
        waiter.wait(0.01)
    raise AssertionError("it did not happen in time")
