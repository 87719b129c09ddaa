"""Boundaries of multiparts: missing, doubled, mistaken, within each other; and what stands outside of the parts.

Source: RFC 2046 5.1.1.
"""

import re
from collections.abc import Iterator
from typing import Final

from .harvest import Content, Harvest
from .mime_chunks import dash_lines
from .mime_fields import bytes_of, decode_words, parameters, without_comments
from .mime_tree import Entity
from .scavenge import holds_files

_LONGEST: Final = 70
_MAX_TYPE: Final = 8 * 1024
_WRITTEN: Final = re.compile(r"boundary\s*+=\s*+([^;\r\n]*[^;\s])", re.IGNORECASE)
_MAX_COMPARED: Final = 2_000_000  # pairs of boundary and line; ordinary mail has 20
_CONTENT_FIELD: Final = re.compile(
    rb"(?:^|[\r\n])content-(?:type|transfer-encoding|disposition)[ \t]*:", re.IGNORECASE
)


def check_boundaries(entities: list[Entity], bones: bytes, harvest: Harvest) -> None:
    """Note what is wrong with the boundaries of the multiparts among ``entities``.

    ``bones``: their whole message, its long base64 aside, which has no dashes.
    """
    multiparts = [entity for entity in entities if entity.claimed.startswith("multipart/")]
    if not multiparts:
        return
    lines = {text.rstrip() for _, text, _ in dash_lines(bones)}
    around: dict[str, tuple[bytes, ...]] = {"": ()}
    for entity in entities:
        outer = around.get(entity.parent, ())
        around[entity.path] = outer
        if not entity.claimed.startswith("multipart/"):
            continue
        where = Content(data=b"", path=entity.path, depth=entity.nested)
        boundary = bytes_of(entity.boundary or "")
        _check_own(entity, boundary, lines, where, harvest)
        if boundary:
            _check_around(boundary, outer, where, harvest)
            around[entity.path] = (*outer, boundary)
        _check_outside(entity, where, harvest)
    known = {bytes_of(entity.boundary) for entity in multiparts if entity.boundary}
    _check_lines(known, lines, harvest)


def _check_own(entity: Entity, boundary: bytes, lines: set[bytes], where: Content, harvest: Harvest) -> None:
    types = entity.values("content-type")[:2]
    given = [one for value in types for one in parameters(without_comments(value)) if one.name == "boundary"]
    if not boundary and not any(lines):
        harvest.note("integrity.boundary-open", where)
    elif not boundary:
        harvest.note("integrity.boundary-missing", where)
    elif len(boundary) > _LONGEST:
        harvest.note("integrity.boundary-long", where)
    plain = {one.value for one in given}
    if len(plain) > 1 or (boundary and given and boundary not in map(bytes_of, plain)):
        harvest.note("integrity.boundary-ambiguous", where, " ".join(sorted(plain)))
    elif any(one.form in {"extended", "continued"} for one in given):
        harvest.note("integrity.boundary-split", where, " ".join(plain))
    whole = {found[1] for value in types for found in _WRITTEN.finditer(value[:_MAX_TYPE])}
    readings = {other for value in plain | whole for other in _readings(value)} - {boundary}
    used = [other for other in readings if other and (other in lines or other + b"--" in lines)]
    if used and boundary in lines:
        harvest.note("integrity.boundary-ambiguous", where, repr(used[0]))
    elif entity.shape == "leaf" and boundary and (used or _CONTENT_FIELD.search(entity.body)):
        harvest.note("integrity.boundary-mistaken", where)
    elif not {"CloseBoundaryNotFoundDefect", "StartBoundaryNotFoundDefect"}.isdisjoint(entity.defects):
        harvest.note("integrity.boundary-open", where)


def _readings(value: str) -> Iterator[bytes]:
    """Yield what other readers take for the boundary: without quotes, comment, blanks, decoded, cut at NUL."""
    yield bytes_of(value)
    yield bytes_of(value.strip("'\" \t"))
    yield bytes_of(value.replace('"', ""))
    yield bytes_of(value.partition("\0")[0])
    yield bytes_of((value.split() or [""])[0])
    yield bytes_of(value.partition("(")[0].rstrip())
    if "=?" in value:
        yield bytes_of(decode_words(value))


def _check_around(boundary: bytes, outer: tuple[bytes, ...], where: Content, harvest: Harvest) -> None:
    for other in outer:
        if other == boundary:
            harvest.note("integrity.boundary-repeated", where)
        elif other.startswith(boundary) or boundary.startswith(other):
            harvest.note("integrity.boundary-prefix", where)


def _check_outside(entity: Entity, where: Content, harvest: Harvest) -> None:
    for text in (entity.preamble, entity.epilogue):
        if text.strip() and (_CONTENT_FIELD.search(text) or holds_files(text, harvest)):
            harvest.note("integrity.outside", where)


def _check_lines(known: set[bytes], lines: set[bytes], harvest: Harvest) -> None:
    """Note lines that begin with a boundary and go on: RFC 2046 compares only the beginning, few readers do."""
    exact = known | {one + b"--" for one in known}
    unknown = [line for line in lines if line not in exact]
    if len(unknown) * len(known) > _MAX_COMPARED:
        harvest.note("integrity.boundary-odd", None, "too many lines of dashes")
        return
    for line in unknown:
        if any(line.startswith(one) and (line.strip(b"-") or one.strip(b"-")) for one in known):
            harvest.note("integrity.boundary-odd", None, repr(line[:100]))
            return
