"""The engines of one worker, each behind its bound."""

from typing import Final

from msgspec import Struct

from filterd.config import Config
from filterd.log import Log
from filterd.parse.pool import ParsePool

from .clamd import Clamd
from .command import CommandScanner
from .scan import VirusEngine
from .spamd import Spamd

# Of each milter worker, where nothing else is set.
_PARSE_WORKERS: Final = 2


class Engines(Struct, frozen=True, kw_only=True):
    """What stages may ask. ``commands`` are the further virus engines of ``[[scanner]]``."""

    clamd: Clamd
    spamd: Spamd
    parse: ParsePool
    commands: tuple[CommandScanner, ...] = ()

    @property
    def virus(self) -> tuple[VirusEngine, ...]:
        """Return every virus engine: each must find a message clean."""
        return (self.clamd, *self.commands)


def connect(config: Config, log: Log, *, workers: int) -> Engines:
    """Return clients that hold one worker's share of each engine's bound. Needs a running event loop."""

    def share(places: int) -> int:
        return max(1, places // workers)

    return Engines(
        clamd=Clamd(config.clamd, slots=share(config.clamd.max_concurrent), log=log),
        spamd=Spamd(config.spamd, slots=share(config.spamd.max_concurrent), log=log),
        parse=ParsePool(
            config,
            slots=share(config.parse.max_concurrent) if config.parse.max_concurrent else _PARSE_WORKERS,
            room=share(config.parse.memory_bytes),
            log=log,
        ),
        commands=tuple(
            CommandScanner(one, slots=share(one.max_concurrent), log=log) for one in config.scanner
        ),
    )
