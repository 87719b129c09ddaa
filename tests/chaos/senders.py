"""Senders on the internet: what is not accepted comes again, until it is. SMTP to a lab's gateway, with letters of every fate.

``Senders`` starts ``python -m tests.chaos.senders`` in the network's namespace; that prints a JSON line for each try.
"""

import asyncio
import itertools
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final, Self

import msgspec
from msgspec import Struct

from audit.errors import NoSightError
from audit.place import V4, Place
from audit.probes.smtp import Talk, talk
from audit.samples import EICAR
from tests.acceptance.gateway import ROOT
from tests.acceptance.letters import BOB, CAROL, DAVE, PLAIN, attachment, letter
from tests.acceptance.outside import HELO, REPLY_SECONDS, Outside, content, queue_id
from tests.chaos.traffic import ACCEPTED, CLOSED, LATER

# With these chains and letters.GROUPS: Bob gets what is left of an infected letter, Carol all, Dave's is kept.
CHAINS: Final = {"infected": ("clean", "reject")}
_PAUSE_S: Final = 0.3
_SENDER: Final = "alice@sender.example"


class Fate(Struct, frozen=True, kw_only=True):
    """To whom letters of a kind are delivered, and for whom they are kept; ``injected`` are those whose copy is another one."""

    infected: bool = False
    delivered: tuple[str, ...] = ()
    injected: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


FATES: Final = {
    "clean": Fate(delivered=(BOB,)),
    "kept": Fate(infected=True, kept=(DAVE,)),
    "split": Fate(infected=True, delivered=(BOB, CAROL), injected=(BOB,), kept=(DAVE,)),
}
_KINDS: Final = ("clean", "split", "clean", "kept")


class Try(Struct, frozen=True, kw_only=True):
    """One sending of a letter, and how it ended; ``queue_id`` is the MTA's, where it told it."""

    number: int
    how: str
    said: str
    seconds: float
    whole: bool  # all of it was sent
    last: bool = False  # nobody sends it again

    @property
    def unheard(self) -> bool:
        """Whether filterd may have settled it and nobody heard: what it answers itself to a whole letter has an id."""
        return self.whole and self.how != ACCEPTED and " id=" not in self.said

    @property
    def queue_id(self) -> str:
        return queue_id(self.said) if self.how == ACCEPTED else ""


def kind(number: int) -> str:
    return _KINDS[number % len(_KINDS)]


def mark(run: str, number: int) -> str:
    """Return what a letter's Message-ID begins with."""
    return f"{run}-{number:07}"


def message(run: str, number: int) -> bytes:
    """Return the letter of that number, the same however often it is sent."""
    parts = (PLAIN, attachment(EICAR, "eicar.com")) if FATES[kind(number)].infected else (PLAIN,)
    return letter(mark(run, number), *parts)


class Senders:
    """So many senders at once; as a context it ends when each letter that was begun has been accepted, or in ``last_s``."""

    def __init__(self, wan: Outside, *, senders: int = 6, last_s: float = 120.0) -> None:
        self.run = f"chaos{uuid.uuid4().hex}"
        self.tries: list[Try] = []
        self._last_s = last_s
        self._command = [
            "ip", "netns", "exec", wan.netns, sys.executable, "-m", "tests.chaos.senders", wan.address, wan.source,
            self.run, str(senders), str(last_s),
        ]  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # its sign to stop
        try:
            self._process.wait(self._last_s + REPLY_SECONDS + 10)
            self._thread.join(10)
        finally:
            self._process.kill()
            self._process.__exit__(None, None, None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.tries.append(msgspec.json.decode(line, type=Try))

    def accepted(self) -> int:
        return sum(one.how == ACCEPTED for one in list(self.tries))

    def await_more(self, count: int, seconds: float = 60.0) -> None:
        """Return when so many more letters have been accepted; AssertionError when they are not in time."""
        wanted, deadline = self.accepted() + count, time.monotonic() + seconds
        while self.accepted() < wanted:
            assert time.monotonic() < deadline, f"{self.accepted()} of {wanted} letters in {seconds:g} s"
            time.sleep(0.05)


async def _serve(place: Place, run: str, senders: int, last_s: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    numbers = itertools.count(1)
    ends = [float("inf")]

    async def sender() -> None:
        while not stop.is_set():
            await _deliver(place, run, next(numbers), lambda: ends[0])

    working = [asyncio.create_task(sender()) for _ in range(senders)]
    await stop.wait()
    loop.remove_reader(sys.stdin.fileno())
    ends[0] = time.monotonic() + last_s
    await asyncio.gather(*working)


async def _deliver(place: Place, run: str, number: int, until: Callable[[], float]) -> None:
    steps = [
        f"EHLO {HELO}", f"MAIL FROM:<{_SENDER}> BODY=8BITMIME",
        *(f"RCPT TO:<{who}>" for who in dict.fromkeys((*FATES[kind(number)].delivered, *FATES[kind(number)].kept))),
        "DATA",
    ]  # fmt: skip
    data = content(message(run, number)).send.encode("latin-1")
    how = ""
    while how != ACCEPTED:
        began = time.monotonic()
        how, said, whole = await _sent(place, steps, data)
        last = how == ACCEPTED or time.monotonic() > until()
        one = Try(number=number, how=how, said=said, seconds=time.monotonic() - began, whole=whole, last=last)
        sys.stdout.buffer.write(msgspec.json.encode(one) + b"\n")
        sys.stdout.buffer.flush()
        if last:
            return
        if how != ACCEPTED:
            await asyncio.sleep(_PAUSE_S)


async def _sent(place: Place, steps: list[str], data: bytes) -> tuple[str, str, bool]:
    """Send one letter. Returns how it ended, the last reply, and whether all of it was sent."""
    whole = False
    try:
        async with talk(place, 25) as peer:
            said = await _invited(peer, steps)
            if said.startswith("354"):
                whole = True
                await peer.send(data)
                said = await peer.reply("the content", REPLY_SECONDS)
    except (NoSightError, OSError, TimeoutError) as error:
        return CLOSED, repr(error), whole
    if queue_id(said):
        return ACCEPTED, said, whole
    return (LATER if said.startswith("451 ") else "wrong"), said, whole


async def _invited(peer: Talk, steps: list[str]) -> str:
    """Return the first refusal, or the reply to the last step."""
    said = await peer.reply("the connection", REPLY_SECONDS)
    for step in steps:
        if not said.startswith(("2", "3")):
            return said
        said = await peer.command(step, REPLY_SECONDS)
    return said


def _main() -> None:
    address, source, run, senders, last_s = sys.argv[1:]
    place = Place(
        vantage="chaos", hostname="", domain="", size_limit=0, recipient="", helo="",
        addresses={V4: address}, sources={V4: source},
    )  # fmt: skip
    asyncio.run(_serve(place, run, int(senders), float(last_s)))


if __name__ == "__main__":
    _main()
