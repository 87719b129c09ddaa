"""Makes the forms in which a message is delivered, and looks at each again before it goes out.

The attack it stops: a message that is still dangerous after it was cleaned. What does not come out fit is given back
to the policy, whose chain goes on with its next step; each round uses up an attempt, so there is an end.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol, Self

import msgspec
from msgspec import Struct

from filterd.anatomy import RewriteOrder, Rewritten
from filterd.disposition import Attempt, Disposition
from filterd.errors import ScannerAnswerError, ScannerDownError
from filterd.findings import Finding, Verdict
from filterd.message import Envelope, Message, Spool
from filterd.pipeline import Report

# Each round takes at least one attempt from a chain; chains have 16 steps, and there are as many as classes.
_MAX_ROUNDS: Final = 200
_MAX_FIELDS: Final = 10_000
_NAME: Final = re.compile(r"[!-9;-~]{1,200}")


class Workshop(Protocol):
    """What is needed of the rest of filterd."""

    async def rewrite(self, message: Message, order: RewriteOrder) -> tuple[Rewritten, Spool]:
        """Have a parse worker change a message. Raises ScannerError, OSError."""

    async def look_again(self, message: Message) -> Report:
        """Examine a variant: what it consists of, and what the virus engines say."""

    def decide(
        self, report: Report, envelope: Envelope, *, failed: frozenset[Attempt] = frozenset()
    ) -> tuple[Disposition, ...]:
        """Return what becomes of a message whose ``failed`` attempts did not help."""


class Made(Struct, frozen=True, kw_only=True):
    """A variant: what was changed, and the whole new message."""

    rewritten: Rewritten
    spool: Spool


class Variants:
    """The variants of one message, which must be there within ``seconds``. Close it: their content goes."""

    def __init__(
        self, workshop: Workshop, message: Message, report: Report, *, max_bytes: int, seconds: float
    ) -> None:
        self._workshop = workshop
        self._message = message
        self._report = report
        self._max_bytes = max_bytes
        self._seconds = seconds
        self.made: dict[RewriteOrder, Made] = {}
        self.failed: frozenset[Attempt] = frozenset()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the content go."""
        for made in self.made.values():
            made.spool.close()
        self.made.clear()

    async def fitted(
        self, dispositions: Sequence[Disposition], worded: Callable[[Disposition], RewriteOrder]
    ) -> tuple[tuple[Disposition, ...], dict[Disposition, RewriteOrder]]:
        """Return final dispositions, and for those that deliver a changed message the order that was carried out.

        ``worded`` fills in the texts of an order. Raises ScannerError or OSError when a variant cannot be had or
        looked at, or not in time: that says nothing about the message.
        """
        try:
            # Parse workers are few, and whoever waits for one holds a message, whose sender waits as well.
            async with asyncio.timeout(self._seconds):
                return await self._rounds(dispositions, worded)
        except TimeoutError as error:
            raise ScannerDownError(f"the changed message was not there in {self._seconds:g} s") from error

    async def _rounds(
        self, dispositions: Sequence[Disposition], worded: Callable[[Disposition], RewriteOrder]
    ) -> tuple[tuple[Disposition, ...], dict[Disposition, RewriteOrder]]:
        for _ in range(_MAX_ROUNDS):
            orders = {one: worded(one) for one in dispositions if one.fate == "deliver" and one.rewritten}
            blamed: frozenset[Attempt] = frozenset()
            for one, order in orders.items():
                blamed |= await self._blamed(one, order)
            if not blamed - self.failed:
                if blamed:
                    raise ScannerDownError("the policy repeats an attempt that has failed")
                return tuple(dispositions), orders
            self.failed |= blamed
            dispositions = self._workshop.decide(self._report, self._message.envelope, failed=self.failed)
        raise ScannerDownError("the policy finds no end")

    async def _blamed(self, one: Disposition, order: RewriteOrder) -> frozenset[Attempt]:
        """Make one variant; return the attempts that did not make it fit."""
        made = self.made.get(order)
        if made is None:
            rewritten, spool = await self._workshop.rewrite(self._message, order)
            if rewritten.failed:
                spool.close()
                return _named(one.blamed(rewritten.failed))
            _check(rewritten, spool)
            made = self.made[order] = Made(rewritten=rewritten, spool=spool)
        if made.spool.size > self._max_bytes:
            return _named(one.blamed())
        again = Message(self._message.envelope, made.spool, max_bytes=self._max_bytes)
        again.size = made.spool.size
        report = await self._workshop.look_again(again)
        for found in report.findings:
            if found.verdict is Verdict.NOT_INSPECTED:
                raise ScannerDownError(f"a variant could not be looked at: {found.rule} {found.detail}"[:300])
        return _named(one.blamed()) if unfit(one, self._report, report) else frozenset()


def _check(rewritten: Rewritten, spool: Spool) -> None:
    """Look whether a parse worker's answer can be one. Raises ScannerAnswerError; the spool is closed then."""
    fields = all(_NAME.fullmatch(edit.name) and 0 <= edit.index <= _MAX_FIELDS for edit in rewritten.headers)
    if not (fields and 0 < rewritten.body_offset <= spool.size and len(rewritten.headers) <= _MAX_FIELDS):
        spool.close()
        raise ScannerAnswerError("the parse worker's answer is no changed message")


def _named(blamed: frozenset[Attempt]) -> frozenset[Attempt]:
    if not blamed:
        raise ScannerDownError("a change without an attempt behind it failed")
    return blamed


def unfit(one: Disposition, before: Report, after: Report) -> bool:
    """Return whether a variant must not go out. Pure.

    It must not if anything is infected that was not in the message before, or if a rule that an attempt was about
    matches as often as before; nor if it reaches a limit that the message did not, since then not all of it was looked
    at. Renaming leaves the content as it is, and is not measured by the rules.
    """
    known = {found.detail for found in before.findings if found.verdict is Verdict.INFECTED}
    if any(found.verdict is Verdict.INFECTED and found.detail not in known for found in after.findings):
        return True
    limits = {found.rule for found in before.findings if found.verdict is Verdict.OVER_LIMIT}
    if one.attempts and any(
        found.verdict is Verdict.OVER_LIMIT and found.rule not in limits for found in after.findings
    ):
        return True
    treated = {part for attempt in one.attempts if attempt.action != "rename" for part in attempt.parts}
    cured = Counter(found.rule for found in one.findings if _lies_in(found, treated))
    had = Counter(found.rule for found in before.findings)
    has = Counter(found.rule for found in after.findings)
    return any(has[rule] > had[rule] - count for rule, count in cured.items())


def _lies_in(found: Finding, parts: set[str]) -> bool:
    return any(found.part == part or found.part.startswith(f"{part}.") for part in parts)


def worded(order: RewriteOrder, text: Callable[[str], str]) -> RewriteOrder:
    """Return an order with ``text(part)`` in the edits that leave a text behind."""
    edits = tuple(
        msgspec.structs.replace(edit, text=text(edit.part)) if edit.action in {"warn", "notice"} else edit
        for edit in order.edits
    )
    return msgspec.structs.replace(order, edits=edits)
