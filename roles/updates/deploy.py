"""Have a host install updates each night, and take back what breaks its filter."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    OTHERS,
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
# How a repository of dnf's is named in `updates.origins`; all else there is in unattended-upgrades' words.
REPOSITORY: Final = "repo="
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What differs by the package manager.

    ``files``: templates by their paths, and ``check`` what looks at them in the stage. ``places``: a question about what is
    outside our directory, its answer, and what makes it so. ``modules``: what of host/ is this one's alone.
    """

    modules: tuple[str, ...]
    files: Mapping[str, str]
    check: str
    places: tuple[str, str, str]


FAMILIES: Final[Mapping[str, Family]] = {
    "apt": Family(
        modules=("apt.py",),
        files={APT_FILE: "99bastide-updates.j2"},
        check=f"apt-config -c $stage{APT_FILE} dump >/dev/null; ",
        # What is barred stands where it goes with our directory, and apt finds it by a link. The daemon of the package only
        # makes a shutdown wait for it.
        places=(
            f"readlink {PINS}; systemctl is-enabled unattended-upgrades.service 2>/dev/null || true",
            f"{HOME}/preferences\ndisabled",
            f"ln -sfn {HOME}/preferences {PINS}; systemctl --quiet disable --now unattended-upgrades.service",
        ),
    ),
    "dnf": Family(
        modules=("dnf.py", "resolving.py"),
        files={},
        check="",
        places=(
            (
                f"systemctl list-unit-files --state=enabled --no-legend {OTHERS} | grep -c . || true; "
                "test -e /etc/dnf/plugins/versionlock.list && echo barring"
            ),
            "0\nbarring",
            (
                f"systemctl list-unit-files --state=enabled --no-legend {OTHERS} | cut -d' ' -f1 | "
                "xargs -r systemctl --quiet disable --now; "
                "[ -e /etc/dnf/plugins/versionlock.list ] || install -m 644 /dev/null /etc/dnf/plugins/versionlock.list"
            ),
        ),
    ),
}


@layer("Updates")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have updates installed, judged by the gate, and taken back."""
    family = FAMILIES[platform.manager.name]
    question, answer, remedy = family.places
    packages_installed(
        name=f"Install {platform.packages['updates'][0]}",
        packages=platform.packages["updates"],
        manager=platform.manager,
    )
    converged(
        name="Make the places of updates",
        question=f"stat -c '%a %U' {HOME} {HOME}/kept; readlink {_DOOR_AT_BOOT}; {question}",
        wanted=f"755 root\n755 root\n{UNITS}/{DOOR_SERVICE}\n{answer}",
        remedy=f"install -d -m 755 -o root -g root {HOME} {HOME}/kept; "
        f"ln -sfn {UNITS}/{DOOR_SERVICE} {_DOOR_AT_BOOT}; {remedy}",
    )
    files_owned(
        name="Write what updates and judges",
        files=_files(gateway, platform),
        check=f"{family.check}systemd-analyze verify {' '.join(f'$stage{UNITS}/{unit}' for unit in _OWN)}",
    )
    for title, timer, service in _TIMERS:
        unit_current(
            name=title, unit=timer, files=(f"{UNITS}/{timer}", f"{UNITS}/{service}"), on_change="restart"
        )


def declared(gateway: Gateway, platform: Platform) -> dict[str, object]:
    """Return what the host's programs need to know."""
    mta = agent(gateway)
    engines = ("unbound.service", "clamav-daemon.service", "spamd.service", "filterd.service")
    return {
        "manager": platform.manager.name,
        "hostname": gateway.hostname,
        "administrator": gateway.notify_admin_address,
        "recipient": gateway.administrator_address,
        "mta": gateway.mta,
        "smtp_port": 25,
        "injection": mta.injection,
        # In the order in which they are started anew: the engines before who asks them.
        "units": [platform.unit(each) for each in (*engines, *mta.units)],
        # What is stopped where mail passes unseen and the packet filter does not help.
        "mta_units": [platform.unit(each) for each in mta.units],
        "clamd_unit": platform.unit("clamav-daemon.service"),
        "clamd_socket": platform.here(CLAMD_SOCKET),
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
        "security": [*platform.security_origins, *_of_apt(gateway)],
        "repositories": [
            each.removeprefix(REPOSITORY) for each in gateway.updates.origins if each.startswith(REPOSITORY)
        ],
    }


def _of_apt(gateway: Gateway) -> tuple[str, ...]:
    return tuple(each for each in gateway.updates.origins if not each.startswith(REPOSITORY))


def origins(gateway: Gateway, platform: Platform) -> tuple[str, ...]:
    """Return whose updates are installed, as unattended-upgrades writes it."""
    if gateway.updates.which == "none":
        return ()
    every = platform.every_origin if gateway.updates.which == "all" else ()
    return (*platform.security_origins, *every, *_of_apt(gateway))


def _files(gateway: Gateway, platform: Platform) -> list[OwnedFile]:
    text = json.dumps(declared(gateway, platform), indent=1) + "\n"
    family = FAMILIES[platform.manager.name]
    others = {name for each in FAMILIES.values() for name in each.modules} - set(family.modules)
    modules = (each for each in sorted(_HOST.glob("*.py")) if each.name not in others)
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
        *(
            OwnedFile(
                path=path, content=rendered("updates", template, gateway, origins=origins(gateway, platform))
            )
            for path, template in family.files.items()
        ),
        *(
            OwnedFile(
                path=f"{UNITS}/{unit}",
                content=rendered(
                    "updates",
                    f"{unit}.j2",
                    gateway,
                    home=HOME,
                    units=[platform.unit(each) for each in agent(gateway).units],
                ),
            )
            for unit in _OWN
        ),
    ]
