"""What the connections of one worker share: configuration, engines, log, and how a message is judged."""

import time

from msgspec import Struct

from . import pipeline, policy
from .config import Config
from .log import Log, shown
from .message import Message
from .pipeline import Report
from .policy import Disposition
from .scanners import engines
from .stages import ORDER


class Judgement(Struct, frozen=True, kw_only=True):
    """What was found, and what becomes of the message."""

    report: Report
    dispositions: tuple[Disposition, ...]


class Service:
    """One worker's share of the daemon. ``stopping`` is set when it is to end between messages."""

    def __init__(self, config: Config, log: Log, *, workers: int) -> None:
        self.config = config
        self.log = log
        self.stopping = False
        self._engines = engines.connect(config, log, workers=workers)

    async def judge(self, message: Message) -> Judgement:
        """Examine a message and decide. Whatever fails on the way is "not inspected"."""
        report = await pipeline.examine(
            message,
            self._engines,
            ORDER,
            seconds=self.config.milter.scan_timeout_s,
            bounds=self.config.milter,
        )
        dispositions = policy.decide(report, message.envelope.recipients, self.config)
        return Judgement(report=report, dispositions=dispositions)

    def log_message(self, message: Message, judgement: Judgement, reply: str) -> None:
        """Write the line of one message. The subject is not in it: it is the reader's business, not ours."""
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
            findings=[
                {"rule": one.rule, "score": one.score, "detail": one.detail[:limit]}
                for one in judgement.report.findings
            ],
            stage_ms={result.stage: result.milliseconds for result in judgement.report.results},
            ms=round((time.monotonic() - message.started) * 1000, 1),
            reply=reply,
        )
