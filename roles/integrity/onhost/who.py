"""Who: what the kernel's audit knows of a path (ausearch(8)); rules watch what `hardening.audit` names, nothing else."""

import re
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

_FIELD: Final = re.compile(r"(?:^| )(auid|uid|exe|comm)=(\"[^\"]*\"|\S+)")
_TIME: Final = re.compile(r"msg=audit\(([^)]*?)(?:\.\d+)?:\d+\)")
# More is not read of what an attacker may have caused.
_LONGEST: Final = 4_000_000
_AT_ONCE: Final = 1_000_000
_SECONDS: Final = 20
# Each question reads all of the audit's logs, and how many there are is an attacker's choice too.
_ASKED: Final = 100
_SECONDS_FOR_ALL: Final = 300


def last(found: str) -> str:
    """Return who made the last call of what ``ausearch --interpret`` printed, in a sentence's part, or ""."""
    calls = [line for line in found.splitlines() if line.startswith("type=SYSCALL")]
    if not calls:
        return ""
    told = {name: value.strip('"') for name, value in _FIELD.findall(calls[-1])}
    moment = _TIME.search(calls[-1])
    login = told.get("auid", "unset")
    person = "nobody who had logged in" if login in ("unset", "-1", "4294967295") else f"login {login}"
    return f"{person}, as {told.get('uid', '?')}, by {told.get('exe', told.get('comm', '?'))}" + (
        f" at {moment[1]}" if moment else ""
    )


def several(paths: Iterable[str], since: float) -> dict[str, str]:
    """Return who last changed each of these paths, as far as the audit knows it, and as many as can be asked in the time."""
    until = time.monotonic() + _SECONDS_FOR_ALL
    told = {}
    for path in islice(paths, _ASKED):
        left = until - time.monotonic()
        if left <= 0:
            break
        told[path] = of(path, since, min(_SECONDS, left))
    return {path: text for path, text in told.items() if text}


def of(path: str, since: float, seconds: float = _SECONDS) -> str:
    """Return who last changed a path since a moment, or "" where the audit knows nothing."""
    moment = time.localtime(since)
    command = [
        "ausearch",
        "--interpret",
        "--input-logs",
        "--file",
        path,
        "--start",
        time.strftime("%x", moment),
        time.strftime("%X", moment),
    ]
    return last(_end(command, seconds).decode("utf-8", "replace"))


def _end(command: Sequence[str], seconds: float) -> bytes:
    """Return the end of what a program prints, or b"" where there is none or it took too long."""
    env = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin"}
    null = subprocess.DEVNULL
    try:
        run = subprocess.Popen(command, stdin=null, stdout=subprocess.PIPE, stderr=null, env=env)
    except OSError:
        return b""  # what was found stands without it
    late = threading.Timer(seconds, run.kill)
    late.start()
    kept = b""
    with run:
        # Read bit by bit: how much there is may be an attacker's choice.
        while run.stdout and (more := run.stdout.read(_AT_ONCE)):
            kept = (kept + more)[-_LONGEST:]
    late.cancel()
    return kept if run.returncode >= 0 else b""
