"""Have the figures of each day made, kept and mailed on a host."""

from pathlib import Path
from typing import Final

from roles.operations import files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.reports.defences import SERVICE, STATE, TIMER, UNITS, WAITING_SERVICE, WAITING_TIMER
from roles.settings import Gateway

WAITING: Final = "/usr/local/lib/bastide/waiting.py"
_OWN: Final = (SERVICE, TIMER, WAITING_SERVICE, WAITING_TIMER)


@layer("Reports")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have filterd report each night on the day before."""
    if gateway.mta == "postfix":  # pflogsumm(1) knows Postfix's log alone
        packages_installed(
            name="Install pflogsumm", packages=platform.packages["reports"], manager=platform.manager
        )
    files_owned(
        name="Write the report's units",
        files=[
            OwnedFile(path=WAITING, content=Path(__file__).with_name("waiting.py").read_text(), mode="755"),
            *(
                OwnedFile(
                    path=f"{UNITS}/{unit}",
                    content=rendered("reports", f"{unit}.j2", gateway, state=STATE, waiting=WAITING),
                )
                for unit in _OWN
            ),
        ],
        check=f"systemd-analyze verify {' '.join(f'$stage{UNITS}/{unit}' for unit in _OWN)}",
    )
    # The timer alone: the service begins with its file anew each time that it is started.
    unit_current(
        name="Have the report made each night",
        unit=TIMER,
        files=(f"{UNITS}/{TIMER}", f"{UNITS}/{SERVICE}"),
        on_change="restart",
    )
    unit_current(
        name="Look each hour for mail that waits",
        unit=WAITING_TIMER,
        files=(f"{UNITS}/{WAITING_TIMER}", f"{UNITS}/{WAITING_SERVICE}"),
        on_change="restart",
    )
