"""Settings of the nightly updates."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

_TIME = Meta(
    pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z",
    description="Time of day, by the gateway's clock, at which updates begin; see `window_minutes`.",
)
_REBOOT = Meta(
    pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z",
    description="Time of day, by the gateway's clock, of a reboot that updates ask for.",
)
# What a package's name is made of: Debian Policy 5.6.1, and RPM's.
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]+")
_ORIGIN = re.compile(r"[a-z]+=[^,\"';{}\s]+(,[a-z]+=[^,\"';{}\s]+)*")


class Updates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which updates are installed at night, when, and what happens if mail is no longer filtered after them."""

    which: Annotated[
        Literal["security", "all", "none"],
        Meta(
            description="`security`: what the distribution's security team gives out; `all`: also its other updates of the "
            "release; `none`: nothing is installed, what waits is said in the daily report."
        ),
    ] = "security"
    at: Annotated[str, _TIME] = "02:30"
    window_minutes: Annotated[
        int,
        Meta(
            ge=0,
            le=720,
            description="Updates begin up to so many minutes later, each night the same for a host.",
        ),
    ] = 60
    held: Annotated[
        tuple[str, ...], Meta(description="Packages that are not updated; each is named in the daily report.")
    ] = ()
    origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Repositories beside the distribution's whose updates are installed too, as unattended-upgrades "
            "writes them: `origin=Example,suite=stable`; where there is dnf, by their ids: `repo=example`. A host takes those in its "
            "own words."
        ),
    ] = ()
    delay_hours: Annotated[
        int,
        Meta(
            ge=0,
            le=720,
            description="Hours for which this host has to have known a version before it installs it. 0 on the host of a "
            "fleet that goes first, 24 and more on the others.",
        ),
    ] = 0
    reboot: Annotated[
        Literal["never", "when-needed"],
        Meta(
            description="`when-needed`: at `reboot_at` the host reboots if an update asks for it, with mail on hold, what can "
            "be delivered sent on, and the gate asked before mail flows again. `never`: that it waits is said in the daily report."
        ),
    ] = "never"
    reboot_at: Annotated[str, _REBOOT] = "04:30"
    gate_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=1800,
            description="How long the services may take after an update until mail is filtered again; then it is taken back. Not "
            "less than filterd may take to end its sessions (45 s) and to start.",
        ),
    ] = 240
    install_minutes: Annotated[
        int,
        Meta(
            ge=5,
            le=180,
            description="How long the package manager may work on an update, with mail on hold; then it is ended, as a script of a "
            "package hangs, and the update is taken back.",
        ),
    ] = 60


def update_problems(settings: Updates) -> Iterator[tuple[str, str]]:
    """Give (setting, what is wrong and the remedy) for what cannot be used."""
    for name in settings.held:
        if not _PACKAGE.fullmatch(name):
            yield "updates.held", f"{name!r} is not the name of a package; write it like linux-image-amd64"
    for origin in settings.origins:
        if not _ORIGIN.fullmatch(origin):
            yield (
                "updates.origins",
                f"{origin!r} is not a list of name=value with commas between; write it like origin=Example,suite=stable or repo=example",
            )
