"""One message in, its anatomy and the bytes of its leaves out: the loop over everything that is found inside."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from msgspec import structs

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.findings import Finding, Rule
from filterd.stages import CONTENT
from filterd.stages.parse import FAILED

from .harvest import Content, Harvest, LimitReachedError
from .kinds import kind_of
from .mime import open_message
from .openers import UNPACKED, open_content

_RULES: Final[dict[str, tuple[str, Rule]]] = {
    rule.id: (stage.id, rule) for stage in CONTENT for rule in stage.rules
}
# These bounds are the whole message's: behind them nothing more is looked at.
_FINAL: Final = frozenset({"limit.parts", "limit.entries", "limit.bytes", "limit.time", "limit.findings"})

# The digests of the contents around one, each with the number of archives around it.
_Above: TypeAlias = dict[str, int]


def anatomise(raw: bytes, inspection: Inspection) -> tuple[Anatomy, list[bytes]]:
    """Return the anatomy of a message (RFC 5322, CRLF line ends) and the bytes of its leaves.

    Whatever the bytes are, this returns: what cannot be read is a finding. Bounded by ``inspection.parse``.
    """
    contents: list[bytes] = []
    harvest = Harvest(inspection.parse, _RULES, contents.append)
    with _noting(harvest, None):
        _walk(open_message(raw, harvest), harvest)
    _note_cut(harvest, inspection)
    anatomy = Anatomy(
        findings=tuple(harvest.findings),
        leaves=tuple(harvest.leaves),
        headers=tuple(harvest.headers),
        texts=tuple(harvest.texts),
        links=tuple(harvest.links),
        author=harvest.author,
        protected=harvest.protected,
        contents=tuple(harvest.contents),
    )
    judged: list[Finding] = []
    for stage in CONTENT:
        if stage.judge is not None:
            with _noting(harvest, None):
                judged += stage.judge(anatomy, inspection)
    # Nobody asks for texts and links outside, and they may be longer than an answer.
    return structs.replace(anatomy, findings=(*harvest.findings, *judged), texts=(), links=()), contents


def _note_cut(harvest: Harvest, inspection: Inspection) -> None:
    """Note that a part of the text was kept from the rules about it: what it may say is not known."""
    if harvest.cut:
        asked = any("body" in rule.where for rule in inspection.content)
        detail = f"more than {inspection.parse.text_bytes} characters"
        harvest.note_limit(LimitReachedError(f"limit.{'content' if asked else 'body'}-text", detail))


@contextmanager
def _noting(harvest: Harvest, content: Content | None) -> Iterator[None]:
    """Note what ends the look into one content (None: the message), so that the others are still looked at."""
    try:
        yield
    except LimitReachedError as reached:
        if content is not None and reached.rule in _FINAL:
            raise
        harvest.note_limit(reached, content)
    except MemoryError:
        if content is not None:
            raise
        harvest.note_limit(LimitReachedError("limit.memory", "no memory left"))
    except Exception as error:  # noqa: BLE001 - a mistake of ours or of a library: this was not inspected
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        try:
            harvest.note(FAILED.id, content, f"{where}: {type(error).__name__}: {error}")
        except LimitReachedError as reached:
            harvest.note_limit(reached, content)


def _walk(found: Iterator[Content], harvest: Harvest, above: _Above | None = None, packed: int = 0) -> None:
    """Look into each content, and into what is inside it, depth first: memory holds one path, not the tree.

    ``above`` are the contents around these, ``packed`` how many archives are among what is around them.
    """
    above = above or {}
    for content in found:
        harvest.budget.take_time()
        with _noting(harvest, content):
            harvest.budget.take_depth(content.depth)
            harvest.budget.take_leaf(len(content.data))
            content.kind = kind_of(content.data, content.name)
            inside = packed + (content.via in UNPACKED)
            if harvest.add_leaf(content):
                digest = harvest.leaves[-1].digest
                with harvest.budget.counting(digest):
                    _walk(open_content(content, harvest), harvest, {**above, digest: inside}, inside)
            elif content.data and inside > above.get(harvest.leaves[-1].digest, inside):
                # Whoever unpacks it again never ends; that these bytes were looked at is no answer to that.
                raise LimitReachedError("limit.depth", "an archive that holds itself")
            elif inside:
                harvest.budget.take_again(harvest.leaves[-1].digest)
