"""Have a host compare itself each night with what the last deploy left."""

from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Final

from pyinfra import host
from pyinfra.api import (
    DeployError,
    FileDownloadCommand,
    FileUploadCommand,
    FunctionCommand,
    StringCommand,
    operation,
)

from roles.history.paths import HISTORY, TITLE
from roles.integrity import copies
from roles.integrity.paths import COMMAND, CONFIG, FILES, HOME, PROGRAMS, SERVICE, TIMER, UNITS
from roles.integrity.programs import program
from roles.integrity.watching import lines
from roles.operations import (
    ShellAnswer,
    converged,
    files_owned,
    layer,
    packages_installed,
    plainly,
    unit_current,
)
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.settings import Gateway

Commands = Generator[StringCommand | FileUploadCommand | FileDownloadCommand | FunctionCommand, None, None]
# Which run of a deploy the baseline was made behind.
_RUN: Final = f"{HOME}/run"
_NEWEST: Final = f"ls -1 {HISTORY}/runs 2>/dev/null | tail -n 1"
_COPY: Final = "/run/bastide/integrity"


@layer("Integrity")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have the engine, its configuration, the program that explains what it finds, and its timer."""
    if "integrity" not in platform.packages:
        return
    if gateway.integrity.engine == "none":
        converged(
            name="Compare nothing",
            question=f"test -e {UNITS}/{TIMER} || echo none",
            wanted="none",
            remedy=f"systemctl disable --now {TIMER}; rm -f {UNITS}/{TIMER} {UNITS}/{SERVICE} /run/bastide-notes/integrity",
        )
        return
    packages_installed(
        name="Install what compares", packages=platform.packages["integrity"], manager=platform.manager
    )
    converged(
        name="Make the place of the baseline",
        question=f"stat -c '%a %U %G' {HOME}",
        wanted="700 root root",
        remedy=f"install -d -m 700 -o root -g root {HOME}",
    )
    files_owned(
        name="Write what is watched and what explains",
        files=_files(gateway),
        check=f"aide --config=$stage{CONFIG} --config-check; "
        f"systemd-analyze verify $stage{UNITS}/{SERVICE} $stage{UNITS}/{TIMER}",
    )
    unit_current(
        name="Compare each night",
        unit=TIMER,
        files=(f"{UNITS}/{TIMER}", f"{UNITS}/{SERVICE}"),
        on_change="restart",
    )


def _files(gateway: Gateway) -> list[OwnedFile]:
    values = {"home": HOME, "command": COMMAND, "programs": PROGRAMS, "lines": list(lines(gateway.integrity))}
    return [
        OwnedFile(path=CONFIG, content=rendered("integrity", "aide.conf.j2", gateway, **values), mode="600"),
        *program(PROGRAMS),
        OwnedFile(
            path=COMMAND, content=rendered("integrity", "bastide-integrity.j2", gateway, **values), mode="755"
        ),
        *(
            OwnedFile(path=f"{UNITS}/{unit}", content=rendered("integrity", f"{unit}.j2", gateway, **values))
            for unit in (SERVICE, TIMER)
        ),
    ]


@layer(TITLE)
def looked(gateway: Gateway, _platform: Platform) -> None:
    """Have a baseline of what this run left, and a copy of it here: behind the record of the run, which explains its changes."""
    if gateway.integrity.engine != "none":
        baseline_taken(name="Take the baseline of what this deploy left", copy=gateway.integrity.copies)


@operation()
def baseline_taken(copy: str) -> Commands:
    """Have a look behind the last run that changed something, compare it with the copy of the control host, and keep that of now.

    What is neither the run's nor a package's stays a finding. It keeps books and changes nothing of what the host does, so no record
    of the host is begun for it.
    """
    place = copies.place(copy, host.name)
    try:
        known = copies.held(place)
    except copies.CopyError as error:
        raise DeployError(f"{host.name}: {error}") from error
    state = host.get_fact(
        ShellAnswer,
        command=f'test -s {HOME}/{FILES[-1]} && test "$({_NEWEST})" = "$(cat {_RUN})" && echo current',
    )
    if state == "current" and known:
        host.noop(f"the baseline is that of the last deploy, and {place} has a copy")
        return
    if state != "current":
        yield plainly(f"rm -rf {_COPY}; mkdir -p /run/bastide; install -d -m 700 {_COPY}")
        for name, content in (known or {}).items():
            yield FileUploadCommand(BytesIO(content), f"{_COPY}/{name}")
        with_copy = f" --copy {_COPY}" if known else ""
        yield plainly(f"{COMMAND} check --deploy{with_copy}; {_NEWEST} >{_RUN}; rm -rf {_COPY}")
    fetched = {name: BytesIO() for name in FILES}
    for name, into in fetched.items():
        yield FileDownloadCommand(f"{HOME}/{name}", into)
    yield FunctionCommand(_kept, (place, fetched), {})


def _kept(place: Path, fetched: dict[str, BytesIO]) -> None:
    copies.keep(place, {name: content.getvalue() for name, content in fetched.items()})
