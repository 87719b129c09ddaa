"""Labs that live as long as a run of tests or trials."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab import lifecycle, state
from lab.plan import LabState
from tests.acceptance.gateway import ROOT

INVENTORY: Final = "inventory/lab.py"
_DEPLOY_SECONDS: Final = 600


def deploy(*words: str, lab: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m roles`` on the lab's inventory."""
    return _run(sys.executable, "-m", "roles", *words, lab=lab, tree=ROOT)


def pyinfra(
    file: str, *, lab: str, inventory: str = INVENTORY, tree: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run pyinfra with a deploy's file; ``tree``: of another checkout."""
    return _run(str(Path(sys.executable).with_name("pyinfra")), inventory, file, "-y", lab=lab, tree=tree)


def _run(*command: str, lab: str, tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, "BASTIDE_LAB": lab},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEPLOY_SECONDS,
    )


def swept(kind: str) -> None:
    """Remove the labs of this kind whose process is gone: the process id tells whose lab a crashed run left behind."""
    for left in state.names():
        if (owner := re.fullmatch(rf"{kind}(\d+)[a-z]?", left)) and not Path("/proc", owner[1]).exists():
            lifecycle.down(left)


@contextmanager
def deployed(kind: str) -> Iterator[LabState]:
    """Give a lab with one deployed gateway; it goes at the end, and what crashed runs of this kind left goes first.

    Two runs side by side have a lab each, and so have the workers of one.
    """
    swept(kind)
    name = f"{kind}{os.getpid()}"
    try:
        lifecycle.up(name, gateways=1)
        done = deploy("apply", INVENTORY, lab=name)
        assert done.returncode == 0, done.stderr[-4000:]
        yield state.load(name)
    finally:
        lifecycle.down(name)
