"""What becomes of a message that comes again and again and can never be inspected. Pure.

The attack it stops: a message on which an engine fails each time. Put off for ever, it is lost when its sender gives
up; so it goes into quarantine after some tries, where somebody can look at it.
"""

from typing import Final, TypeVar

import msgspec

from filterd.config import Config
from filterd.config.policy import Chains, GroupChains

_PUT_OFF: Final = "tempfail"
_Chains = TypeVar("_Chains", Chains, GroupChains)


def last_resort(config: Config) -> Config:
    """Return a configuration in which no chain of class not_inspected puts a message off: it moves it."""
    return msgspec.structs.replace(
        config,
        policy=msgspec.structs.replace(config.policy, chains=_moving(config.policy.chains)),
        group=tuple(msgspec.structs.replace(one, chains=_moving(one.chains)) for one in config.group),
    )


def _moving(chains: _Chains) -> _Chains:
    steps = ("move" if step == _PUT_OFF else step for step in chains.not_inspected)
    return msgspec.structs.replace(chains, not_inspected=tuple(steps))
