"""How much a sender inside has sent of late."""

from typing import Final

from .stage import Rule, Stage, Verdict

SENDER: Final = Rule(
    id="rate.sender",
    verdict=Verdict.BURST,
    title="A sender inside sent more than `[outbound] sender_messages`",
)
RECIPIENTS: Final = Rule(
    id="rate.recipients",
    verdict=Verdict.BURST,
    title="A sender inside wrote to more than `[outbound] sender_recipients`",
)
CLIENT: Final = Rule(
    id="rate.client", verdict=Verdict.BURST, title="A host inside sent more than `[outbound] client_messages`"
)

# Nothing is asked: outflow.py counts a message once, however often it is looked at.
STAGE: Final = Stage(
    id="rate",
    title="A sender inside who sends more than he ever does is held back",
    why="A host or account that was taken over sends spam until the house is on every block list.",
    cost=1,
    rules=(SENDER, RECIPIENTS, CLIENT),
)
