"""Task: one record for one thing that stays for the administrator."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from roles.kinds import Kind, Value
from roles.settings import Gateway

_ID = re.compile(r"[a-z]+(\.[a-z0-9-]+)+")

# A type of DNS record, and what its data begins with.
Published = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to do: why, how (a command or a page), and what tells whether it is done.

    ``settled`` asks the settings, ``asks`` the live host, ``publishes`` names records that `python -m publish` looks for; a
    task without any of them the administrator has to ask himself. With several it is done when all say so. ``when`` says
    of which gateways it is a task. ``defence`` is the id of the defence that stands once it is done, if it is one.
    An unfinished record cannot be constructed: ValueError names the record and what it lacks.
    """

    id: str
    title: str
    why: str
    how: Value
    settled: Callable[[Gateway], bool] | None = None
    asks: Kind | None = None
    publishes: tuple[Published, ...] = ()
    when: Callable[[Gateway], bool] | None = None
    defence: str = ""

    def __post_init__(self) -> None:
        """Refuse a record that lacks what one of its readers needs."""
        for wrong, problem in (
            (not _ID.fullmatch(self.id), "the id must be subject.name in lower case"),
            (not self.title or self.title.endswith("."), "the title must be short and without a full stop"),
            (not self.why.endswith("."), "why must be a whole sentence"),
            (isinstance(self.how, str) and not self.how.endswith("."), "how must be a whole sentence"),
        ):
            if wrong:
                raise ValueError(f"task {self.id!r}: {problem}")

    def stands(self, gateway: Gateway) -> bool:
        """Say whether this gateway has the task."""
        return self.when is None or self.when(gateway)

    @property
    def asked_of(self) -> tuple[str, ...]:
        """Who is asked whether it is done, in words; nobody: the administrator himself."""
        sides = (("the settings", self.settled), ("the host", self.asks), ("DNS", self.publishes))
        return tuple(name for name, asked in sides if asked)
