"""What the connections of one worker share: configuration, engines, log, and how a message is judged."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NoReturn

from msgspec import Struct

from . import pipeline, policy
from .anatomy import RewriteOrder, Rewritten
from .carry.carrier import Carrier
from .carry.recorded import fingerprint
from .config import Config
from .disposition import Attempt, Disposition
from .findings import Finding, Verdict
from .health import Health
from .hold import held
from .ledger.client import LedgerClient, LedgerDownError
from .log import Log, shown
from .message import Envelope, Message, Spool
from .outflow import Outflow
from .pipeline import Report
from .rates import Rates
from .recent import Memory, Recent
from .scanners import engines
from .stages import limits, lists, rate, spam, virus

_LISTS_EVERY_S: Final = 2.0
# One line a message: the log's bound is on lines, and one message can have hundreds.
_MAX_FINDINGS: Final = 30
# Whose details are an engine's words, or figures of our own; those of the others quote the message: subject, text, names.
_OF_OWN_WORDS: Final = frozenset(one.STAGE.id for one in (limits, lists, rate, spam, virus))
_DID_NOT_RUN: Final = ".unavailable"


class Judgement(Struct, frozen=True, kw_only=True):
    """What was found, and what becomes of the message."""

    report: Report
    dispositions: tuple[Disposition, ...]


class Service:
    """One worker's share of the daemon. ``stopping`` is set when it is to end between messages.

    Needs a running event loop. Close it: the parse workers end with it.
    """

    def __init__(
        self,
        config: Config,
        log: Log,
        *,
        workers: int,
        memory: Memory | None = None,
        rates: Rates | None = None,
    ) -> None:
        """Begin. ``memory`` and ``rates`` are what all workers know of the messages and senders of late."""
        self.config = config
        self.log = log
        self.stopping = False
        self.health = Health()
        self.engines = engines.connect(config, log, workers=workers)
        self.ledger = LedgerClient(config.ledger, log)
        self.carrier = Carrier(config, log, self, self.ledger, self.health)
        self.memory = memory or Memory(4)
        self.outflow = Outflow(config, rates or Rates(64), self.health.outbound)
        self._recent = Recent(config, self.memory)
        self._lists = config.list
        self._last_resort = policy.last_resort(config)

    async def follow_lists(self) -> NoReturn:
        """Take over what is added to the lists of senders in the ledger, for ever; while it is down they stay."""
        while True:
            with contextlib.suppress(LedgerDownError):
                lists = (*self.config.list, *await self.ledger.listed())
                if lists != self._lists:
                    self._lists = lists
                    self._recent = Recent(self.config, self.memory, lists)
            await asyncio.sleep(_LISTS_EVERY_S)

    async def rest(self) -> None:
        """End what works for this one until there is work again."""
        await self.engines.parse.rest()

    async def close(self) -> None:
        """End the processes that work for this one."""
        await self.engines.parse.close()
        await self.ledger.close()

    async def examine(self, message: Message, seconds: float | None = None) -> Report:
        """Return what is found in a message within its time. Whatever fails on the way is "not inspected"."""
        now = _now()
        return await pipeline.examine(
            message,
            self.engines,
            seconds=self.config.milter.scan_timeout_s if seconds is None else seconds,
            bounds=self.config.milter,
            settled=lambda report: policy.settled(
                report.findings,
                message.envelope,
                self.config,
                now,
                scanned=any(result.stage == virus.STAGE.id for result in report.results),
                author=report.anatomy.author,
                entries=self._lists,
            ),
            listed=lambda anatomy: policy.reported(
                message.envelope, anatomy.author, self.config, now, entries=self._lists
            ),
        )

    def decide(
        self, report: Report, envelope: Envelope, *, failed: frozenset[Attempt] = frozenset()
    ) -> tuple[Disposition, ...]:
        """Return what becomes of a message. ``failed`` are attempts that did not make it fit for delivery."""
        return policy.decide(report, envelope, self.config, now=_now(), failed=failed, entries=self._lists)

    async def judge(self, message: Message) -> Judgement:
        """Examine a message and decide."""
        loop = asyncio.get_running_loop()
        # The MTA waits for all of it together.
        until = loop.time() + self.config.milter.scan_timeout_s
        report = await self._recent.report(
            message,
            lambda: self.examine(message, until - loop.time()),
            lambda known: self._still_all(message, known, until - loop.time()),
        )
        report = self.outflow.judged(report, message.envelope)
        dispositions = self.decide(report, message.envelope)
        if _put_off(dispositions) and await self._often_enough(message):
            dispositions = policy.decide(
                report, message.envelope, self._last_resort, now=_now(), entries=self._lists
            )
        dispositions = held(dispositions, self.config.hold.file)
        if any(one.fate == "tempfail" for one in dispositions):
            self.outflow.take_back(message.envelope)
        return Judgement(report=report, dispositions=dispositions)

    async def _still_all(self, message: Message, known: Report, seconds: float) -> bool:
        """Whether the virus engines say no more of a message than is known; what is convicted stays so for a while."""
        rules = {one.rule for one in known.findings}
        if any(one.verdict is Verdict.INFECTED for one in known.findings):
            return True
        found = await pipeline.whole(message, self.engines, seconds=seconds)
        return {one.rule for one in found} <= rules

    async def _often_enough(self, message: Message) -> bool:
        """Whether a message that cannot be inspected has come so often that it is no longer put off."""
        most = self.config.policy.tries
        if not most:
            return False
        try:
            return await self.ledger.again(fingerprint(message.envelope, message.digest())) > most
        except LedgerDownError:
            return False

    async def rewrite(self, message: Message, order: RewriteOrder) -> tuple[Rewritten, Spool]:
        """Have a parse worker change a message. Raises ScannerError, OSError."""
        return await self.engines.parse.rewrite(message, order)

    async def look_again(self, message: Message) -> Report:
        """Examine a variant of a message that was examined: take it apart, and ask the virus engines."""
        return await pipeline.examine(
            message,
            self.engines,
            seconds=self.config.milter.scan_timeout_s,
            bounds=self.config.milter,
            settled=lambda _: False,
            stages=(virus.STAGE,),
        )

    def log_message(self, message: Message, judgement: Judgement, reply: str) -> None:
        """Write the line of one message. Its subject and text are not in it: they are the reader's business, not ours."""
        self.health.messages += 1
        envelope, limit = message.envelope, self.config.log.max_field
        first = judgement.dispositions[0]
        self.log.event(
            "message",
            id=shown(envelope.queue_id, limit),
            client=shown(envelope.client_address, limit),
            client_name=shown(envelope.client_name, limit),
            helo=shown(envelope.helo, limit),
            user=shown(envelope.user, limit),
            sender=shown(envelope.sender, limit),
            recipients=[shown(one, limit) for one in envelope.recipients[: self.config.log.max_recipients]],
            recipient_count=len(envelope.recipients),
            size=message.size,
            verdict=first.verdict,
            rule=first.rule,
            fates=[
                {
                    "fate": one.fate,
                    "verdict": one.verdict,
                    "rule": one.rule,
                    "recipients": len(one.recipients),
                }
                for one in judgement.dispositions[: self.config.log.max_recipients]
            ],
            findings=[
                {
                    "rule": one.rule,
                    "score": one.score,
                    "path": one.path[:limit],
                    "detail": shown(self._detail(one).encode("utf-8", "replace"), limit),
                }
                for one in judgement.report.findings[:_MAX_FINDINGS]
            ],
            stage_ms={result.stage: result.milliseconds for result in judgement.report.results},
            ms=round((time.monotonic() - message.started) * 1000, 1),
            reply=reply,
        )

    def _detail(self, one: Finding) -> str:
        """Return what the log may say of a finding beyond its rule; the ledger, which not all may read, has it whole."""
        sayable = one.stage in _OF_OWN_WORDS or one.rule.endswith(_DID_NOT_RUN)
        return one.detail if sayable or self.config.log.details else ""


def _put_off(dispositions: Sequence[Disposition]) -> bool:
    """Whether a message comes again only because nobody could look at it."""
    return any(one.fate == "tempfail" and one.verdict is Verdict.NOT_INSPECTED for one in dispositions)


def _now() -> datetime:
    """Return the gateway's local time."""
    return datetime.now(UTC).astimezone()
