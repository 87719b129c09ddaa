"""The command that finds a rule's refusals in the MTA's log, the same on both MTAs."""

from typing import Final

from roles.dns.defences import PROGRAM
from roles.rendering import OwnedFile, rendered
from roles.settings import Gateway

_COMMAND: Final = "/usr/local/sbin/refused-by"


def refused_by(gateway: Gateway) -> OwnedFile:
    """Return the command as a file."""
    return OwnedFile(
        path=_COMMAND, content=rendered("mta", "refused-by.j2", gateway, selftest=PROGRAM), mode="755"
    )
