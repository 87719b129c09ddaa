"""What goes out: whose mail has become too much of late."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from .config import Config
from .config.conditions import NULL_SENDER, bare
from .findings import Finding, Rule
from .health import Condition
from .message import Envelope
from .pipeline import Report
from .policy.groups import direction
from .rates import Amount, Rates
from .stages import rate

# A burst is over when nobody has been beyond his limit for so long.
_CALM_S: Final = 120.0


class Outflow:
    """Counts what hosts inside send. ``condition`` says that somebody is beyond his limit."""

    def __init__(self, config: Config, rates: Rates, condition: Condition) -> None:
        self._config = config
        self._own = config.outbound
        self._rates = rates
        self._condition = condition
        self._last = 0.0

    def judged(self, report: Report, envelope: Envelope) -> Report:
        """Count a message, and return its report with what that makes of it."""
        if direction(envelope, self._config) != "out":
            return report
        findings = tuple(self._beyond(envelope))
        if not findings:
            return report
        self._last = time.monotonic()
        self._condition.failed(findings[0].detail)
        results = tuple(
            msgspec.structs.replace(one, findings=findings) if one.stage == rate.STAGE.id else one
            for one in report.results
        )
        return msgspec.structs.replace(report, results=results)

    def take_back(self, envelope: Envelope) -> None:
        """Forget a message that comes again."""
        if direction(envelope, self._config) == "out":
            for key, _ in self._keys(envelope):
                self._add(key, envelope, -1)

    async def calm(self) -> None:
        """Note that the burst is over, if it is."""
        if time.monotonic() - self._last >= _CALM_S:
            self._condition.worked()

    def _keys(self, envelope: Envelope) -> Iterator[tuple[str, Sequence[tuple[Rule, str, int]]]]:
        """Yield whom a message is counted for, with (rule, what is counted, the most of it)."""
        client = envelope.client_address.decode("ascii", "replace")
        sender = bare(envelope.sender)
        if envelope.user:
            sender = envelope.user.decode("utf-8", "replace")
        elif sender == NULL_SENDER:
            sender = f"{NULL_SENDER} from {client}"  # bounces of all hosts are not one sender's
        yield (
            f"sender {sender}",
            (
                (rate.SENDER, "messages", self._own.sender_messages),
                (rate.RECIPIENTS, "recipients", self._own.sender_recipients),
            ),
        )
        yield f"client {client}", ((rate.CLIENT, "messages", self._own.client_messages),)

    def _beyond(self, envelope: Envelope) -> Iterator[Finding]:
        for key, limits in self._keys(envelope):
            amount = self._add(key, envelope, 1)
            for rule, what, most in limits:
                many = getattr(amount, what)
                if most and many > most:
                    detail = f"{key}: {many:.0f} {what} within {self._own.window_s:.0f} s, {most} are allowed"
                    yield Finding(stage=rate.STAGE.id, verdict=rule.verdict, rule=rule.id, detail=detail)

    def _add(self, key: str, envelope: Envelope, sign: int) -> Amount:
        recipients = max(1, len(envelope.recipients))
        return self._rates.add(key, messages=sign, recipients=sign * recipients, window_s=self._own.window_s)
