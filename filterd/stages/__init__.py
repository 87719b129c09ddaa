"""The stages, cheapest first. A stage finds; it never decides and never answers the MTA.

The attack it stops: a check that is forgotten. The policy asks for the result of every stage in ``ORDER``.
"""

from typing import Final

from . import (
    archive,
    attachment,
    content,
    document,
    html,
    integrity,
    limits,
    links,
    lists,
    parse,
    rate,
    spam,
    virus,
)
from .stage import Finding, Rule, Stage, Verdict

# They look at what a parse worker makes of a message, there.
CONTENT: Final[tuple[Stage, ...]] = (
    parse.STAGE,
    limits.STAGE,
    integrity.STAGE,
    attachment.STAGE,
    archive.STAGE,
    document.STAGE,
    content.STAGE,
    html.STAGE,
    links.STAGE,
)
# They ask an engine.
ENGINES: Final[tuple[Stage, ...]] = (virus.STAGE, spam.STAGE)
# The policy itself says who is on a list: before a message is taken apart, and again once its From is known. Rates are
# counted when a message is judged.
ORDER: Final[tuple[Stage, ...]] = (lists.STAGE, rate.STAGE, *CONTENT, *ENGINES)

__all__ = ["CONTENT", "ENGINES", "ORDER", "Finding", "Rule", "Stage", "Verdict"]
