"""`make bench`: codec, parse worker and whole daemon against floors of the same run. Ratios travel; milliseconds do not.

The floors: cutting the same bytes into frames and nothing more; a process with the parsers in it that forks a child
which ends at once; and a server that reads the same bytes from a unix socket and answers with a constant. "taking
apart" is the same work without a process of its own, against the standard library's parser. Engines are stubs that
answer at once, so what is left is filterd's own.
"""

import asyncio
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from email import message_from_bytes
from functools import partial
from pathlib import Path

import uvloop

from filterd.config import Config
from filterd.config.inspection import Inspection
from filterd.connection import wish
from filterd.log import Log
from filterd.message import Envelope, Message, Spool
from filterd.milter import commands as c
from filterd.milter import mta
from filterd.milter.replies import Continue
from filterd.milter.session import Session
from filterd.parse.anatomise import anatomise
from filterd.parse.pool import ParsePool
from tests.unit.filterd.daemon import running
from tests.unit.filterd.dialogue import Client, content, envelope, greeting

HEADERS = tuple(
    (f"X-Header-{number}".encode(), b" some value of a usual length, folded\r\n\tonce")
    for number in range(20)
)
BODY = b"x" * 76 + b"\r\n"
SIZES = {"2 kB": 2_000 // 78, "20 kB": 20_000 // 78, "1 MB": 1_000_000 // 78}
SECONDS = 1.5
ROUNDS = 3
_HEAD = struct.Struct("!I")


def message(lines: int) -> bytes:
    """Return one whole milter session with a message of so many body lines."""
    return b"".join(
        (
            mta.offer(),
            greeting(),
            envelope(),
            mta.plain(c.Data),
            content(HEADERS, BODY * lines),
            mta.plain(c.EndOfMessage),
            mta.plain(c.Quit),
        )
    )


def codec(data: bytes) -> None:
    session = Session(wish(Config()))
    for at in range(0, len(data), 65536):
        session.receive(data[at : at + 65536])
        while (command := session.next_event()) is not None:
            if isinstance(command, c.Offer):
                session.agree(command)
            elif session.owed is not None:
                session.reply(Continue())


def framing(data: bytes) -> None:
    position = 0
    while position < len(data):
        (length,) = _HEAD.unpack_from(data, position)
        bytes(data[position + 5 : position + 4 + length])
        position += 4 + length


def per_call(deed: Callable[[], object]) -> float:
    """Return the best of some rounds, in seconds a call."""
    best = float("inf")
    for _ in range(ROUNDS):
        calls, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < SECONDS / ROUNDS:
            deed()
            calls += 1
        best = min(best, spent / max(calls, 1))
    return best


class Constant:
    """The floor of the daemon: a server that reads as many bytes as it is told and answers with one frame."""

    def __init__(self, path: Path, expected: int) -> None:
        self._path, self._expected = path, expected
        self._ready = threading.Event()
        threading.Thread(target=lambda: uvloop.run(self._serve()), daemon=True).start()
        self._ready.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._one, str(self._path))
        self._ready.set()
        await server.serve_forever()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(self._expected)
        writer.write(b"\0\0\0\1c")
        writer.close()


def floor_message(path: Path, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        peer.sendall(data)
        peer.recv(16)


def daemon_message(path: Path, body: bytes) -> None:
    with Client(path) as client:
        client.begin()
        client.send(content(HEADERS, body) + mta.plain(c.EndOfMessage))
        client.verdict()


def mail(lines: int) -> bytes:
    """Return the message of so many body lines."""
    fields = b"".join(name + b":" + value + b"\r\n" for name, value in HEADERS)
    return fields + b"\r\n" + BODY * lines


def fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def parse_worker() -> None:
    """Print what a parse worker costs, by itself and with its process."""
    for name, lines in SIZES.items():
        data = mail(lines)
        report(
            f"taking apart, {name}",
            per_call(partial(anatomise, data, Inspection())),
            per_call(partial(message_from_bytes, data)),
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pool = ParsePool(Config(), slots=1, log=Log(-1))
        runner.run(pool.ping())
        for name, lines in SIZES.items():
            spooled = Message(Envelope(), Spool("/tmp", 10**7), max_bytes=10**7)  # noqa: S108 - in memory
            spooled.add_body(mail(lines))
            report(
                f"parse worker, {name}",
                per_call(partial(_run, runner, pool, spooled)),
                per_call(fork),
            )
            spooled.close()
        runner.run(pool.close())


def _run(runner: asyncio.Runner, pool: ParsePool, spooled: Message) -> None:
    runner.run(_taken_apart(pool, spooled))


async def _taken_apart(pool: ParsePool, spooled: Message) -> None:
    with await pool.anatomise(spooled):
        pass


def main() -> None:
    print(f"{'':24}{'own ms':>10}{'floor ms':>10}{'ratio':>8}")
    for name, lines in SIZES.items():
        data = message(lines)
        report(
            f"codec, {name}",
            per_call(partial(codec, data)),
            per_call(partial(framing, data)),
        )
    parse_worker()
    room = {"max_message_bytes": 4_000_000, "spool_memory_bytes": 4_000_000}
    with tempfile.TemporaryDirectory() as home, running(Path(home), milter=room) as daemon:
        for name, lines in SIZES.items():
            data, body = message(lines), BODY * lines
            floor = Path(home) / f"floor-{lines}.sock"
            Constant(floor, len(data))
            report(
                f"daemon, {name}",
                per_call(partial(daemon_message, daemon.socket, body)),
                per_call(partial(floor_message, floor, data)),
            )


def report(name: str, own: float, floor: float) -> None:
    print(f"{name:24}{own * 1000:10.3f}{floor * 1000:10.3f}{own / floor:8.1f}")


if __name__ == "__main__":
    main()
