"""Clients that play Postfix: what is not accepted comes again under another queue id, until it is."""

import itertools
import threading
import time
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from filterd.milter import commands as c
from filterd.milter import mta
from tests.chaos.letters import LetterSent, letter
from tests.unit.filterd.dialogue import Client, content

ACCEPTED: Final = "accepted"
LATER: Final = "451"
CLOSED: Final = "closed"  # the connection ended, or nobody answered, before the last word
NOBODY: Final = "nobody"  # there was no connection
_PATIENCE_S: Final = 20.0
_ON_ONE_CONNECTION: Final = 5


class Try(Struct, frozen=True, kw_only=True):
    """One sending of a letter, and how it ended."""

    letter: LetterSent
    queue_id: str
    how: str
    said: str = ""


class Traffic:
    """So many clients at once. Use as a context: it is left when each letter that was begun has been accepted.

    ``most``: letters in all; None: until told to stop. ``kinds``: of letters, all if empty.
    """

    def __init__(
        self, socket: Path, *, clients: int = 8, most: int | None = None, kinds: tuple[str, ...] = (),
        prefix: str = "", last_s: float = 60.0,
    ) -> None:  # fmt: skip
        self.tries: list[Try] = []
        self.unsent: list[LetterSent] = []
        self.began = threading.Event()
        self._socket = socket
        self._most = most
        self._kinds = kinds
        self._prefix = prefix or "Q"
        self._last_s = last_s
        self._numbers = itertools.count(1)
        self._ids = itertools.count(1)
        self._stop = threading.Event()
        self._until = float("inf")
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._most is None or kind is not None:
            self._stop.set()
            self._until = time.monotonic() + (self._last_s if kind is None else 0.0)
        for thread in self._threads:
            thread.join(self._last_s + _PATIENCE_S + 10)

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def accepted(self) -> int:
        return sum(one.how == ACCEPTED for one in list(self.tries))

    def _run(self) -> None:
        post = Post(self._socket)
        try:
            while not self._stop.is_set():
                number = next(self._numbers)
                if self._most is not None and number > self._most:
                    return
                one = letter(number, self._kinds) if self._kinds else letter(number)
                self._deliver(post, one)
        finally:
            post.hang_up()

    def _deliver(self, post: "Post", one: LetterSent) -> None:
        while True:
            queue_id = f"4{self._prefix}{next(self._ids):08}"
            how, said = post.send(one, queue_id)
            self.tries.append(Try(letter=one, queue_id=queue_id, how=how, said=said))
            if how == ACCEPTED:
                return
            if time.monotonic() > self._until:
                self.unsent.append(one)
                return
            time.sleep(0.05)


class Post:
    """One client and its connection, which serves several messages."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._client: Client | None = None
        self._served = 0

    def hang_up(self) -> None:
        if self._client is not None:
            self._client.__exit__()
        self._client = None

    def send(self, one: LetterSent, queue_id: str) -> tuple[str, str]:
        """Send a letter. Returns how it ended, and the filter's last word."""
        if self._client is None or self._served >= _ON_ONE_CONNECTION:
            self.hang_up()
            try:
                client = Client(self._socket)
                client._socket.settimeout(_PATIENCE_S)
                self._client = client.__enter__()
            except OSError as error:
                return NOBODY, repr(error)
            self._served = 0
        self._served += 1
        try:
            return self._sent(self._client, one, queue_id.encode())
        except OSError as error:
            self.hang_up()
            return CLOSED, repr(error)

    def _sent(self, client: Client, one: LetterSent, queue_id: bytes) -> tuple[str, str]:
        codes = client.begin(one.recipients, queue_id)
        if set(codes) != {b"c"}:
            self.hang_up()
            return LATER if codes[0] == b"t" else f"recipient {codes!r}", ""
        client.send(
            content(one.headers, one.body)
            + mta.macros(c.EndOfMessage, {b"i": queue_id})
            + mta.plain(c.EndOfMessage)
        )
        answer = client.verdict()
        if answer.code == one.fate.word:
            return ACCEPTED, answer.code.decode()
        if answer.code == b"t" or answer.payload.startswith(b"451"):
            return LATER, answer.payload.decode("ascii", "replace")
        return f"wrong: {answer.code!r}", answer.payload.decode("ascii", "replace")
