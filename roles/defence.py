"""Defence: one record for one defence, read by the deploy, the acceptance tests, the audit and the docs."""

import re
from dataclasses import dataclass

from roles.claims import Claim
from roles.kinds import Kind

_ID = re.compile(r"[a-z]+(\.[a-z0-9-]+)+")
_ROW = re.compile(r"[A-Z]\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defence:
    """One defence: why it is there, what it sets on the host, what an outsider then sees.

    ``id`` is layer.name and stands in rendered files, test ids and reports alike. ``rows`` are requirement ids.
    ``claims`` are what is seen from outside; where nothing can be seen, ``unseen`` says why.
    An unfinished record cannot be constructed: ValueError names the record and what it lacks.
    """

    id: str
    title: str
    why: str
    rows: tuple[str, ...]
    sets: tuple[Kind, ...] = ()
    claims: tuple[Claim, ...] = ()
    unseen: str = ""

    def __post_init__(self) -> None:
        """Refuse a record that lacks what one of its readers needs."""
        for problem in self._problems():
            raise ValueError(f"defence {self.id!r}: {problem}")

    def _problems(self) -> list[str]:
        found = []
        if not _ID.fullmatch(self.id):
            found.append("the id must be layer.name in lower case")
        if not self.title or self.title.endswith("."):
            found.append("the title must be a short statement without a full stop")
        if not self.why.endswith("."):
            found.append("why must be a whole sentence")
        if not self.rows or not all(_ROW.fullmatch(row) for row in self.rows):
            found.append("rows must name requirement ids such as A20")
        if not self.sets and not self.claims:
            found.append("it neither sets nor claims anything")
        if bool(self.claims) == bool(self.unseen):
            found.append("it needs either claims or the reason why nothing can be seen from outside")
        return found

    @property
    def layer(self) -> str:
        """The layer that the id begins with."""
        return self.id.partition(".")[0]
