"""Settings of the operating system's defences."""

from typing import Literal, get_args

# How much a host gives up for its safety, the least first.
Level = Literal["lax", "moderate", "paranoid"]
LEVELS: tuple[Level, ...] = get_args(Level)
