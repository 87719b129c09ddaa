"""Programs of this machine that look at a gateway from one of its sides."""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from audit.errors import UnseenError
from audit.scanners.errors import ScanError
from audit.target import Target
from audit.vantage import NAMESPACES

# nmap over 65,535 ports that do not answer takes minutes; what takes longer than this hangs.
PROGRAM_SECONDS: Final = 1800
# program: Debian package that has it
PROGRAMS: Final = {"nmap": "nmap", "ssh-audit": "ssh-audit", "testssl": "testssl.sh"}


def seen(target: Target, vantage: str, argv: Sequence[str], *, codes: Sequence[int] = (0,)) -> str:
    """Run a program where a vantage is and return what it wrote; ``codes`` are the exit codes with which it has a result.

    Raises UnseenError where the vantage cannot be entered, ScanError when the program is not there or has no result.
    """
    if shutil.which(argv[0]) is None:
        package = PROGRAMS[argv[0]]
        raise ScanError(f"this machine lacks {argv[0]}: get it with 'apt-get install {package}'")
    entry = target.entry(vantage)
    kind, _, name = entry.partition(":")
    if kind == "netns" and not (NAMESPACES / name).exists():
        raise UnseenError(f"the network namespace {name} does not exist")
    command = [*(("ip", "netns", "exec", name) if kind == "netns" else ()), *argv]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PROGRAM_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ScanError(f"{argv[0]} has not ended within {PROGRAM_SECONDS} s") from error
    if done.returncode not in codes:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["without a word"]
        raise ScanError(f"{argv[0]}: exit code {done.returncode}: {said[0]}")
    return done.stdout
