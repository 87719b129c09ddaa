"""Have a host install updates each night, and take back what breaks its filter."""

import json
from pathlib import Path
from typing import Final

from roles.mta.agents import agent
from roles.operations import converged, files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.settings import CLAMD_SOCKET, Gateway
from roles.updates.defences import (
    DOOR_SERVICE,
    HOME,
    PROGRAMS,
    REBOOT_SERVICE,
    REBOOT_TIMER,
    RESUME_SERVICE,
    RESUME_TIMER,
    SERVICE,
    TIMER,
    UNITS,
    WATCH_SERVICE,
    WATCH_TIMER,
)

# The modules of roles/updates/host, as a package of its own name; the commands are scripts that know the way to it.
LIBRARY: Final = "/usr/local/lib/bastide"
HOST: Final = "updates"
_HOST: Final = Path(__file__).with_name("host")
DECLARED: Final = "/etc/bastide/updates.json"
APT_FILE: Final = "/etc/apt/apt.conf.d/99bastide-updates"
PINS: Final = "/etc/apt/preferences.d/bastide-updates.pref"
# Older official signatures than these are an alarm.
DATABASE_HOURS: Final = 72
_OWN: Final = (
    SERVICE,
    TIMER,
    RESUME_SERVICE,
    RESUME_TIMER,
    REBOOT_SERVICE,
    REBOOT_TIMER,
    WATCH_SERVICE,
    WATCH_TIMER,
    DOOR_SERVICE,
)
# Less room than this does not begin a night's work: a kernel with its modules and initramfs, and the same again.
FREE_MB: Final = 600
# So long our hold lasts until that alone is an alarm.
HOLD_ALERT_SECONDS: Final = 3600
# How long a clamd that runs may read its signatures before it counts as one that does not answer.
LOAD_SECONDS: Final = 1800
_TIMERS: Final = (
    ("Install updates each night", TIMER, SERVICE),
    ("Ask the gate where mail is on hold", RESUME_TIMER, RESUME_SERVICE),
    ("Look for a reboot that updates wait for", REBOOT_TIMER, REBOOT_SERVICE),
    ("Tell what nobody could be told, and of a long hold", WATCH_TIMER, WATCH_SERVICE),
)
_DOOR_AT_BOOT: Final = f"{UNITS}/multi-user.target.wants/{DOOR_SERVICE}"
# What is barred stands where it goes with our directory, and apt finds it by a link. The daemon of the package only makes a
# shutdown wait for it.
_PLACES: Final = (
    f"stat -c '%a %U' {HOME} {HOME}/kept; readlink {PINS}; readlink {_DOOR_AT_BOOT}; "
    "systemctl is-enabled unattended-upgrades.service 2>/dev/null || true"
)


@layer("Updates")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have updates installed, judged by the gate, and taken back; nothing where the platform has no such updates yet."""
    if "updates" not in platform.packages:
        return
    packages_installed(
        name="Install unattended-upgrades", packages=platform.packages["updates"], manager=platform.manager
    )
    converged(
        name="Make the places of updates",
        question=_PLACES,
        wanted=f"755 root\n755 root\n{HOME}/preferences\n{UNITS}/{DOOR_SERVICE}\ndisabled",
        remedy=f"install -d -m 755 -o root -g root {HOME} {HOME}/kept; ln -sfn {HOME}/preferences {PINS}; "
        f"ln -sfn {UNITS}/{DOOR_SERVICE} {_DOOR_AT_BOOT}; "
        "systemctl --quiet disable --now unattended-upgrades.service",
    )
    files_owned(
        name="Write what updates and judges",
        files=_files(gateway, platform),
        check=f"apt-config -c $stage{APT_FILE} dump >/dev/null; "
        f"systemd-analyze verify {' '.join(f'$stage{UNITS}/{unit}' for unit in _OWN)}",
    )
    for title, timer, service in _TIMERS:
        unit_current(
            name=title, unit=timer, files=(f"{UNITS}/{timer}", f"{UNITS}/{service}"), on_change="restart"
        )


def declared(gateway: Gateway, platform: Platform) -> dict[str, object]:
    """Return what the host's programs need to know."""
    mta = agent(gateway)
    return {
        "hostname": gateway.hostname,
        "administrator": gateway.notify_admin_address,
        "recipient": gateway.administrator_address,
        "mta": gateway.mta,
        "smtp_port": 25,
        "injection": mta.injection,
        # In the order in which they are started anew: the engines before who asks them.
        "units": ["unbound.service", "clamav-daemon.service", "spamd.service", "filterd.service", *mta.units],
        # What is stopped where mail passes unseen and the packet filter does not help.
        "mta_units": list(mta.units),
        "clamd_socket": CLAMD_SOCKET,
        "database_hours": DATABASE_HOURS if gateway.clamav_official_databases else 0,
        "which": gateway.updates.which,
        "held": list(gateway.updates.held),
        "delay_hours": gateway.updates.delay_hours,
        "reboot": gateway.updates.reboot,
        "gate_seconds": gateway.updates.gate_seconds,
        "install_seconds": 60 * gateway.updates.install_minutes,
        "load_seconds": LOAD_SECONDS,
        "hold_alert_seconds": HOLD_ALERT_SECONDS,
        "free_mb": FREE_MB,
        "security": [*platform.security_origins, *gateway.updates.origins],
    }


def origins(gateway: Gateway, platform: Platform) -> tuple[str, ...]:
    """Return whose updates are installed, as unattended-upgrades writes it."""
    if gateway.updates.which == "none":
        return ()
    every = platform.every_origin if gateway.updates.which == "all" else ()
    return (*platform.security_origins, *every, *gateway.updates.origins)


def _files(gateway: Gateway, platform: Platform) -> list[OwnedFile]:
    text = json.dumps(declared(gateway, platform), indent=1) + "\n"
    modules = sorted(_HOST.glob("*.py"))
    return [
        *(OwnedFile(path=f"{LIBRARY}/{HOST}/{each.name}", content=each.read_text()) for each in modules),
        *(
            OwnedFile(
                path=f"{PROGRAMS}/bastide-{module}",
                content=rendered(
                    "updates", "command.py.j2", gateway, library=LIBRARY, package=HOST, module=module
                ),
                mode="755",
            )
            for module in ("gate", "update")
        ),
        OwnedFile(path=DECLARED, content=text),
        OwnedFile(
            path=APT_FILE,
            content=rendered("updates", "99bastide-updates.j2", gateway, origins=origins(gateway, platform)),
        ),
        *(
            OwnedFile(
                path=f"{UNITS}/{unit}",
                content=rendered("updates", f"{unit}.j2", gateway, home=HOME, units=agent(gateway).units),
            )
            for unit in _OWN
        ),
    ]
