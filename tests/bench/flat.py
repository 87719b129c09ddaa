"""Whether memory stays flat: `python -m tests.bench.flat --messages 50000`, not a part of `make bench`.

Letters of every fate, every hundredth of 1 MB, four at a time. PSS of each role, in MB, every 2,500 messages; the slope
is that of the second half, as caches fill in the first: the median of those between any two rows, so that a process
which has just been replaced counts little. With recycling as it is by default, and without any, so that it hides
nothing. Exit 1 when memory grows.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.processor import prose, pss_of
from tests.chaos.gateway import Gateway
from tests.chaos.letters import LetterSent, letter
from tests.chaos.traffic import ACCEPTED, Post

_EVERY: Final = 2500
_CLIENTS: Final = 4
_LARGE: Final = 100
_NO_RECYCLING: Final = {"messages": 0, "age_s": 0, "rss_bytes": 0}
_ROLES: Final = {
    "supervisor": ("supervisor",),
    "workers": ("worker",),
    "parse": ("cradle", "parse"),
    "ledger": ("ledger",),
}
# What the allocator's arenas and SQLite's pages do by chance; a leak of 100 bytes a message is as much.
_FLAT_MB: Final = 1.0  # in 10,000 messages


class Large(LetterSent, frozen=True, kw_only=True):
    """A letter of 1 MB."""

    @property
    def body(self) -> bytes:
        return prose(1_000_000, 1) + self.token + b"\r\n"


def main() -> int:
    """Run both. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flat", description=__doc__)
    parser.add_argument(
        "--messages", type=int, default=50_000, help="in each of the two runs; default: 50,000"
    )
    parser.add_argument("--only", choices=("default", "none"), help="only with this recycling")
    options = parser.parse_args()
    flat = True
    for name, recycle in {"default": {}, "none": _NO_RECYCLING}.items():
        if options.only in (None, name):
            print(f"recycling: {name}")
            with tempfile.TemporaryDirectory(prefix="flat-") as home:
                flat &= _run(Path(home), options.messages, recycle)
    return 0 if flat else 1


def _run(home: Path, messages: int, recycle: dict[str, int]) -> bool:
    """Send them, print a row at a time. Returns whether memory was flat."""
    room = {"max_message_bytes": 4_000_000, "spool_memory_bytes": 4_000_000}
    # The machine may be busy: nobody is put off for that.
    patient = {"timeout_s": 60.0}
    with Gateway(
        home,
        milter=room,
        recycle=dict(recycle),
        clamd=dict(patient),
        spamd=dict(patient),
        ledger=dict(patient),
    ) as gateway:
        gateway.start()
        print(
            f"{'messages':>8}{'per s':>8}"
            + "".join(f"{role:>12}" for role in (*_ROLES, "all"))
            + f"{'database':>12}"
        )
        rows = []
        for sent in range(_EVERY, messages + 1, _EVERY):
            began = time.monotonic()
            _send(gateway, range(sent - _EVERY, sent))
            rate = _EVERY / (time.monotonic() - began)
            time.sleep(1)  # whoever takes messages apart ends a moment after its answer
            rows.append(_looked(gateway))
            disk = sum(path.stat().st_size for path in (home / "ledger").iterdir()) / 1e6
            print(
                f"{sent:8}{rate:8.0f}"
                + "".join(f"{mb:12.1f}" for mb in (*rows[-1], sum(rows[-1])))
                + f"{disk:12.1f}",
                flush=True,
            )
        gateway.stop()
        return _judged(rows)


def _looked(gateway: Gateway) -> tuple[float, ...]:
    family = gateway.family()
    return tuple(pss_of(pid for role in roles for pid in family[role]) for roles in _ROLES.values())


def _judged(rows: Sequence[tuple[float, ...]]) -> bool:
    """Print each role's slope over the second half. Returns whether all of them are flat."""
    half = rows[len(rows) // 2 :]
    if len(half) < 2:
        print("too few messages for a slope")
        return True
    columns = {name: [row[column] for row in half] for column, name in enumerate(_ROLES)}
    columns["all"] = [sum(row) for row in half]
    slopes = {name: _slope(column) * 10_000 / _EVERY for name, column in columns.items()}
    print("MB in 10,000 messages: " + ", ".join(f"{name} {slope:+.2f}" for name, slope in slopes.items()))
    flat = slopes["all"] < _FLAT_MB
    print("flat" if flat else "NOT FLAT")
    return flat


def _slope(column: Sequence[float]) -> float:
    """Return the growth from a row to the next."""
    pairs = combinations(enumerate(column), 2)
    return median((later - earlier) / (to - at) for (at, earlier), (to, later) in pairs)


def _send(gateway: Gateway, numbers: range) -> None:
    """Send the letters of these numbers."""

    def work() -> None:
        post = Post(gateway.daemon.socket)
        for number in left:
            large = number % _LARGE == 0
            one = Large(number=number, kind="clean") if large else letter(number)
            how, said = post.send(one, f"4F{number:08}")
            if how != ACCEPTED:
                wrong.append(f"letter {number}: {how} {said}")
        post.hang_up()

    wrong: list[str] = []
    left = iter(numbers)
    threads = [threading.Thread(target=work) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # What the stubs remember is this process's memory.
    for memory in (
        gateway.clamd.requests,
        gateway.clamd.commands,
        gateway.spamd.requests,
        gateway.mta.letters,
    ):
        memory.clear()
    assert not wrong, wrong[:5]


if __name__ == "__main__":
    sys.exit(main())
