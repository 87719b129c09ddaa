"""What the openers of one message fill: leaves, findings, texts; and the budget that all of them share."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

from filterd.anatomy import Leaf
from filterd.config.inspection import Bounds
from filterd.findings import Finding, Rule

from .script_watch import SECONDS, Watch

_MAX_DETAIL: Final = 200
_MAX_FINDINGS: Final = 2000
_MAX_WITHIN: Final = (
    10  # of one rule, within one part: a mailbox of a thousand newsletters says the same of each
)
_MAX_TEXT: Final = 48 << 20  # bytes of text, in all, that are searched for files: it takes a second or two
_MAX_LINKS: Final = 10_000
# Of a text about mail, each is read as what a part may begin with, in 25 us, and again in each mail around it. Ordinary
# mail has ten of them, and a mailbox of as many messages as may be (``entries``) some ten thousand.
_MAX_PASSAGES: Final = 40_000
_MAX_PAGES: Final = (
    4 << 20
)  # bytes of HTML that stands in HTML, in all; each level of it is read by itself, in 0.1 s a MB
# What a password that was not tried would have opened.
_UNOPENED: Final = frozenset({"archive.encrypted", "document.encrypted"})
_MAX_LINK: Final = 1000  # characters of a target, or of what is shown for it


class LimitReachedError(Exception):
    """A bound was met: what lies behind it is not looked at. ``rule`` names the bound."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


class Content(Struct, kw_only=True):
    """Bytes to look into. Fields as in Leaf; ``depth`` counts the containers around it, the message being 0."""

    data: bytes
    path: str
    names: tuple[str, ...] = ()
    claimed: str = ""
    charset: str = ""
    disposition: str = ""
    via: str = "mime"
    depth: int = 0
    # The text around an archive, in which its password may stand; "" outside of MIME parts.
    kind: str = ""

    @property
    def part(self) -> str:
        """Return the path of the MIME part that carries it."""
        return self.path.partition("!")[0]

    @property
    def name(self) -> str:
        """Return its file name as shown, or ""."""
        return self.names[0] if self.names else ""

    def inner(self, number: int, data: bytes, via: str, *, name: str = "", claimed: str = "") -> "Content":
        """Return the ``number``-th thing inside this content, counted from 1."""
        return Content(
            data=data,
            path=f"{self.path}!{number}",
            names=(name,) if name else (),
            claimed=claimed,
            via=via,
            depth=self.depth + 1,
        )


