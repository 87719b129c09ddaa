"""Have a host record what deploys change of it, and able to go back by itself."""

import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from pyinfra import host
from pyinfra.api import operation

from roles.history.paths import HISTORY, PROGRAMS_WRITTEN, TITLE
from roles.history.programs import sources
from roles.operations import Commands, ShellAnswer, converged, files_owned, layer, plainly
from roles.platforms import Platform
from roles.rendering import OwnedFile
from roles.settings import Gateway

_HERE: Final = Path(__file__).parent


@operation()
def dead_run_filed() -> Commands:
    """File what a run that has not ended did, and nothing that others have done since; no command of this run may come before."""
    if host.get_fact(ShellAnswer, command=f"[ -d {HISTORY}/begin ] && echo died || echo none") != "died":
        host.noop("every run has ended")
        return
    # One that an older program began has no last moment: it goes on as this run's.
    yield plainly(f"! grep -q '^died()' {HISTORY}/record || sh {HISTORY}/record died")


@layer(TITLE)
def begins(_gateway: Gateway, platform: Platform) -> None:
    """Have the programs that record and revert; from here on the first change of a run records the host before it."""
    dead_run_filed(name="File what a deploy that died had changed")
    files = [
        OwnedFile(path=f"{HISTORY}/{name}", content=text, mode="700")
        for name, text in sources(platform.manager.name).items()
    ]
    files_owned(
        name=PROGRAMS_WRITTEN,
        files=files,
        check="; ".join(f"sh -n $stage{file.path}" for file in files),
    )


@layer(TITLE)
def ends(_gateway: Gateway, _platform: Platform) -> None:
    """File what this run has changed, and what a run has that died before it came here."""
    converged(
        name="File what this deploy changed",
        question=f"[ -d {HISTORY}/begin ] && echo open || echo closed",
        wanted="closed",
        remedy=f"sh {HISTORY}/record end {shlex.quote(_revision())}",
    )


@cache
def _revision() -> str:
    """Return what git calls the revision that is deployed, marked where files differ from it."""
    command = ("git", "-C", str(_HERE), "describe", "--always", "--dirty", "--abbrev=12")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"
