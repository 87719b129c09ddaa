"""From 1 to 50 sessions at once, and 500 that are idle: throughput, latency and memory, engines stubbed.

The floor is a server that reads the same bytes from the same clients and answers with a constant, in the same run. A
message's latency is from its last byte to the last word about it; the deadline is ``[milter] scan_timeout_s``.
"""

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final

from msgspec import Struct

from filterd.config import Config
from filterd.milter import commands as c
from filterd.milter import mta
from filterd.processes import spent
from tests.bench.__main__ import Constant, floor_message
from tests.bench.processor import plain, pss
from tests.unit.filterd.daemon import Daemon, running
from tests.unit.filterd.dialogue import Client, content
from tests.unit.filterd.engines import wait_for

STEPS: Final = (1, 2, 5, 10, 20, 50)
IDLE: Final = 500
_SECONDS: Final = 2.0
_ROUNDS: Final = 3
_BYTES: Final = 1700


def at_once(sessions: int, deed: Callable[[], float], seconds: float) -> tuple[float, Sequence[float]]:
    """Have so many threads do it again and again. Returns how often a second, and what each deed returned, sorted."""
    took: list[float] = []
    until = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < until:
            took.append(deed())

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / (time.monotonic() - began), sorted(took)


class Sender:
    """Sends messages, no two alike, over one connection a thread."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._numbers = itertools.count()
        self._own = threading.local()
        self._bodies = [plain(number, _BYTES)[1] for number in range(50)]
        self._clients = ExitStack()

    def message(self) -> float:
        """Send one. Returns what its last word took, in seconds."""
        if (client := getattr(self._own, "client", None)) is None:
            client = self._own.client = self._clients.enter_context(Client(self._daemon.socket))
        return send(client, next(self._numbers), self._bodies)

    def hang_up(self) -> None:
        self._clients.close()


def send(client: Client, number: int, bodies: Sequence[bytes]) -> float:
    """Send one message. Returns what its last word took, in seconds."""
    headers, body = plain(number, 0)[0], bodies[number % len(bodies)] + b"%d\r\n" % number
    client.begin()
    client.send(mta.plain(c.Data) + content(headers, body) + mta.plain(c.EndOfMessage))
    began = time.monotonic()
    answer = client.verdict()
    assert answer.code == b"c", answer
    return time.monotonic() - began


class Step(Struct):
    """One number of sessions: the best of the rounds, so that what else the machine does counts little."""

    own: float = 0.0
    floor: float = 0.0
    processor_ms: float = float("inf")
    took: Sequence[float] = ()


def growth(daemon: Daemon, home: Path) -> None:
    """Print throughput and latency at each step, and the lowest ratio of a step to the best before it."""
    sender = Sender(daemon)
    at_once(2, sender.message, 2.0)
    data = bytes(_BYTES)
    floor = home / "floor.sock"
    Constant(floor, len(data))
    steps = {sessions: Step() for sessions in STEPS}
    for _ in range(_ROUNDS):
        for sessions, step in steps.items():
            before = spent([daemon.process.pid])
            own, took = at_once(sessions, sender.message, _SECONDS)
            step.processor_ms = min(
                step.processor_ms, (spent([daemon.process.pid]) - before) / len(took) * 1000
            )
            if own > step.own:
                step.own, step.took = own, took
            step.floor = max(step.floor, at_once(sessions, partial(_constant, floor, data), 1.0)[0])
    sender.hang_up()
    _print(steps, Config().milter.scan_timeout_s)


def _constant(floor: Path, data: bytes) -> float:
    floor_message(floor, data)
    return 0.0


def _print(steps: Mapping[int, Step], deadline: float) -> None:
    print(
        f"{'sessions':>8}{'messages/s':>12}{'floor/s':>10}{'ratio':>8}{'processor ms':>14}"
        f"{'p50 ms':>9}{'p99 ms':>9}{'of deadline':>13}"
    )
    best, lowest = 0.0, float("inf")
    for sessions, step in steps.items():
        p50, p99 = (quantiles(step.took, n=100, method="inclusive")[at] for at in (49, 98))
        print(
            f"{sessions:8}{step.own:12.0f}{step.floor:10.0f}{step.own / step.floor:8.3f}{step.processor_ms:14.2f}"
            f"{p50 * 1000:9.1f}{p99 * 1000:9.1f}{p99 / deadline:13.4f}"
        )
        if best:
            lowest = min(lowest, step.own / best)
        best = max(best, step.own)
    print(f"lowest step: {lowest:.2f} of the best before it")


def idle(daemon: Daemon) -> None:
    """Print what connections cost that are open and say nothing: fresh ones, and such as have had a message."""
    pid = daemon.process.pid
    bodies = [plain(0, _BYTES)[1]]
    before = pss(pid)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(daemon.socket)) for _ in range(IDLE)]
        print(f"{IDLE} idle connections: {pss(pid) - before:+.1f} MB on {before:.0f} MB")
        for number, client in enumerate(clients):
            send(client, 10**6 + number, bodies)
        # Whoever takes messages apart ends a moment after its answer.
        time.sleep(1)
        print(f"the same, each after a message: {pss(pid) - before:+.1f} MB")
    time.sleep(1)
    print(f"when they have gone: {pss(pid) - before:+.1f} MB")


def main() -> None:
    """Print both tables."""
    room = {"workers": 2, "max_connections": IDLE + 100}
    with tempfile.TemporaryDirectory() as home, running(Path(home), milter=room) as daemon:
        growth(daemon, Path(home))
        wait_for(lambda: len(daemon.workers()) == room["workers"])
        idle(daemon)


if __name__ == "__main__":
    main()
