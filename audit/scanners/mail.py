"""Whether mail flows: a clean message arrives, and a virus is refused. Without it a host that is shut would score best."""

from audit import engine
from audit.engine import Item, Result, Session
from audit.target import Target
from roles.claims import Delivered, Verdict
from roles.registry import DEFENCES


def checks(target: Target) -> list[Item]:
    """Return the claims of the registry that say that mail flows: of the clean message, and of the plain test virus."""
    return [
        item
        for item in engine.items(DEFENCES, target.gateway)
        if (isinstance(item.check, Delivered) and item.check.sample == "clean")
        or (isinstance(item.check, Verdict) and item.check.sample == "eicar")
    ]


def flows(target: Target) -> list[Result]:
    """Look whether mail flows; each of the results must be held."""
    with Session(target) as session:
        return session.run(checks(target), lambda _result: None)
