"""Labs that live as long as a run of tests or trials."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab import lifecycle, network, state
from lab.plan import CONTAINER, VM, LabState
from lab.platforms import DEBIAN12
from tests.acceptance.gateway import ROOT

INVENTORY: Final = "inventory/lab.py"
# A virtual machine without hardware to help computes ten times as long.
_DEPLOY_SECONDS: Final = {CONTAINER: 600, VM: 6000}


def deploy(*words: str, lab: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m roles`` on the lab's inventory."""
    return _run(sys.executable, "-m", "roles", *words, lab=lab, tree=ROOT)


def audited(*words: str, lab: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m audit``."""
    return _run(sys.executable, "-m", "audit", *words, lab=lab, tree=ROOT)


# An operation's name, and that it changed something on its host, as pyinfra shows them.
_CHANGED: Final = re.compile(r"--> Starting operation: (.*?) *\n(?:.*\n)?? *\[[^]]+\] Success")


def unchanged(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that a deploy changed nothing; what it changed is shown."""
    assert "0 operations changed something" in done.stdout, _CHANGED.findall(done.stderr)


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
        timeout=_DEPLOY_SECONDS[state.load(lab).kind],
    )


def swept(kind: str) -> None:
    """Remove the labs of this kind whose process is gone: the process id tells whose lab a crashed run left behind."""
    for left in state.names():
        if (owner := re.fullmatch(rf"{kind}(\d+)[a-z]?", left)) and not Path("/proc", owner[1]).exists():
            lifecycle.down(left)


def traces(name: str) -> list[str]:
    """Return whatever this machine still has of a lab; other labs may be at work beside it."""
    found = [f"netns {netns}" for netns in network.existing_namespaces(name)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if f"/{name}/" in line or f"bastide-{name}-" in line]
    links = json.loads(
        subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True).stdout
    )
    found += [f"link {link['ifname']}" for link in links if link.get("ifalias") == f"bastide-{name}"]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if f"bastide-{name}-".encode() in words or f"/{name}/hosts/".encode() in words:
            found.append(f"process {entry.parent.name}")
    found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"*/bastide-{name}-*")]
    found += [f"nspawn {path}" for path in Path("/run/systemd/nspawn/propagate").glob(f"bastide-{name}-*")]
    if state.directory_of(name).exists():
        found.append(f"directory {state.directory_of(name)}")
    return found


@contextmanager
def deployed(kind: str, *, gateways_are: str = CONTAINER, platform: str = DEBIAN12) -> Iterator[LabState]:
    """Give a lab with one deployed gateway; it goes at the end, and what crashed runs of this kind left goes first.

    Two runs side by side have a lab each, and so have the workers of one.
    """
    swept(kind)
    name = f"{kind}{os.getpid()}"
    try:
        lifecycle.up(name, gateways=1, kind=gateways_are, platform=platform)
        done = deploy("apply", INVENTORY, lab=name)
        assert done.returncode == 0, done.stderr[-4000:]
        yield state.load(name)
    finally:
        lifecycle.down(name)
