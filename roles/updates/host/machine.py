"""The machine: its programs, files that outlive a crash, and where those of updates stand."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final

DECLARED: Final = Path("/etc/bastide/updates.json")
HOME: Final = Path("/var/lib/bastide-updates")
HOLD: Final = HOME / "hold"
# How the text in it begins where it is ours. Any other hold is an administrator's, and only he lifts it.
OWN: Final = "bastide: "
RECORD: Final = HOME / "run.json"  # of a run that has not ended
SNAPSHOT: Final = HOME / "snapshot.json"
KEPT: Final = HOME / "kept"
SEEN: Final = HOME / "seen.json"
LAST: Final = HOME / "last.json"
UNTOLD: Final = HOME / "untold"  # alerts of which no mail has been sent yet
LOCK: Final = Path("/run/bastide-update.lock")
# What was said of what lasts, and when: so that no timer says the same each quarter of an hour.
TOLD: Final = Path("/run/bastide-update-told.json")
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


# Of what asks and does not install; what installs names its own limit.
_SECONDS: Final = 1800.0
TOO_LONG: Final = 124  # the exit code of what did not end in time, as timeout(1) has it


def ran(*words: str, seconds: float = _SECONDS, loud: bool = False, **more: str) -> tuple[int, str]:
    """Run a program; return its exit code and what it printed. ``loud``: print that too. ``more``: environment.

    What does not end in time is killed with all that it has started; the code is TOO_LONG then.
    """
    try:
        made = subprocess.Popen(
            words, env={**os.environ, **QUIET, **more}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        return 127, str(error)
    with made:
        try:
            said, _ = made.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            ended(made.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                # Somebody who has left the family may still have the pipe open.
                made.communicate(timeout=5)
            if made.stdout:
                made.stdout.close()
            say(f"{' '.join(words[:3])} did not end within {seconds:.0f} seconds and was killed")
            return TOO_LONG, f"{words[0]} did not end within {seconds:.0f} seconds"
    if loud:
        say(said.rstrip())
    return made.returncode, said


def family(pid: int, stats: Iterable[str]) -> set[int]:
    """Return a process, what it has started, and the sessions that those lead, of lines of /proc/PID/stat (proc(5)).

    A package manager may have what it starts in a session of its own, so that a process group is not enough.
    """
    # The name in brackets may hold anything.
    rows = [(int(text.split(" ", 1)[0]), *map(int, text.rpartition(")")[2].split()[1:4:2])) for text in stats]
    found = {pid}
    while fresh := {
        one for one, parent, session in rows if one not in found and (parent in found or session in found)
    }:
        found |= fresh
    return found


def ended(pid: int) -> None:
    """Kill a process and all that it has started, until nothing of it is left: who dies may have started one more."""
    own = {os.getpid(), 1}
    known = {pid}
    for _ in range(50):
        stats = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                stats.append(place.read_text(errors="replace"))
        # A zombie needs no more killing.
        living = [text for text in stats if text.rpartition(")")[2].split()[0] != "Z"]
        there = {int(text.split(" ", 1)[0]) for text in living}
        known |= set().union(*(family(one, living) for one in known & there), set())
        left = (known & there) - own
        if not left:
            return
        for one in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        time.sleep(0.1)


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


def locking(path: Path) -> IO[str]:
    """Open a lock that none but root may take; one of before, that others may read, is theirs no longer.

    Who can open a file can lock it (flock(2)), and would stop updates so.
    """
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
    os.fchmod(file.fileno(), 0o600)
    return file


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
