"""Holds the ledger against the MTA's log: what came must have become something, and both must say the same.

The attack it stops: a message that was taken and of which nobody can say where it is. What is named is unexplained in
one of two directions: the log knows it and the ledger does not, or the other way about.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from .known import Known
from .maillog import MailLog, Trail
from .queries import iso

# At an end of the log lines of a message may be missing: what came within so much of one is left out.
EDGE_MS: Final = 60_000
_NEAR_MS: Final = 5_000
# qmgr tries at once: what it has not tried for so long it has not got.
_STUCK_MS: Final = 3_600_000
MOST: Final = 1000  # unexplained ones that are named
_NO_QUEUE_ID: Final = frozenset({"", "none"})
# The MTA's service for filterd, where it logs under a name of its own.
INJECT: Final = "filterd-inject"
_LOCAL: Final = re.compile(r"localhost|\S*\[(?:127\.[0-9.]+|(?:IPv6:)?::1)\]")
_NOT_TAKEN: Final = frozenset({"later", "broken off"})
_ENDED: Final = frozenset({"delivered", "bounced", "queued", "held", "removed by hand"})
_LOST: Final = frozenset({"vanished", "in part"})

End = Literal[
    "delivered", "bounced", "queued", "held", "removed by hand", "refused", "later", "discarded", "broken off",
    "vanished", "in part",
]  # fmt: skip


class Unexplained(Struct, frozen=True, kw_only=True):
    """One contradiction. ``side``: who has it, and the other one not, or says otherwise."""

    side: Literal["log", "ledger"]
    queue_id: str
    message: str
    at: str
    why: str


class Reconciled(Struct, frozen=True, kw_only=True):
    """The comparison. Times are ISO 8601. ``log`` counts how messages ended by the log, ``ledger`` outcomes, each by message.

    ``explained`` counts what differs and has a harmless reason; ``at_the_door`` what the MTA refused before filterd saw
    it; ``unexplained_count`` may be greater than what is named.
    """

    since: str
    until: str
    lines: int
    log: dict[str, int]
    ledger: dict[str, int]
    explained: dict[str, int]
    at_the_door: dict[str, int]
    unexplained_count: int
    unexplained: tuple[Unexplained, ...]


def end_of(trail: Trail, until_ms: int) -> End:
    """Return how a message ended by the log. "broken off": the client left, or was refused by somebody else.

    "vanished" and "in part": it has left the queue, and the log has no end of it for any, or for some, recipients.
    """
    end: End
    if trail.answer:
        end = trail.answer
    elif not trail.queued and not trail.held:
        end = "broken off"
    elif trail.statuses.get("expired") or (
        trail.statuses.get("bounced") and (not trail.removed or trail.whole)
    ):
        end = "bounced"
    elif trail.removed:
        gone: End = "in part" if trail.ended else "vanished"
        end = "delivered" if trail.whole else gone
        end = "removed by hand" if trail.by_hand else end
    elif trail.held:
        end = "held"
    else:
        tried = bool(trail.statuses) or until_ms - trail.last_ms < _STUCK_MS
        end = "queued" if tried else "vanished"
    return end


def _harmless(one: Known, trail: Trail, end: End) -> str:
    """Return why a difference loses nothing, or "": in all of these the client was not told 250."""
    if end in _NOT_TAKEN:
        decided = one.outcomes - {"deferred", "refused"}
        return f"{end}: decided, but not answered so; it comes again" if decided else ""
    if end == "refused" and not trail.ours and one.outcomes - {"refused", "deferred"}:
        # Postfix says no after the filter, for instance to a queue file that has become too big.
        return "refused by the MTA or another filter after filterd: the sender was told"
    return ""


def _contradiction(one: Known, trail: Trail, end: End) -> str:
    """Return what the ledger and the log say that cannot both be, or ""."""
    said = ", ".join(sorted(one.outcomes)) or "no recipients"
    if "passed" in one.outcomes:
        return _of_passed(one, trail, end, said)
    if end in _ENDED or end in _LOST:
        return f"{said}, but the MTA took it ({end})"
    if end == "refused" and one.outcomes - {"refused"}:
        return f"{said}, but the log says refused"
    if end == "discarded" and one.outcomes & {"refused", "deferred"}:
        return f"{said}, but the log says discarded"
    return ""


def _of_passed(one: Known, trail: Trail, end: End, said: str) -> str:
    if end in _LOST:
        some = ", for some of its recipients" if end == "in part" else ""
        return f"taken, and neither delivered, bounced nor queued{some}"
    if end not in _ENDED:
        return f"{said}, but the log says {end}"
    if one.passed > trail.recipients:
        return f"passed for {one.passed} recipients, but the log knows {trail.recipients}"
    return ""


class _Comparison:
    """One comparison. What it counts and finds is gathered here."""

    def __init__(
        self,
        log: MailLog,
        injected: Mapping[str, str],
        since_ms: int | None,
        until_ms: int | None,
        stored: Callable[[str], bool],
    ) -> None:
        self._from_ms, self._until_ms = covered(log, since_ms, until_ms)
        self._stored = stored
        self._end_ms = log.last_ms
        self._trails = log.trails
        self._injected = injected
        self._seen: set[int] = set()
        # When a message came of which there are a record and a trail: the one time by which both sides count it.
        self._came: dict[int, int] = {}
        self._handed_over: set[str] = set(injected)
        # By Message-ID: how many hand-overs were not noted, what this host handed to the MTA, and when who tried what.
        self._not_noted: Counter[str] = Counter()
        self._taken: dict[str, set[str]] = {}
        self._tries: dict[tuple[str, str], int] = {}
        for trail in (trail for trails in log.trails.values() for trail in trails):
            if trail.queued and _ours(trail):
                self._taken.setdefault(trail.message_id, set()).add(trail.queue_id)
            if trail.message_id and end_of(trail, log.last_ms) != "broken off":
                tried = trail.message_id, trail.sender.lower()
                self._tries[tried] = max(self._tries.get(tried, 0), trail.first_ms)
        self.log: Counter[str] = Counter()
        self.ledger: Counter[str] = Counter()
        self.explained: Counter[str] = Counter()
        self.found: list[Unexplained] = []
        self.count = 0

    def record(self, one: Known) -> None:
        """Hold one record of the ledger against the log."""
        self._handed_over.update(one.injections)
        if "injected" in one.outcomes and not one.injections and one.message_id:
            self._not_noted[one.message_id] += max(1, one.injected)
        trail = self._trail_of(one)
        if trail is not None:
            self._seen.add(id(trail))
            self._came[id(trail)] = one.received_ms
            trail.passed = one.passed
        self._handed_at_once(one)
        if not self._within(one.received_ms):
            return
        for outcome in one.outcomes:
            self.ledger[outcome] += 1
        for digest in one.digests:
            if not self._stored(digest):
                self._blame("ledger", one.queue_id, one.id, one.received_ms, "kept, but the store lacks it")
        if trail is None:
            if one.outcomes - {"refused", "deferred"}:
                self._blame("ledger", one.queue_id, one.id, one.received_ms, "the log has nothing of it")
            return
        self._same(one, trail, end_of(trail, self._end_ms))

    def _within(self, at_ms: int) -> bool:
        return self._from_ms <= at_ms < self._until_ms

    def _handed_at_once(self, one: Known) -> None:
        """Have what was handed over for a message count with it; what was released later counts by its own time."""
        for queue_id in one.injections:
            for trail in self._trails.get(queue_id, ()):
                if trail.first_ms <= one.received_ms + EDGE_MS:
                    self._came[id(trail)] = one.received_ms

    def _trail_of(self, one: Known) -> Trail | None:
        """Return the trail of a record: of those with its queue id the one that lies about its time."""
        if one.queue_id in _NO_QUEUE_ID:
            return None
        near = [
            trail
            for trail in self._trails.get(one.queue_id, ())
            if trail.first_ms - _NEAR_MS <= one.received_ms and id(trail) not in self._seen
        ]
        return near[-1] if near else None

    def _same(self, one: Known, trail: Trail, end: End) -> None:
        """Compare what the ledger says with how it ended."""
        if end == "broken off" and "passed" in one.outcomes and not self._came_again(one, trail):
            why = "passed, but the log says broken off, and has no later try"
            self._blame("log", one.queue_id, one.id, one.received_ms, why)
            return
        if why := _harmless(one, trail, end):
            self.explained[why] += 1
        if end in _NOT_TAKEN or why:
            return
        if contradiction := _contradiction(one, trail, end):
            side: Literal["log", "ledger"] = "log" if end in _LOST else "ledger"
            self._blame(side, one.queue_id, one.id, one.received_ms, contradiction)
        if "injected" in one.outcomes and not one.injections:
            self._look_for(one)
        for queue_id in one.injections:
            self._handed(queue_id, one)

    def _came_again(self, one: Known, trail: Trail) -> bool:
        """Whether the log has a later try of the same sender with the same Message-ID that got an answer."""
        return self._tries.get((one.message_id, one.sender.lower()), 0) > trail.first_ms

    def _look_for(self, one: Known) -> None:
        """Look for a hand-over that a crash kept from being noted: the log must have it, by its Message-ID."""
        if self._taken.get(one.message_id, set()) - {one.queue_id}:
            self.explained["handed over; a crash kept the queue id from being noted"] += 1
        else:
            self._blame(
                "ledger", one.queue_id, one.id, one.received_ms, "injected, and no queue id of it is known"
            )

    def _handed(self, queue_id: str, one: Known) -> None:
        trails = self._trails.get(queue_id)
        if not trails:
            self._blame(
                "ledger", queue_id, one.id, one.received_ms, "injected, but the log has nothing of it"
            )
            return
        self._seen.update(id(trail) for trail in trails)
        end = end_of(trails[-1], self._end_ms)
        if end not in _ENDED:
            self._blame("ledger", queue_id, one.id, one.received_ms, f"injected, but the log says {end}")

    def rest(self) -> None:
        """Count the trails of messages by SMTP, and look at those of which no record was found."""
        for trail in (trail for trails in self._trails.values() for trail in trails):
            came = self._came.get(id(trail))
            # The line that names the client may be of before the log.
            if (came is None and not trail.client) or not self._within(came or trail.first_ms):
                continue
            end = end_of(trail, self._end_ms)
            self.log[end] += 1
            if id(trail) not in self._seen:
                self._unknown(trail, end)

    def _unknown(self, trail: Trail, end: End) -> None:
        if trail.queue_id in self._handed_over:
            if end not in _ENDED:
                message = self._injected.get(trail.queue_id, "")
                self._blame(
                    "log", trail.queue_id, message, trail.first_ms, f"injected, but the log says {end}"
                )
        elif end == "later":
            self.explained["later: answered 4xx without a record; it comes again"] += 1
        elif end == "broken off":
            self.explained["broken off: the session ended before the message was taken"] += 1
        elif end == "refused":
            self.explained["refused without a record: the sender was told"] += 1
        elif self._not_noted[trail.message_id] > 0 and _ours(trail):
            self._not_noted[trail.message_id] -= 1
            self.explained["handed over; a crash kept the queue id from being noted"] += 1
        elif INJECT in trail.name:
            self.explained["handed over, and nothing that the ledger has: filterd's own notices"] += 1
        else:
            self._blame("log", trail.queue_id, "", trail.first_ms, f"the ledger does not know it ({end})")

    def _blame(
        self, side: Literal["log", "ledger"], queue_id: str, message: str, at_ms: int, why: str
    ) -> None:
        self.count += 1
        if len(self.found) < MOST:
            self.found.append(
                Unexplained(side=side, queue_id=queue_id, message=message, at=iso(at_ms), why=why)
            )


def compared(
    log: MailLog,
    records: Iterable[Known],
    injected: Mapping[str, str] | None = None,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    stored: Callable[[str], bool] = lambda _: True,
) -> Reconciled:
    """Return the comparison over the time that both cover. ``injected``: queue ids of hand-overs.

    ``stored`` says whether the store has a content. Pure but for it.

    Counted is what came from ``since_ms`` on and before ``until_ms``, without a minute at each end of the log.
    """
    since = max(log.first_ms, since_ms or 0)
    until = min(log.last_ms, until_ms) if until_ms is not None else log.last_ms
    one = _Comparison(log, injected or {}, since_ms, until_ms, stored)
    for record in records:
        one.record(record)
    one.rest()
    return Reconciled(
        since=iso(since), until=iso(until), lines=log.lines, log=dict(sorted(one.log.items())),
        ledger=dict(sorted(one.ledger.items())), explained=dict(sorted(one.explained.items())),
        at_the_door=dict(log.refused_at_the_door.most_common(100)), unexplained_count=one.count,
        unexplained=tuple(one.found),
    )  # fmt: skip


def covered(log: MailLog, since_ms: int | None, until_ms: int | None) -> tuple[int, int]:
    """Return from when and until before when messages are compared: half open, so that ranges adjoin."""
    since = max(log.first_ms + EDGE_MS, since_ms or 0)
    until = log.last_ms - EDGE_MS + 1
    return since, until if until_ms is None else min(until, until_ms)


def nothing_to_compare(log: MailLog, since_ms: int | None, until_ms: int | None) -> str:
    """Return why nothing can be compared, or ""."""
    if not log.lines:
        return "the log holds no line of Postfix or Sendmail: give the right --log, or run it as root, who may read the journal"
    since, until = covered(log, since_ms, until_ms)
    if since < until:
        return ""
    return (
        f"the log reaches from {iso(log.first_ms)} to {iso(log.last_ms)}, and nothing of the range lies more than a minute "
        "from both ends of it: give a longer log, or another --since and --until"
    )


def _ours(trail: Trail) -> bool:
    """Whether a message came from this host: a Message-ID is the sender's to choose."""
    return INJECT in trail.name or _LOCAL.fullmatch(trail.client) is not None
