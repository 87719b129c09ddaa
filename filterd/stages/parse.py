"""That the message could be taken apart at all: what the content stages saw is nothing without that."""

from typing import Final

from .stage import Rule, Stage, Verdict

UNAVAILABLE: Final = Rule(
    id="parse.unavailable",
    verdict=Verdict.NOT_INSPECTED,
    title="The message could not be taken apart: its parse worker died, failed or was late",
)

FAILED: Final = Rule(
    id="parse.failed",
    verdict=Verdict.NOT_INSPECTED,
    title="A content could not be looked into: its parser failed, which is a mistake to report",
)

STAGE: Final = Stage(
    id="parse",
    title="The message is taken apart in a process of its own",
    why="A message that kills its parser, or holds it for ever, must not pass as one in which nothing was found.",
    cost=1,
    rules=(UNAVAILABLE, FAILED),
)
