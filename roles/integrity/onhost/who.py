"""Who: what the kernel's audit knows of a path (ausearch(8)); rules watch what `hardening.audit` names, nothing else."""

import re
import subprocess
import time
from typing import Final

_FIELD: Final = re.compile(r"(?:^| )(auid|uid|exe|comm)=(\"[^\"]*\"|\S+)")
_TIME: Final = re.compile(r"msg=audit\(([^)]*?)(?:\.\d+)?:\d+\)")
# More is not read of what an attacker may have caused.
_LONGEST: Final = 4_000_000
_SECONDS: Final = 20


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


def of(path: str, since: float) -> str:
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
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin"},
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return last(done.stdout[-_LONGEST:].decode("utf-8", "replace"))
