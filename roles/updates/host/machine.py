"""The machine: its programs, files that outlive a crash, and where those of updates stand."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

DECLARED: Final = Path("/etc/bastide/updates.json")
HOME: Final = Path("/var/lib/bastide-updates")
HOLD: Final = HOME / "hold"
# How the text in it begins where it is ours. Any other hold is an administrator's, and only he lifts it.
OWN: Final = "bastide: "
RECORD: Final = HOME / "run.json"  # of a run that has not ended
SNAPSHOT: Final = HOME / "snapshot.json"
KEPT: Final = HOME / "kept"
PINS: Final = HOME / "preferences"
SEEN: Final = HOME / "seen.json"
LEFT_OUT: Final = HOME / "apt.conf"
LAST: Final = HOME / "last.json"
ARCHIVES: Final = Path("/var/cache/apt/archives")
LOCK: Final = Path("/run/bastide-update.lock")
NOTE: Final = Path("/run/bastide-notes/updates")
REBOOT: Final = Path("/run/reboot-required")
GATE: Final = "/usr/local/sbin/bastide-gate"
QUIET: Final[Mapping[str, str]] = {
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
}


def say(text: str) -> None:
    """Print a line into the journal."""
    print(text, flush=True)


def ran(*words: str, seconds: float | None = None, loud: bool = False, **more: str) -> tuple[int, str]:
    """Run a program; return its exit code and what it printed. ``loud``: print that too. ``more``: environment."""
    try:
        done = subprocess.run(
            words, env={**os.environ, **QUIET, **more}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=seconds,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    if loud:
        say(done.stdout.rstrip())
    return done.returncode, done.stdout


def written(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that after a crash it is the old one or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(mode)
    fresh.replace(path)
    place = os.open(path.parent, os.O_RDONLY)
    os.fsync(place)
    os.close(place)


def read(path: Path) -> dict[str, Any]:
    """Return a file of ours; {} where there is none or it is not whole."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def outdated(proc: Path = Path("/proc")) -> set[str]:
    """Return the units of systemd whose processes still use a library or program that was replaced (proc(5), maps)."""
    found = set()
    for place in proc.iterdir():
        try:
            maps = (place / "maps").read_text(errors="replace") if place.name.isdigit() else ""
            group = (place / "cgroup").read_text() if maps else ""
        except OSError:
            continue  # it has ended
        # Of what is no file of a package, memory that programs share has such names as well.
        if re.search(r" r-xp .* /(usr|lib|opt)\S* \(deleted\)$", maps, re.MULTILINE):
            units = re.findall(r"/([^/\n]+\.(?:service|scope|slice))(?=/|$)", group, re.MULTILINE)
            found.add("init.scope" if place.name == "1" else units[-1] if units else "")
    return found - {""}
