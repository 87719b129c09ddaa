"""Defence: one record for one defence, read by the deploy, the acceptance tests, the audit and the docs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import get_args

from roles.claims import Claim
from roles.hardening.settings import LEVELS, Level
from roles.kinds import Kind, applies
from roles.platforms import row
from roles.settings import Gateway, Mta

_ID = re.compile(r"[a-z]+(\.[a-z0-9-]+)+")
_ROW = re.compile(r"[A-Z]\d{2}")
_HEAVIEST = 10


@dataclass(frozen=True, slots=True)
class Lacking:
    """In the place of checks that cannot hold: the MTA or the platform cannot have the defence, or an operator's ``setting`` says so."""

    why: str
    about: str = "not-available"
    setting: str = ""

    def title(self) -> str:
        """Return what stands behind the defence's id in the item's."""
        return self.about


_ONLY_WARNS = Lacking(
    "By the setting `mta_rules.warn_only` what it would refuse is counted in the log and let in.",
    "only-warns",
    "mta_rules.warn_only",
)

_LEFT_OUT = "hardening.left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defence:
    """One defence: why it is there, what it sets on the host, what an outsider then sees.

    ``id`` is layer.name and stands in rendered files, test ids and reports alike. ``rows`` are requirement ids.
    ``claims`` are what is seen from outside; where nothing can be seen, ``unseen`` says why.
    ``when`` says of which gateways it is a defence, where it is not one of all; ``lacks`` why one of the MTAs cannot
    have it, and what stands in its place there.
    ``level`` is the lowest hardening level of a host that has it, ``cost`` what it costs the administrator (nothing that he
    would notice, if empty) and ``weight`` how much it counts in a score, 1 to 10.
    An unfinished record cannot be constructed: ValueError names the record and what it lacks.
    """

    id: str
    title: str
    why: str
    rows: tuple[str, ...]
    sets: tuple[Kind, ...] = ()
    claims: tuple[Claim, ...] = ()
    unseen: str = ""
    when: Callable[[Gateway], bool] | None = None
    lacks: Mapping[Mta, str] = field(default_factory=dict)
    level: Level = "lax"
    weight: int = 5
    cost: str = ""

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
        if self.layer == "mta" and not self.claims:
            found += [
                f"under {mta} it neither sets nor claims anything: say in `lacks` what stands in its place"
                for mta in get_args(Mta)
                if mta not in self.lacks
                and not any(getattr(each, "mta", mta) in (None, mta) for each in self.sets)
            ]
        if not 1 <= self.weight <= _HEAVIEST:
            found.append(f"the weight must be from 1 to {_HEAVIEST}")
        if not self.cost.endswith(".") and (self.cost or self.level != LEVELS[0]):
            found.append(f"above level {LEVELS[0]} its cost must be said, and as a whole sentence")
        found += [
            f"what stands in its place under {mta} must be a whole sentence"
            for mta, why in self.lacks.items()
            if not why.endswith(".")
        ]
        return found

    def stands(self, gateway: Gateway) -> bool:
        """Say whether this gateway has the defence: its level asks for it, it is meant for it, nobody left it out, its MTA can."""
        return self._wanted(gateway) and not self.left_out(gateway) and self.lacking(gateway) is None

    def _wanted(self, gateway: Gateway) -> bool:
        asked = LEVELS.index(self.level) <= LEVELS.index(gateway.hardening_level)
        return asked and (self.when is None or self.when(gateway))

    def left_out(self, gateway: Gateway) -> str:
        """Return this gateway's operator's reason for having it not, or nothing."""
        return gateway.hardening.left_out.get(self.id, "")

    def lacking(self, gateway: Gateway) -> str | None:
        """Return why this gateway's MTA or platform cannot have the defence; None: they can."""
        of_platform = row(gateway).lacks
        return self.lacks.get(gateway.mta) or of_platform.get(self.id) or of_platform.get(self.layer)

    def only_warns(self, gateway: Gateway) -> bool:
        """Say whether this gateway's operator lets the defence count what it would refuse, and let it in."""
        return self.id in gateway.mta_rules.warn_only

    def checks(self, gateway: Gateway) -> tuple["Kind | Claim | Lacking", ...]:
        """Return what is to be asked and looked at on this gateway; in place of what its MTA cannot, why."""
        if self.stands(gateway):
            warns = self.only_warns(gateway)
            every: tuple[Kind | Claim, ...] = (*self.sets, *(() if warns else self.claims))
            held = tuple(check for check in every if applies(check, gateway))
            return (*held, _ONLY_WARNS) if warns else held
        why = self.lacking(gateway)
        if why is not None:
            return (Lacking(why),)
        reason = self.left_out(gateway) if self._wanted(gateway) else ""
        return (Lacking(f"Left out by its operator: {reason}", "left-out", _LEFT_OUT),) if reason else ()

    @property
    def layer(self) -> str:
        """The layer that the id begins with."""
        return self.id.partition(".")[0]
