"""What a stage is, and what it may report."""

from collections.abc import Awaitable, Callable
from enum import StrEnum

from msgspec import Struct

from filterd.message import Message
from filterd.scanners.engines import Engines


class Verdict(StrEnum):
    """The classes of messages, and of findings. "not-inspected" is never "clean"."""

    CLEAN = "clean"
    INFECTED = "infected"
    SPAM = "spam"
    OVER_LIMIT = "over-limit"
    NOT_INSPECTED = "not-inspected"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that a stage has seen. ``rule`` is public (it stands in the reply); ``detail`` is for the log."""

    stage: str
    verdict: Verdict
    rule: str
    detail: str = ""
    score: float | None = None


class Stage(Struct, frozen=True, kw_only=True):
    """A stage. ``cost`` orders them (1: no I/O … 9: seconds of CPU); ``examine`` may raise ScannerError."""

    id: str
    title: str
    why: str
    cost: int
    examine: Callable[[Message, Engines], Awaitable[tuple[Finding, ...]]]
