"""What a page does with the files that it holds: whether it builds one at the reader's, and what that is."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from .harvest import Content, Harvest
from .html_payloads import Payload, explains, is_active_page, is_dangerous, is_dangerous_name, is_opaque
from .html_tree import Page
from .script_residue import conceals, foreign_data
from .script_watch import Watch
from .smuggling import LIBRARY, Constants

IS_PART: Final = "read in part: it takes longer than scripts may"
_JUDGED: Final = 200_000  # characters of texts of a script that was read in part
_SMALL: Final = 64 * 1024  # characters of a script that does nothing else


class Verdict:
    """Whether a document builds files, and what files these are: gathered payload by payload."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.is_part = False
        self.builds = False
        self.name = ""
        self.unread = ""
        self.size = 0
        self.explained: dict[bytes, int] = {}
        self._dangerous = ""
        self._document = ""
        self._any = False

    def take(self, payload: Payload) -> None:
        """Add one payload."""
        seen = f"{payload.name or payload.claimed or 'a file'}, {len(payload.data)} bytes"
        if payload.opened and is_active_page(payload.data):
            self._document = seen
        if not (payload.script or payload.opened):
            return
        self._any = True
        if payload.data not in self.explained and explains(payload.data):
            # Base64 is a third longer than what it holds.
            self.explained[payload.data] = len(payload.data) * 4 // 3
        if is_dangerous(payload) and (payload.script or not is_active_page(payload.data)):
            self._dangerous = self._dangerous or seen
            self.builds = self.builds or payload.opened
        elif is_opaque(payload, self.size):
            self.unread = self.unread or f"{seen} of no known kind"

    def give_up(self, reason: str) -> None:
        """Remember that a script holds more than is read: in one that builds a file, that conceals something."""
        self.unread = self.unread or reason

    def judge(self, found: Constants, page: Page) -> None:
        """Look, when all payloads were taken, at what is left of a script that builds files."""
        if not self.builds:
            return
        if found.cut:
            self.give_up(found.cut)
        if self.is_part and len(found.code) < LIBRARY:
            self.give_up(IS_PART)
        pieces: Iterable[str] = chain(found.pieces, page.words, *page.pieces.values())
        pieces = _first(pieces, _JUDGED) if self.is_part else pieces
        if not self.unread and (reason := conceals(pieces, sum(self.explained.values()), len(found.code))):
            self.give_up(reason)
        if len(found.code) < LIBRARY and (reason := foreign_data(found.texts)):
            self.give_up(reason)
        if found.named and is_dangerous_name(found.named) and len(found.code) < _SMALL and not self.explained:
            self.give_up(f"a file named {found.named} whose content nobody sees")

    def report(self, content: Content, harvest: Harvest) -> None:
        """Note what was found."""
        if self._document:
            harvest.note("html.data-document", content, self._document)
        if self.is_part:
            harvest.note("html.script-long", content, IS_PART)
        if not self.builds:
            return
        if reason := self._dangerous or self.unread or (self.name if self._any else ""):
            harvest.note("html.smuggling", content, reason)
        else:
            harvest.note("html.builds-file", content, IS_PART if self.is_part else self.name)


def _first(texts: Iterable[str], room: int) -> Iterator[str]:
    """Yield texts of ``room`` characters in all."""
    for text in texts:
        if room <= 0:
            return
        yield text[:room]
        room -= len(text)
