"""A daemon's processes, and somebody who kills them at random.

Also runs on a gateway, with that host's own Python, as ``python3 - SECONDS SEED <family.py``: it imports nothing of this
repository. There it prints as JSON how many of each role it killed.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

BELOW = ("worker", "ledger", "cradle", "parse")  # the supervisor
_NAMES = {"filterd-worker": "worker", "filterd-ledger": "ledger"}
_LOOKS = 50
# On a live host engines and MTA share the processors with it: between two deaths some messages are to get through.
_LIVE_EVERY_S = (0.5, 3.0)


def family(supervisor: int) -> dict[str, list[int]]:
    """Return the pids of a daemon's processes by role; of one that has ended, nobody's."""
    found: dict[str, list[int]] = {role: [] for role in BELOW}
    found["supervisor"] = [supervisor] if born(supervisor) else []
    for child in _children(supervisor):
        if (role := _NAMES.get(_name(child), "")) == "":
            continue
        found[role].append(child)
        cradles = _children(child) if role == "worker" else []
        found["cradle"] += cradles
        for cradle in cradles:
            found["parse"] += _children(cradle)
    return found


def born(pid: int) -> str:
    """Return when a process began, in ticks (proc(5), starttime); "" for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def kills(
    supervisor: Callable[[], int], roles: Sequence[str], *, seconds: float, chance: random.Random,
    every_s: tuple[float, float], look: Callable[[], object] = lambda: None,
) -> "Counter[str]":  # fmt: skip
    """Kill a random process of a random role at random times. Returns how many of each; ``look`` is called before each.

    On a machine so busy that a role was not met, it goes on for twice as long; parse workers are too short-lived to count.
    """
    done: Counter[str] = Counter()
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds or (
        passed < 3 * seconds and not set(roles) - {"parse"} <= set(done)
    ):
        look()
        role = chance.choice(roles)
        if (pid := _one(supervisor(), role, chance)) is not None:
            try:
                os.kill(pid, signal.SIGKILL)
                done[role] += 1
            except ProcessLookupError:
                pass
        time.sleep(chance.uniform(*every_s))
    return done


def _one(supervisor: int, role: str, chance: random.Random) -> "int | None":
    """Return a process of a role; parse workers live for milliseconds, so they are waited for."""
    for _ in range(_LOOKS):
        if there := family(supervisor)[role]:
            return chance.choice(there)
        time.sleep(0.002)
    return None


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _of_the_service() -> int:
    command = ["systemctl", "show", "-p", "MainPID", "--value", "filterd"]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def main() -> None:
    """Kill what the host's service manager runs as filterd."""
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)  # noqa: S311 - it guards nothing
    done = kills(
        _of_the_service, ("supervisor", *BELOW), seconds=seconds, chance=chance, every_s=_LIVE_EVERY_S
    )
    print(json.dumps(done))


if __name__ == "__main__":
    main()
