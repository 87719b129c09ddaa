"""Have the figures of each day made, kept and mailed on a host."""

from roles.operations import files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.reports.defences import SERVICE, STATE, TIMER, UNITS
from roles.settings import Gateway


@layer("Reports")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have filterd report each night on the day before."""
    if gateway.mta == "postfix":  # pflogsumm(1) knows Postfix's log alone
        packages_installed(name="Install pflogsumm", packages=platform.packages["reports"])
    files_owned(
        name="Write the report's units",
        files=[
            OwnedFile(path=f"{UNITS}/{unit}", content=rendered("reports", f"{unit}.j2", gateway, state=STATE))
            for unit in (SERVICE, TIMER)
        ],
        check=f"systemd-analyze verify $stage{UNITS}/{SERVICE} $stage{UNITS}/{TIMER}",
    )
    # The timer alone: the service begins with its file anew each time that it is started.
    unit_current(
        name="Have the report made each night",
        unit=TIMER,
        files=(f"{UNITS}/{TIMER}", f"{UNITS}/{SERVICE}"),
        on_change="restart",
    )
