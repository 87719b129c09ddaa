"""The stages, cheapest first. A stage finds; it never decides and never answers the MTA.

The attack it stops: a check that is forgotten. The policy asks for the result of every stage in ``ORDER``.
"""

from typing import Final

from . import spam, virus
from .stage import Finding, Stage, Verdict

ORDER: Final[tuple[Stage, ...]] = (virus.STAGE, spam.STAGE)

__all__ = ["ORDER", "Finding", "Stage", "Verdict"]
