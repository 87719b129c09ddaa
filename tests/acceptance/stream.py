"""A sender outside who does not stop: several messages a second, each until it is taken, as a mail server does.

``Stream`` starts ``python -m tests.acceptance.stream`` in a network's namespace. That one ends when its standard input is
closed, and when what it has begun is taken; it then says of each message what it was told.
"""

import json
import select
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.acceptance.gateway import ROOT
from tests.acceptance.letters import mark
from tests.acceptance.outside import HELO, Outside

_PAUSE_S = 0.2
_RETRY_S = 0.5
# Greeting and answers: filterd asks two engines, on a loaded machine.
_ANSWER_S = 90.0
# No switch takes so long: then the message is given up, and the test fails by it.
_GIVES_UP_S = 300.0
# As a mail server does: not all its messages come by one session.
_A_SESSION = 10


@dataclass(slots=True, kw_only=True)
class Sent:
    """What became of one message: how often it was said to be taken, refused for now, for good, and how often nothing was said."""

    mark: str
    taken: int = 0
    later: int = 0
    refused: list[str] = field(default_factory=list)
    broken: int = 0
    waited: float = 0.0


class _Sender:
    """One session after the other with the gateway."""

    def __init__(self, address: str, source: str) -> None:
        self._address = address
        self._source = source
        self._server: smtplib.SMTP | None = None
        self._sent = 0

    def attempt(self, message: Sent) -> bool:
        """Try once; return whether the gateway has said that it takes or refuses the message."""
        try:
            server = self._connected()
            server.sendmail("alice@sender.example", ["bob@bastide.example"], _text(message.mark))
        except smtplib.SMTPRecipientsRefused as error:
            return self._answered(message, *next(iter(error.recipients.values())))
        except smtplib.SMTPResponseException as error:
            return self._answered(message, error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPServerDisconnected):
            message.broken += 1
            self.left()
            return False
        message.taken += 1
        self._sent += 1
        if self._sent >= _A_SESSION:
            self.left()
        return True

    def _answered(self, message: Sent, code: int, text: bytes | str) -> bool:
        self.left()
        if code // 100 == 5:
            message.refused.append(f"{code} {text!r}")
            return True
        message.later += 1
        return False

    def _connected(self) -> smtplib.SMTP:
        if self._server is None:
            self._sent = 0
            self._server = smtplib.SMTP(
                self._address, 25, HELO, timeout=_ANSWER_S, source_address=(self._source, 0)
            )
        return self._server

    def left(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def _text(unique: str) -> str:
    return (
        f"From: alice@sender.example\r\nTo: bob@bastide.example\r\nSubject: {unique}\r\n"
        f"Message-ID: <{unique}@sender.example>\r\n\r\ntext of {unique}\r\n"
    )


def _sending(address: str, source: str) -> Iterator[Sent]:
    sender = _Sender(address, source)
    while not select.select([sys.stdin], [], [], _PAUSE_S)[0]:
        message, begun = Sent(mark=mark()), time.monotonic()
        while not sender.attempt(message) and time.monotonic() < begun + _GIVES_UP_S:
            time.sleep(_RETRY_S)
        message.waited = time.monotonic() - begun
        yield message
    sender.left()


class Stream:
    """A sender at work; ``sent`` is what became of its messages, once the block is left."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []


@contextmanager
def streaming(wan: Outside) -> Iterator[Stream]:
    """Have somebody outside send all the while."""
    stream = Stream()
    with subprocess.Popen(
        ["ip", "netns", "exec", wan.netns, sys.executable, "-m", __name__, wan.address, wan.source],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield stream
        finally:
            said, _ = process.communicate(input="", timeout=_GIVES_UP_S + _ANSWER_S)
        stream.sent = [Sent(**each) for each in json.loads(said)]


if __name__ == "__main__":
    from dataclasses import asdict

    print(json.dumps([asdict(each) for each in _sending(*sys.argv[1:])]))
