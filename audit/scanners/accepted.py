"""What Lynis, ssh-audit and systemd say and what stays all the same, each with its reason; docs/scanners.md is drawn from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A finding that stays: what is asked for, and why it is not done."""

    asks: str
    why: str


# By Lynis' own id of the test.
LYNIS: Final[Mapping[str, Accepted]] = {}
# By the name of the algorithm.
SSH_AUDIT: Final[Mapping[str, Accepted]] = {}
# By the unit: those whose exposure may be what it is.
UNITS: Final[Mapping[str, Accepted]] = {}
