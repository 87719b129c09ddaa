"""Who may do what with kept mail of which class. A table, for the command line and for whatever asks later. Pure.

The attack it stops: mail that is let out, read or removed by somebody whose business it is not (P12).
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from filterd.errors import FilterdError
from filterd.findings import Verdict

# admin: root or the ledger's owner. operator: the group in [store] operators. recipient: whose mail it is, and of that
# alone; whoever asks for one has to prove it.
Role = Literal["admin", "operator", "recipient"]
Deed = Literal[
    "list",
    "show",
    "export",
    "release",
    "release-infected",
    "delete",
    "hold",
    "learn",
    "change-lists",
    "search",
]


class RefusedError(FilterdError):
    """Something is not done: it is not there, or not for this one to do; the text says which."""


class Actor(Struct, frozen=True, kw_only=True):
    """Who does it."""

    name: str
    role: Role


_EVERY: Final = frozenset(Verdict)
_HARMLESS: Final = frozenset({Verdict.SPAM, Verdict.BURST, Verdict.BULK, Verdict.BANNED})
_OWN: Final = frozenset({Verdict.SPAM, Verdict.BULK})

# What is not here nobody may. "search" is of all messages, "change-lists" has no class.
MATRIX: Final[Mapping[Role, Mapping[Deed, frozenset[Verdict]]]] = {
    "admin": {
        "list": _EVERY, "show": _EVERY, "export": _EVERY, "release": _EVERY, "release-infected": _EVERY,
        "delete": _EVERY, "hold": _EVERY, "learn": _EVERY, "change-lists": _EVERY, "search": _EVERY,
    },
    "operator": {"list": _HARMLESS, "show": _HARMLESS, "release": _HARMLESS},
    "recipient": {"list": _OWN | {Verdict.BANNED}, "show": _OWN, "release": _OWN},
}  # fmt: skip


def may(role: Role, deed: Deed, verdict: str) -> bool:
    """Return whether a role may do something with an entry of a class ("" where there is none)."""
    classes = MATRIX[role].get(deed, frozenset())
    return classes == _EVERY if not verdict else verdict in classes


def classes_of(role: Role, deed: Deed) -> frozenset[Verdict]:
    """Return the classes with whose entries a role may do something."""
    return MATRIX[role].get(deed, frozenset())
