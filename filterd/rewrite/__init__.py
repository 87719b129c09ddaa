"""Changes messages: takes parts out, renames, disarms, stamps. Runs only in parse workers, on hostile bytes.

The attack it stops: a message that is "cleaned" into something that nobody has looked at. Only the bytes of what is
changed differ from the original; a change that cannot be made exactly is reported, never approximated.
"""

from .rewriting import rewrite

__all__ = ["rewrite"]
