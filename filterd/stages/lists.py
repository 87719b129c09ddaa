"""Senders whom the operator does not want, for all recipients or for some."""

from typing import Final

from .stage import Rule, Stage, Verdict

REFUSED: Final = Rule(
    id="list.reject", verdict=Verdict.BANNED, title="A `[[list]]` refuses the sender, for these recipients"
)

UNPROVEN: Final = Rule(
    id="list.unproven",
    verdict=Verdict.BANNED,
    title="The envelope's sender is of `[policy] own_domains`, comes from outside, and neither SPF nor DKIM proves him",
)

# Neither a worker nor an engine is asked: policy/lists.py says who is on a list.
STAGE: Final = Stage(
    id="lists",
    title="Senders on a list of the operator's are refused",
    why="Who is known to be unwanted costs no more than a look at the envelope.",
    cost=1,
    rules=(REFUSED, UNPROVEN),
)
