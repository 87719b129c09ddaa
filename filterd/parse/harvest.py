"""What the openers of one message fill: leaves, findings, texts; and the budget that all of them share."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from filterd.anatomy import Leaf
from filterd.config.inspection import Bounds
from filterd.findings import Finding, Rule

_MAX_DETAIL: Final = 200
_MAX_FINDINGS: Final = 200
_MAX_LINKS: Final = 10_000
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
        self._ends = time.monotonic() + bounds.seconds

    def take_time(self) -> None:
        """Look at the clock; call it in every loop that content controls."""
        if time.monotonic() > self._ends:
            raise LimitReachedError("limit.time", f"{self.bounds.seconds:g} s")

    def take_part(self) -> None:
        """Count one MIME entity."""
        self.parts += 1
        if self.parts > self.bounds.parts:
            raise LimitReachedError("limit.parts", f"more than {self.bounds.parts} MIME parts")
        self.take_time()

    def take_entry(self) -> None:
        """Count one member of a container."""
        self.entries += 1
        if self.entries > self.bounds.entries:
            raise LimitReachedError("limit.entries", f"more than {self.bounds.entries} members")
        self.take_time()

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
        self.protected = ""
        self._rules = rules
        self._keep = keep
        self._noted: set[tuple[str, str]] = set()
        self._kept: set[str] = set()
        self._text_bytes = 0

    def note(self, rule: str, content: Content | None = None, detail: str = "") -> None:
        """Report that ``rule`` has matched in ``content`` (None: the message). Once a rule and path."""
        path = content.path if content else ""
        if (rule, path) in self._noted:
            return
        if len(self.findings) == _MAX_FINDINGS:
            # Whoever makes this many would hide one behind them.
            raise LimitReachedError("limit.findings", f"more than {_MAX_FINDINGS} findings")
        self._noted.add((rule, path))
        self._append(rule, path, content, detail)

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
        """Keep a decoded text for the content rules and the search for passwords, within a bound."""
        room = self.budget.bounds.text_bytes - self._text_bytes
        if room > 0:
            self.texts.append((part, text[:room]))
            self._text_bytes += len(text)

    def add_link(self, content: Content, text: str, target: str) -> None:
        """Keep where something leads, and what is shown for it; each such pair once."""
        link = (content.path, text[:_MAX_LINK], target[:_MAX_LINK])
        if len(self.links) < _MAX_LINKS or link in self.links:
            self.links[link] = None
        else:
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
