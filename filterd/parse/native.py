"""Says that a message needs more than the readers that most mail needs, before any other has a byte of it.

The attack it stops: a content that takes its reader over and waits for the next message. What has been said cannot be
taken back: the milter worker has it (lane.py), and the parse worker gets no other message. Which readers are met without
a word: docs/decisions/0015.
"""

from collections.abc import Callable
from typing import Final

# What says it, until it is said.
_say: Final[list[Callable[[], object]]] = []


def tell_by(say: Callable[[], object]) -> None:
    """Have the first note() of this process call ``say``; without one it does nothing."""
    _say[:] = [say]


def note() -> None:
    """Say that a decoder in C, or the reader of an uncommon kind, is about to be asked: call it before that gets a byte.

    Raises OSError if it cannot be said, and then again with each call: nothing is read unsaid.
    """
    if _say:
        _say[0]()
        _say.clear()
