"""Header fields of one entity, as raw bytes: read, set, deleted; the rest stays as it is."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from .anatomy import HeaderEdit

_CONTINUED: Final = (b" ", b"\t")
_NAME: Final = re.compile(rb"([!-9;-~]*):")


class Field(Struct, frozen=True):
    """One field: its name as written, and its whole text, folds and line end included."""

    name: str
    text: bytes


class Change(Struct, frozen=True, kw_only=True):
    """A field that is to have this value (as it stands behind the colon, folds as LF), or None: to be gone."""

    name: str
    value: bytes | None


def split(header: bytes) -> list[Field]:
    """Return the fields of a header block; a line that is none belongs to the field before."""
    fields: list[Field] = []
    for line in header.splitlines(keepends=True):
        mark = _NAME.match(line)
        if fields and (line.startswith(_CONTINUED) or mark is None):
            fields[-1] = Field(fields[-1].name, fields[-1].text + line)
        else:
            fields.append(Field(mark[1].decode("ascii") if mark else "", line))
    return fields


def changed(header: bytes, changes: Iterable[Change]) -> tuple[bytes, tuple[HeaderEdit, ...]]:
    """Return the header block with the changes made, and the same as edits for a milter.

    A field that is there twice is there once then. New fields come last. The block has no empty line at its end.
    """
    fields = split(header)
    edits: list[HeaderEdit] = []
    for change in changes:
        places = [at for at, field in enumerate(fields) if field.name.lower() == change.name.lower()]
        edits += _edits(change, len(places))
        if change.value is None:
            fields = _without(fields, places)
        elif places:
            fields[places[0]] = _field(fields[places[0]].name, change.value)
            fields = _without(fields, places[1:])
        else:
            fields.append(_field(change.name, change.value))
    return b"".join(field.text for field in fields), tuple(edits)


def _edits(change: Change, count: int) -> list[HeaderEdit]:
    """Return the milter's edits; the last field of that name first, so that no number moves before it is used."""
    first = 1 if change.value is None else 2
    edits = [HeaderEdit(name=change.name, index=at, value=None) for at in range(count, first - 1, -1)]
    if change.value is not None:
        edits.append(HeaderEdit(name=change.name, index=1 if count else 0, value=change.value))
    return edits


def _without(fields: Sequence[Field], places: Iterable[int]) -> list[Field]:
    gone = set(places)
    return [field for at, field in enumerate(fields) if at not in gone]


def _field(name: str, value: bytes) -> Field:
    return Field(name, name.encode("ascii") + b":" + value.replace(b"\n", b"\r\n") + b"\r\n")


def edited(header: bytes, edits: Iterable[HeaderEdit]) -> bytes:
    """Return the header block with a milter's edits made as an MTA makes them; new fields come first."""
    fields = split(header)
    for edit in edits:
        places = [at for at, field in enumerate(fields) if field.name.lower() == edit.name.lower()]
        if edit.index == 0:
            if edit.value is not None:
                fields.insert(0, _field(edit.name, edit.value))
        elif edit.index <= len(places):
            at = places[edit.index - 1]
            fields[at : at + 1] = [] if edit.value is None else [_field(fields[at].name, edit.value)]
    return b"".join(field.text for field in fields)
