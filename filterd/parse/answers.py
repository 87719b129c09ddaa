"""What a milter worker makes of a parse worker's answer, in memory files or in one datagram.

The attack it stops: a parse worker that has been taken over, and says that something lies where it does not.
"""

import os
from collections.abc import Sequence
from typing import TypeAlias

from filterd.errors import ScannerAnswerError

from . import border
from .border import Answer, Source

# The answer, where its contents lie, and whether its worker would take another job.
Told: TypeAlias = tuple[Answer, list[Source], bool]


def told(said: bytes, file: int) -> tuple[Answer, bool]:
    """Return the answer to a job, whose record lies in ``file``, and whether its worker would take another.

    Raises ScannerAnswerError.
    """
    if len(said) != border.LOCATION.size:
        raise ScannerAnswerError("the parse worker's answer is not one")
    offset, length, goes_on = border.LOCATION.unpack(said)
    if length > border.MAX_RECORD or offset + length != border.sealed_size(file):
        raise ScannerAnswerError("the parse worker's answer is not where it says")
    return border.decoded(border.read_at(file, offset, length)), bool(goes_on)


def told_whole(said: bytes) -> tuple[Answer, bytes, bool]:
    """Return the answer that a datagram holds, the contents in it, and whether its worker would take another job.

    Raises ScannerAnswerError.
    """
    begins = len(border.WHOLE) + border.LOCATION.size
    if len(said) < begins or not said.startswith(border.WHOLE):
        raise ScannerAnswerError("the parse worker's answer is not one")
    offset, length, goes_on = border.LOCATION.unpack_from(said, len(border.WHOLE))
    if begins + offset + length != len(said):
        raise ScannerAnswerError("the parse worker's answer is not where it says")
    return border.decoded(said[begins + offset :]), said[begins : begins + offset], bool(goes_on)


def kept(files: list[int], said: bytes) -> Told:
    """Return what was told in memory files, which are the caller's as far as it needs them. Raises ScannerAnswerError."""
    answer, would = told(said, files[0])
    # Those that hold nothing hold their room.
    used = 1 + max((place.descriptor for place in answer.places), default=0)
    border.let_go(files[used:])
    kept: list[Source] = [*files[:used]]
    files.clear()
    return answer, kept, would


def weight(sources: Sequence[Source]) -> int:
    """Return how many bytes these hold, an empty file not for nothing: descriptors are bounded too."""
    return sum(
        len(one) if isinstance(one, bytes) else max(os.fstat(one).st_size, border.GREAT if number else 0)
        for number, one in enumerate(sources)
    )
