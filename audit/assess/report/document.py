"""The assessment as JSON: one object with a version, for programs that compare yesterday's with today's."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from audit.assess.assessment import Assessment

# Raised when a name's meaning changes or a name goes; a new name alone raises nothing.
VERSION = 1


class Document(Struct, frozen=True, kw_only=True):
    """The whole file; ``at`` is the time in UTC (ISO 8601), ``problems`` a sentence for each host that was not assessed."""

    version: int
    at: str
    formula: str
    hosts: tuple[Assessment, ...]
    problems: tuple[str, ...]


def encoded(document: Document) -> bytes:
    """Return the JSON text, in UTF-8."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def made(hosts: Sequence[Assessment], problems: Sequence[str], at: str, formula: str) -> Document:
    """Return the document of these hosts."""
    return Document(version=VERSION, at=at, formula=formula, hosts=tuple(hosts), problems=tuple(problems))
