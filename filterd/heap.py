"""How the C library's heap gives memory back: not at once.

Source: mallopt(3). By its own rules a content of more than 128 KiB is mapped and unmapped each time that a copy of it is
made, and the kernel fills each of its pages with zeros: a third of the processor time of a message of 1 MB.
"""

import ctypes
import gc
from typing import Final

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8


def keep_freed(*, at_the_top: int, mapped_from: int) -> None:
    """Keep what is freed for the next message, in this process and those that it forks.

    When more than ``at_the_top`` bytes are free at the end of the heap a quarter of that stays; what takes
    ``mapped_from`` bytes (glibc allows 32 MiB) is mapped by itself as before. All threads share one heap: the few that there are
    seldom work at the same time, and what each keeps for itself is 3 MB in the ledger's process alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library than glibc may have none
        mallopt(_TRIM_THRESHOLD, at_the_top)
        mallopt(_TOP_PAD, at_the_top // 4)
        mallopt(_MMAP_THRESHOLD, mapped_from)
        mallopt(_ARENA_MAX, 1)


def share() -> None:
    """Keep the collector from what is there now: children share it as long as nobody touches it."""
    gc.collect()
    gc.freeze()
