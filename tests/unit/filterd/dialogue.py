"""An MTA for tests: whole dialogues as bytes, and a blocking client."""

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from filterd.milter import commands as c
from filterd.milter import mta
from filterd.milter.mta import Answer
from filterd.milter.negotiation import Step, Wish
from filterd.milter.session import Session

HEADERS = ((b"From", b" a@sender.example"), (b"Subject", b" one\n two"), (b"X-Tab", b"\tx"))
BODY = b"first line\r\n\r\n.\r\nlast line \r\n"


ALL_QUIET = Step(
    sum(step for step in Step if step.name is not None and step.name.startswith("QUIET_"))
    | Step.LEADING_SPACE
)


def session(wish: Wish | None = None, offer: bytes | None = None) -> Session:
    it = Session(wish or Wish())
    it.receive(offer or mta.offer())
    event = it.next_event()
    assert isinstance(event, c.Offer)
    it.agree(event)
    return it


def greeting() -> bytes:
    return mta.connect(b"client.example", b"198.51.100.7", 4711) + mta.strings(c.Helo, b"client.example")


def envelope(recipients: Sequence[bytes] = (b"<b@rcpt.example>",), queue_id: bytes = b"4XyZ") -> bytes:
    return b"".join(
        (
            mta.macros(c.Mail, {b"i": queue_id, b"{auth_authen}": b""}),
            mta.strings(c.Mail, b"<a@sender.example>", b"SIZE=100"),
            *(mta.strings(c.Rcpt, one) for one in recipients),
        )
    )


def content(
    headers: Iterable[tuple[bytes, bytes]] = HEADERS, body: bytes = BODY, piece: int = 65535
) -> bytes:
    return b"".join(
        (
            *(mta.strings(c.Header, name, value) for name, value in headers),
            mta.plain(c.EndOfHeaders),
            *(mta.plain(c.Body, body[at : at + piece]) for at in range(0, len(body), piece)),
        )
    )


def whole(queue_id: bytes = b"4XyZ") -> bytes:
    """A session of one message, from the offer to QUIT."""
    return b"".join(
        (
            mta.offer(),
            mta.macros(c.Connect, {b"j": b"mx.example", b"{daemon_name}": b"smtpd"}),
            greeting(),
            envelope(queue_id=queue_id),
            mta.plain(c.Data),
            content(),
            mta.macros(c.EndOfMessage, {b"i": queue_id}),
            mta.plain(c.EndOfMessage),
            mta.plain(c.Abort),
            mta.plain(c.QuitNewConnection),
            greeting(),
            mta.strings(c.Unknown, b"XYZZY"),
            mta.plain(c.Quit),
        )
    )


def as_sent(headers: Iterable[tuple[bytes, bytes]] = HEADERS, body: bytes = BODY) -> bytes:
    """The message that ``content`` stands for, as it was on the wire."""
    lines = b"".join(name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in headers)
    return lines + b"\r\n" + body


class Client:
    """A blocking MTA on a unix socket."""

    def __init__(self, path: Path, *, steps: int = mta.ALL_STEPS, actions: int = mta.ALL_ACTIONS) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(60)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._replies = mta.Replies()
        self._steps = steps
        self._actions = actions
        self._greeted = False
        self.agreed = (0, 0, 0)

    def __enter__(self) -> Self:
        try:
            self.send(mta.offer(6, self._actions, self._steps))
            self.agreed = mta.agreed(self.answer())
        except OSError:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """The next answer; ConnectionError when the filter has hung up."""
        while (got := self._replies.next_answer()) is None:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the filter hung up")
            self._replies.receive(data)
        return got

    def begin(
        self, recipients: Sequence[bytes] = (b"<b@rcpt.example>",), queue_id: bytes = b"4XyZ"
    ) -> list[bytes]:
        """Say greeting and envelope; the codes of the answers to the recipients."""
        self.send((b"" if self._greeted else greeting()) + envelope(recipients, queue_id))
        self._greeted = True
        return [self.answer().code for _ in recipients]

    def finish(self, body: bytes = BODY) -> Answer:
        """Send content and end; the last of the answers."""
        self.send(
            content(body=body) + mta.macros(c.EndOfMessage, {b"i": b"4XyZ"}) + mta.plain(c.EndOfMessage)
        )
        return self.verdict()

    def verdict(self) -> Answer:
        while not (got := self.answer()).final:
            pass
        return got

    def message(self, body: bytes = BODY) -> Answer:
        self.begin()
        return self.finish(body)