class Budget:
    """The bounds of one message. Each ``take_…`` raises LimitReachedError (class over-limit) when it is used up."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.entries = 0
        self.bytes = 0
        self.parts = 0
        self.text = 0
        self.passages = 0
        self.pages = 0
        self.scripts = Watch(SECONDS)
        self._inside: dict[str, tuple[int, int]] = {}
        # Of the processor: under load, which is no fault of this message, the clock runs faster.
        self._ends = time.process_time() + bounds.seconds

    def take_time(self) -> None:
        """Look at the time that this process has worked; call it in every loop that content controls."""
        if time.process_time() > self._ends:
            raise LimitReachedError("limit.time", f"{self.bounds.seconds:g} s")

    def take_part(self) -> None:
        """Count one MIME entity."""
        self.parts += 1
        if self.parts > self.bounds.parts:
            raise LimitReachedError("limit.parts", f"more than {self.bounds.parts} MIME parts")
        self.take_time()

    def take_entry(self, count: int = 1) -> None:
        """Count members of a container."""
        self.entries += count
        if self.entries > self.bounds.entries:
            raise LimitReachedError("limit.entries", f"more than {self.bounds.entries} members")
        self.take_time()

    def take_passage(self) -> None:
        """Count a paragraph that begins as a MIME part does, wherever it stands."""
        self.passages += 1
        if self.passages > _MAX_PASSAGES:
            raise LimitReachedError("limit.parts", f"more than {_MAX_PASSAGES} beginnings of MIME parts")

    def take_page(self, count: int) -> None:
        """Count bytes of a page that stands within another."""
        self.pages += count
        if self.pages > _MAX_PAGES:
            raise LimitReachedError("limit.bytes", f"more than {_MAX_PAGES} bytes of pages within pages")

    def take_depth(self, depth: int) -> None:
        """Look whether ``depth`` containers are too many."""
        if depth > self.bounds.depth:
            raise LimitReachedError("limit.depth", f"deeper than {self.bounds.depth}")

    def take_leaf(self, count: int) -> None:
        """Look whether ``count`` bytes are too many for one content."""
        if count > self.bounds.leaf_bytes:
            raise LimitReachedError("limit.leaf", f"a content of more than {self.bounds.leaf_bytes} bytes")

    def take_bytes(self, count: int) -> None:
        """Count bytes that were unpacked, in all."""
        self.bytes += count
        if self.bytes > self.bounds.bytes:
            raise LimitReachedError("limit.bytes", f"more than {self.bounds.bytes} bytes unpacked")

    @contextmanager
    def counting(self, digest: str) -> Iterator[None]:
        """Remember what is taken within the block, the look into the content of this digest."""
        entries, taken = self.entries, self.bytes
        yield
        self._inside[digest] = (self.entries - entries, self.bytes - taken)

    def take_again(self, digest: str) -> None:
        """Count what is inside a content that was looked into before: whoever unpacks it has that again.

        Equal archives in equal archives, a few levels deep, are petabytes to a mail reader (42.zip), and here some KB.
        """
        entries, taken = self._inside.get(digest, (0, 0))
        self.take_entry(entries)
        self.take_bytes(taken)

    def has_room_for_text(self, count: int) -> bool:
        """Return whether `take_text` would take so many bytes."""
        return self.text + count <= _MAX_TEXT

    def take_text(self, count: int) -> None:
        """Count bytes of text that are searched for files in disguise."""
        self.text += count
        if self.text > _MAX_TEXT:
            raise LimitReachedError("limit.bytes", f"more than {_MAX_TEXT} bytes of text to be searched")

    def read_all(self, pieces: Iterator[bytes], packed: int) -> bytes:
        """Return the joined pieces of one member, whose packed size is ``packed`` bytes (0: unknown).

        Counts them piece by piece, so a bomb is stopped where it passes a bound: leaf size, total, ratio, time.
        """
        bounds, taken = self.bounds, bytearray()
        for piece in pieces:
            taken += piece
            self.take_bytes(len(piece))
            self.take_time()
            self.take_leaf(len(taken))
            if packed and len(taken) > bounds.ratio_from and len(taken) > packed * bounds.ratio:
                raise LimitReachedError("limit.ratio", f"grows more than {bounds.ratio}-fold")
        return bytes(taken)


class Harvest:
    """What is found in one message. ``rules`` maps the id of each known rule to its stage and record."""

    def __init__(
        self, bounds: Bounds, rules: dict[str, tuple[str, Rule]], keep: Callable[[bytes], None]
    ) -> None:
        self.budget = Budget(bounds)
        self.findings: list[Finding] = []
        self.leaves: list[Leaf] = []
        self.contents: list[int] = []
        self.texts: list[tuple[str, str]] = []
        self.headers: list[tuple[str, str]] = []
        self.links: dict[tuple[str, str, str], None] = {}
        self.author = ""
        self.protected = ""
        self.cut = False  # there is more text than was kept
        self.untried = False  # there are more passwords than were tried
        self.passwords: tuple[int, list[str]] = 0, []  # those of so many texts (parse/passwords.py)
        self._rules = rules
        self._keep = keep
        self._noted: set[tuple[str, str]] = set()
        self._within: dict[tuple[str, str], int] = {}
        self._kept: set[str] = set()
        self._text_bytes = 0

    def note(self, rule: str, content: Content | None = None, detail: str = "") -> None:
        """Report that ``rule`` has matched in ``content`` (None: the message). Once a rule and path."""
        path = content.path if content else ""
        if (rule, path) in self._noted:
            return
        if content and "!" in path:
            within = (rule, content.part)
            self._within[within] = self._within.get(within, 0) + 1
            if self._within[within] > _MAX_WITHIN:
                return
        if len(self.findings) == _MAX_FINDINGS:
            # Whoever makes this many would hide one behind them.
            raise LimitReachedError("limit.findings", f"more than {_MAX_FINDINGS} findings")
        self._noted.add((rule, path))
        self._append(rule, path, content, detail)
        if rule in _UNOPENED and self.untried:
            self.note("limit.passwords", content)

    def note_limit(self, reached: LimitReachedError, content: Content | None = None) -> None:
        """Report that a bound was met: always, and each bound once."""
        if (reached.rule, "") not in self._noted:
            self._noted.add((reached.rule, ""))
            self._append(reached.rule, content.path if content else "", content, reached.detail)

    def _append(self, rule: str, path: str, content: Content | None, detail: str) -> None:
        stage, record = self._rules[rule]
        self.findings.append(
            Finding(
                stage=stage,
                verdict=record.verdict,
                rule=rule,
                detail=detail[:_MAX_DETAIL],
                part=content.part if content else "",
                path=path,
                name=content.name[:_MAX_DETAIL] if content else "",
            )
        )

    def add_text(self, part: str, text: str) -> None:
        """Keep a decoded text for the content rules and the search for links, within a bound: see ``cut``."""
        room = max(self.budget.bounds.text_bytes - self._text_bytes, 0)
        self.cut = self.cut or len(text) > room
        if room:
            self.texts.append((part, text[:room]))
            self._text_bytes += len(text)

    def add_link(self, content: Content, text: str, target: str) -> None:
        """Keep where something leads, and what is shown for it; each such pair once."""
        link = (content.path, text[:_MAX_LINK], target[:_MAX_LINK])
        if len(self.links) < _MAX_LINKS or link in self.links:
            self.links[link] = None
        elif "!" not in content.path:
            # Nobody is shown the pages of an attached archive; there may be a book of them.
            self.note("link.count", content, f"more than {_MAX_LINKS} links")

    def add_leaf(self, content: Content) -> bool:
        """Record one content, and keep its bytes for the virus engine. Returns False if these bytes were there."""
        digest = hashlib.sha256(content.data).hexdigest()
        self.leaves.append(
            Leaf(
                path=content.path,
                names=content.names,
                claimed=content.claimed,
                kind=content.kind or "unknown",
                size=len(content.data),
                digest=digest,
                via=content.via,
                disposition=content.disposition,
            )
        )
        if digest in self._kept:
            return False
        self._kept.add(digest)
        if content.data:
            self.contents.append(len(self.leaves) - 1)
            self._keep(content.data)
        return True
