"""The engines of one worker, each behind its bound."""

from msgspec import Struct

from filterd.config import Config
from filterd.log import Log

from .clamd import Clamd
from .spamd import Spamd


class Engines(Struct, frozen=True, kw_only=True):
    """What stages may ask."""

    clamd: Clamd
    spamd: Spamd


def connect(config: Config, log: Log, *, workers: int) -> Engines:
    """Return clients that hold one worker's share of each engine's bound. Needs a running event loop."""
    return Engines(
        clamd=Clamd(config.clamd, slots=max(1, config.clamd.max_concurrent // workers), log=log),
        spamd=Spamd(config.spamd, slots=max(1, config.spamd.max_concurrent // workers), log=log),
    )
