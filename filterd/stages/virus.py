"""Malware, by the virus engine."""

from typing import Final

from filterd.message import Message
from filterd.scanners.engines import Engines

from .stage import Finding, Stage, Verdict


async def examine(message: Message, engines: Engines) -> tuple[Finding, ...]:
    """Report the signature that matches, or the limit that kept the engine from looking at everything."""
    answer = await engines.clamd.scan(message.spool)
    if answer.signature is not None:
        return (
            Finding(
                stage=STAGE.id, verdict=Verdict.INFECTED, rule="virus.signature", detail=answer.signature
            ),
        )
    if answer.limit is not None:
        return (Finding(stage=STAGE.id, verdict=Verdict.OVER_LIMIT, rule="virus.limit", detail=answer.limit),)
    return ()


STAGE: Final = Stage(
    id="virus",
    title="Known malware is found in any part of the message",
    why="Mail is still the first way in for malware; a signature match needs no judgement.",
    cost=5,
    examine=examine,
)
