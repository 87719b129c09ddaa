"""What a variant is, and the checks that an unfinished one does not pass."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Content: TypeAlias = Callable[[bytes], bytes]
"""Makes a file that holds the payload."""
Build: TypeAlias = Callable[[bytes], bytes]
"""Makes a whole mail that holds the payload."""

FAMILIES: Final = (
    "header",
    "boundary",
    "transfer-encoding",
    "nesting",
    "archive",
    "container",
    "document",
    "text-embedded",
    "html-smuggling",
    "file-name",
    "encryption",
)

# The classes for which a harmless mail of the same structure may be refused: its structure is forbidden by itself.
NEVER: Final[frozenset[str]] = frozenset()
MALFORMED: Final = frozenset({"malformed"})
ENCRYPTED: Final = frozenset({"encrypted"})
OVER_LIMIT: Final = frozenset({"over-limit"})
SUSPICIOUS: Final = frozenset({"suspicious"})
BANNED: Final = frozenset({"banned"})
KNOWN: Final = MALFORMED | ENCRYPTED | OVER_LIMIT | SUSPICIOUS | BANNED

# A mail with the test file counts as stopped when the payload was seen or the mail has one of these.
STOPPED_BY: Final = MALFORMED | ENCRYPTED | OVER_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One disguise.

    ``id`` is family.slug. ``build`` gives the whole mail around a payload of 68 bytes, the same for the same payload
    unless a cipher draws a salt. ``twin_may_be``: the classes that the twin may have; none means it must pass.
    ``recoverable``: some lenient program gets the payload out; what none does is kept for its twin but not counted.
    """

    id: str
    title: str
    build: Build
    twin_may_be: frozenset[str] = NEVER
    recoverable: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z-]+\.[a-z0-9]+(-[a-z0-9]+)*", self.id) or self.family not in FAMILIES:
            raise ValueError(f"{self.id!r} is not a known family, a dot and a slug")
        if not self.title or not self.title.isascii():
            raise ValueError(f"{self.id}: the title must be ASCII text, as it becomes the subject")
        if not self.twin_may_be <= KNOWN:
            raise ValueError(f"{self.id}: {sorted(self.twin_may_be - KNOWN)} are no classes")

    @property
    def family(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]
