"""One message in, its anatomy and the bytes of its leaves out: the loop over everything that is found inside."""

from collections.abc import Iterator
from typing import Final

from msgspec import structs

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.findings import Rule
from filterd.stages import CONTENT

from .harvest import Content, Harvest, LimitReachedError
from .kinds import kind_of
from .mime import open_message
from .openers import open_content

_RULES: Final[dict[str, tuple[str, Rule]]] = {
    rule.id: (stage.id, rule) for stage in CONTENT for rule in stage.rules
}
# These bounds are the whole message's: behind them nothing more is looked at.
_FINAL: Final = frozenset({"limit.parts", "limit.entries", "limit.bytes", "limit.time", "limit.findings"})


def anatomise(raw: bytes, inspection: Inspection) -> tuple[Anatomy, list[bytes]]:
    """Return the anatomy of a message (RFC 5322, CRLF line ends) and the bytes of its leaves.

    Whatever the bytes are, this returns: what cannot be read is a finding. Bounded by ``inspection.parse``.
    """
    contents: list[bytes] = []
    harvest = Harvest(inspection.parse, _RULES, contents.append)
    try:
        _walk(open_message(raw, harvest), harvest)
    except LimitReachedError as reached:
        harvest.note_limit(reached)
    except MemoryError:
        harvest.note_limit(LimitReachedError("limit.memory", "no memory left"))
    anatomy = Anatomy(
        findings=tuple(harvest.findings),
        leaves=tuple(harvest.leaves),
        headers=tuple(harvest.headers),
        texts=tuple(harvest.texts),
        links=tuple(harvest.links),
        protected=harvest.protected,
        contents=tuple(harvest.contents),
    )
    judged = tuple(found for stage in CONTENT if stage.judge for found in stage.judge(anatomy, inspection))
    return structs.replace(anatomy, findings=anatomy.findings + judged), contents


def _walk(found: Iterator[Content], harvest: Harvest) -> None:
    """Look into each content, and into what is inside it, depth first: memory holds one path, not the tree."""
    for content in found:
        harvest.budget.take_time()
        try:
            harvest.budget.take_depth(content.depth)
            harvest.budget.take_leaf(len(content.data))
            content.kind = kind_of(content.data, content.name)
            if harvest.add_leaf(content):
                _walk(open_content(content, harvest), harvest)
        except LimitReachedError as reached:
            if reached.rule in _FINAL:
                raise
            harvest.note_limit(reached, content)
