"""Unsolicited bulk mail, by the spam engine's score."""

from typing import Final

from filterd.message import Message
from filterd.parse.dissection import Dissection
from filterd.scanners.engines import Engines

from .stage import Finding, Rule, Stage, Verdict

SCORE: Final = Rule(
    id="spam.score",
    verdict=Verdict.SPAM,
    title="The spam engine's score: spam or bulk from the bounds of `[policy] precision` on",
)
_UNAVAILABLE: Final = Rule(
    id="spam.unavailable", verdict=Verdict.NOT_INSPECTED, title="The spam engine gave no score"
)


async def examine(message: Message, engines: Engines, _: Dissection) -> tuple[Finding, ...]:
    """Report the score and the rules that made it, whatever it is: the policy knows what is too much."""
    answer = await engines.spamd.score(message)
    detail = ",".join(answer.symbols)
    return (Finding(stage=STAGE.id, verdict=Verdict.SPAM, rule=SCORE.id, detail=detail, score=answer.score),)


STAGE: Final = Stage(
    id="spam",
    title="The message is scored for spam",
    why="A score from many weak signs refuses bulk mail that no single sign would.",
    cost=7,
    rules=(SCORE, _UNAVAILABLE),
    examine=examine,
)
