"""Those who break things: each a loop that goes on until its time is over, and says what it did."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.chaos import family
from tests.chaos.gateway import Gateway

_EVERY_S: Final = (0.2, 1.0)
# A reload starts workers and their parsers anew, which is most of what two cores can do.
_RELOAD_EVERY_S: Final = (1.0, 4.0)


def chance_of(seed: int) -> random.Random:
    """Return what the loops throw dice with."""
    return random.Random(seed)  # noqa: S311 - it guards nothing


def kills(
    gateway: Gateway, seconds: float, chance: random.Random, seen: set[tuple[int, str]]
) -> Counter[str]:
    """Kill a random process below the supervisor every 0.2 to 1 s. Returns how many of each role; notes all seen."""
    return family.kills(
        lambda: gateway.process.pid, family.BELOW, seconds=seconds, chance=chance, every_s=_EVERY_S,
        look=lambda: seen.update(gateway.everybody()),
    )  # fmt: skip


def reloads(gateway: Gateway, going: Callable[[], bool], chance: random.Random) -> Counter[str]:
    """Reload again and again while ``going()``: now this configuration, now that, now a broken one."""
    broken = (
        gateway.text + "[milter\n",
        gateway.text + "\n[no-such-section]\nx = 1\n",
        gateway.text.replace("milter.sock", "other.sock"),
        gateway.text.replace('spam = ["tag", "ignore"]', 'spam = ["no such action"]'),
    )
    done: Counter[str] = Counter()
    while going():
        bad = chance.random() < 0.4
        gateway.reload(chance.choice(broken) if bad else gateway.text + f"# {time.monotonic_ns()}\n")
        done["broken" if bad else "good"] += 1
        time.sleep(chance.uniform(*_RELOAD_EVERY_S))
    return done
