"""Runs a target on endless cases for a time, in a child, and tells what it died of with a way to repeat it.

The child is there because the libraries underneath are C: a crash or a hang of it must not take the tests along.
What is set in the environment: BASTIDE_FUZZ_SECONDS for each target (5; in CI 60), BASTIDE_FUZZ_SEED.
"""

import base64
import mmap
import os
import random
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

SECONDS: Final = float(os.environ.get("BASTIDE_FUZZ_SECONDS") or ("60" if os.environ.get("CI") else "5"))
# The same cases each time on a workstation, ever new ones in CI, where many runs are made.
SEED: Final = int(
    os.environ.get("BASTIDE_FUZZ_SEED") or (time.time_ns() if os.environ.get("CI") else 20261121)
)

_ROOM: Final = 4 * 1024 * 1024  # the longest case
_MEMORY: Final = 4 * 1024 * 1024 * 1024  # of the child, so that a bomb is its death and not the machine's
_HEAD: Final = 16  # case's length and number of cases so far
_HUNG_S: Final = 60.0  # of the clock, for one case; the machine may be busy
_SHOWN: Final = 100_000  # characters of a reproducer


class TargetDiedError(AssertionError):
    """The target did what it must not: the text tells what, and holds the case in base64."""

    def __init__(self, what: str, case: bytes, count: int) -> None:
        shown = base64.b64encode(case).decode("ascii")
        super().__init__(
            f"{what}\nafter {count} cases, seed {SEED}; the case in base64, {len(case)} bytes:\n{shown[:_SHOWN]}"
        )
        self.case = case


def rng(name: str) -> random.Random:
    """Return the generator of one target."""
    return random.Random(f"{SEED} {name}")  # noqa: S311 - cases are to be repeatable, not secret


def hammer(cases: Iterator[bytes], target: Callable[[bytes], None], *, seconds: float = SECONDS) -> int:
    """Run ``target`` on ``cases`` until ``seconds`` have passed; the number of cases. Raises TargetDiedError."""
    board = mmap.mmap(-1, _HEAD + _ROOM)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(cases, target, board, writing, seconds)
    os.close(writing)
    try:
        said, hung = _listen(reading, board, seconds)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    count = int.from_bytes(board[8:_HEAD], "big")
    case = board[_HEAD : _HEAD + int.from_bytes(board[:8], "big")]
    if said == b"done":
        return count
    what = f"hung for {_HUNG_S:g} s" if hung else said.decode("utf-8", "replace")
    raise TargetDiedError(what or f"the process died, wait status {status}", case, count)


def _work(
    cases: Iterator[bytes], target: Callable[[bytes], None], board: mmap.mmap, writing: int, seconds: float
) -> None:
    """Be the child; does not return."""
    try:
        # What this process has already (a JavaScript engine of another test reserves much) is no fault of the target.
        occupied = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (occupied + _MEMORY, occupied + _MEMORY))
        end = time.monotonic() + seconds
        for count, case in enumerate(cases, 1):
            kept = case[:_ROOM]
            board[_HEAD : _HEAD + len(kept)] = kept
            board[:_HEAD] = len(kept).to_bytes(8, "big") + count.to_bytes(8, "big")
            target(kept)
            if time.monotonic() > end:
                break
        said = b"done"
    except BaseException:  # noqa: BLE001 - whatever comes out of the target is what this is for
        said = traceback.format_exc().encode("utf-8", "replace")[-8000:]
    try:
        os.write(writing, said)
    finally:
        os._exit(0)


def _listen(reading: int, board: mmap.mmap, seconds: float) -> tuple[bytes, bool]:
    """Wait for the child's word. Returns it, and whether the child hangs."""
    seen, since = b"", time.monotonic()
    while True:
        if select.select([reading], [], [], 0.5)[0]:
            return os.read(reading, 65536), False
        if board[8:_HEAD] != seen:
            seen, since = board[8:_HEAD], time.monotonic()
        elif time.monotonic() - since > _HUNG_S + min(seconds, 1.0):
            return b"", True
