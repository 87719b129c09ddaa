"""Short ways to write reports, envelopes and configurations for tests of the policy."""

from datetime import datetime
from typing import Any

import msgspec

from filterd.anatomy import Anatomy
from filterd.config import Config
from filterd.disposition import Disposition
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from filterd.pipeline import Report, StageResult
from filterd.policy import decide
from filterd.stages import ORDER

MONDAY = datetime(2026, 3, 2, 10, 30)  # noqa: DTZ001 - the gateway's own clock, whatever its zone
SCORE = "spam.score"


def report(*findings: Finding, ran: tuple[str, ...] | None = None, protected: str = "") -> Report:
    stages = tuple(stage.id for stage in ORDER) if ran is None else ran
    return Report(
        results=tuple(
            StageResult(stage=one, milliseconds=1.0, findings=findings if number == 0 else ())
            for number, one in enumerate(stages)
        ),
        anatomy=Anatomy(protected=protected),
    )


def found(verdict: str, part: str = "1.2", rule: str = "", **more: Any) -> Finding:
    return Finding(stage="virus", verdict=Verdict(verdict), rule=rule or f"test.{verdict}", part=part, **more)


def spam(score: float) -> Finding:
    return Finding(stage="spam", verdict=Verdict.SPAM, rule=SCORE, score=score)


def config(**sections: Any) -> Config:
    """Return a configuration; ``chains`` are [policy.chains], all else is as in the file."""
    policy = sections.pop("policy", {})
    if chains := sections.pop("chains", None):
        policy["chains"] = chains
    return msgspec.convert({"policy": policy, **sections}, Config)


def envelope(*recipients: str, sender: str = "<s@sender.example>", client: str = "198.51.100.9") -> Envelope:
    return Envelope(
        client_address=client.encode(),
        sender=sender.encode(),
        recipients=[f"<{one}>".encode() for one in recipients or ("a@example.org", "b@example.org")],
    )


def one(
    seen: Report, settings: Config | None = None, mail: Envelope | None = None, **more: Any
) -> Disposition:
    (only,) = decide(seen, mail or envelope(), settings or Config(), now=MONDAY, **more)
    return only


def group(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}
