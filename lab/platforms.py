"""What a lab's gateways can run: a platform's name in the lab, the archive it comes from, and what the roles know of it.

The hosts around the gateways run Debian 12 whatever the gateways run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lab.errors import LabError
from roles.platforms import DEBIAN_12, DEBIAN_13, EL_9, Platform

# What --platform is called; the first two as in an inventory, whose name for the last one is of the real thing.
DEBIAN12, DEBIAN13, EL = DEBIAN_12.name, DEBIAN_13.name, "el"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPlatform:
    """One platform.

    ``suite``: of Debian's archive. ``row``: what the roles know of it. ``machine``: whether there is a
    virtual machine of it, too. ``rpm``: whether it is EL-shaped (lab/el), a stand-in of Debian's programs.
    """

    suite: str
    row: Platform
    machine: bool = False
    rpm: bool = False


PLATFORMS: Mapping[str, LabPlatform] = {
    DEBIAN12: LabPlatform(suite="bookworm", row=DEBIAN_12, machine=True),
    # No disk of it has been made and booted yet (lab/disk.py).
    DEBIAN13: LabPlatform(suite="trixie", row=DEBIAN_13),
    EL: LabPlatform(suite="bookworm", row=EL_9, rpm=True),
}


def lab_platform(name: str) -> LabPlatform:
    """Return the platform of that name. Raises LabError, with the names that there are, for another."""
    try:
        return PLATFORMS[name]
    except KeyError:
        raise LabError(
            f"the lab has no platform {name!r}: give --platform one of {', '.join(PLATFORMS)}"
        ) from None
