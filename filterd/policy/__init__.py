"""Findings become one disposition for each recipient: pure. Nobody else may refuse a message.

The attack it stops: a message that passes because nobody said what is to become of it. Every class has a chain, a
chain that runs out refuses, and a report in which a stage is missing is "not inspected".
"""

from filterd.disposition import Attempt, Disposition, Side

from .classes import PRECEDENCE, PRECISION, counted
from .decide import Explained, decide, explain, settled
from .fates import STRICTNESS
from .groups import direction
from .lists import reported
from .patience import last_resort

__all__ = [
    "PRECEDENCE",
    "PRECISION",
    "STRICTNESS",
    "Attempt",
    "Disposition",
    "Explained",
    "Side",
    "counted",
    "decide",
    "direction",
    "explain",
    "last_resort",
    "reported",
    "settled",
]
