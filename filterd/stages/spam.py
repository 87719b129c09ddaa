"""Unsolicited bulk mail, by the spam engine's score."""

from typing import Final

from filterd.message import Message
from filterd.scanners.engines import Engines

from .stage import Finding, Stage, Verdict


async def examine(message: Message, engines: Engines) -> tuple[Finding, ...]:
    """Report the score and the rules that made it, whatever it is: the policy knows what is too much."""
    answer = await engines.spamd.score(message)
    detail = ",".join(answer.symbols)
    return (
        Finding(stage=STAGE.id, verdict=Verdict.SPAM, rule="spam.score", detail=detail, score=answer.score),
    )


STAGE: Final = Stage(
    id="spam",
    title="The message is scored for spam",
    why="A score from many weak signs refuses bulk mail that no single sign would.",
    cost=7,
    examine=examine,
)
