"""A small SMTP server on a unix socket: what an MTA's injection service says, and what else it might."""

import socket
import threading
from io import BufferedReader
from pathlib import Path
from typing import Self

from tests.unit.filterd.engines import Engine


class Mta(Engine):
    """Records letters. ``answers`` replaces the reply to a line that begins with the key, or to "." and "" (greeting)."""

    extensions: tuple[bytes, ...] = (b"8BITMIME", b"SIZE 1000000", b"SMTPUTF8")

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.answers: dict[bytes, bytes | None] = {}
        self.letters: list[tuple[bytes, list[bytes], bytes]] = []
        self.unfinished: list[bytes] = []
        self.lines: list[bytes] = []
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def serve(self, peer: socket.socket) -> None:
        file = peer.makefile("rb")
        if not self._say(peer, b"", b"220 mx ESMTP"):
            return
        sender, recipients = b"", list[bytes]()
        while line := file.readline():
            self.lines.append(line)
            word = line.strip().upper()
            if word.startswith(b"EHLO"):
                said = b"\r\n".join([b"250-mx", *(b"250-" + one for one in self.extensions), b"250 HELP"])
                going = self._say(peer, line, said)
            elif word.startswith(b"MAIL FROM:"):
                sender = line.strip()[10:].split(b" ")[0]
                going = self._say(peer, line, b"250 2.1.0 Ok")
            elif word.startswith(b"RCPT TO:"):
                recipients.append(line.strip()[8:])
                going = self._say(peer, line, b"250 2.1.5 Ok")
            elif word == b"DATA":
                going = self._say(peer, line, b"354 go on") and self._data(peer, file, sender, recipients)
            else:
                self._say(peer, line, b"221 Bye")
                return
            if not going:
                return

    def _data(
        self, peer: socket.socket, file: BufferedReader, sender: bytes, recipients: list[bytes]
    ) -> bool:
        content = b""
        for line in iter(file.readline, b""):
            if line == b".\r\n":
                with self.lock:
                    self.letters.append((sender, recipients, content))
                return self._say(peer, b".", b"250 2.0.0 Ok: queued as 4A%d" % len(self.letters))
            content += line[1:] if line.startswith(b".") else line
        with self.lock:
            self.unfinished.append(content)
        return False

    def _say(self, peer: socket.socket, line: bytes, usual: bytes) -> bool:
        for start, answer in self.answers.items():
            if line.upper().startswith(start) and (start or not line):
                if answer is None:
                    return False
                if start == b"." and self.letters:
                    self.letters.pop()
                peer.sendall(answer + b"\r\n")
                return True
        peer.sendall(usual + b"\r\n")
        return True


class Greeting(Engine):
    """An MTA that says something once, and nothing more until it is let go."""

    said = b""

    def serve(self, peer: socket.socket) -> None:
        peer.sendall(self.said)
        if self.said.startswith(b"220"):
            peer.recv(1000)
            return
        self.gate.wait(10)
