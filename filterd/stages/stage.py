"""What a stage is: a record. Content stages run in parse workers, engine stages beside the milter protocol."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.findings import Finding, Rule, Verdict
from filterd.message import Message
from filterd.parse.dissection import Dissection
from filterd.scanners.engines import Engines

__all__ = ["Finding", "Rule", "Stage", "Verdict"]


class Stage(Struct, frozen=True, kw_only=True):
    """A stage. ``cost`` orders them (1: no I/O … 9: seconds of CPU); ``rules`` are all that it may report.

    ``judge`` (content stages) is pure and sees the whole anatomy; what is found while a message is taken apart is
    noted there and then (Harvest.note). ``examine`` (engine stages) asks an engine and may raise ScannerError.
    """

    id: str
    title: str
    why: str
    cost: int
    rules: tuple[Rule, ...]
    judge: Callable[[Anatomy, Inspection], tuple[Finding, ...]] | None = None
    examine: Callable[[Message, Engines, Dissection], Awaitable[tuple[Finding, ...]]] | None = None
