"""What gives away which programs a gateway runs: the claims' own vocabulary, and the words that nmap knows them by."""

import re
import shutil
import subprocess
from typing import Final

from roles.mta.defences.dialogue import TELLTALE
from tests.acceptance.lacking import lacks
from tests.acceptance.outside import Outside

# Names of hosts and domains are not secret, and may have any word in them.
_NAME: Final = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}\b", re.IGNORECASE)
# What differs each time: queue ids, marks, times, addresses, sizes.
_EACH_TIME: Final = re.compile(r"\b(?=\w*\d)\w{8,}\b|mark-\w+|\d+")
# With a guard that lets new clients wait, each of its tries takes that long.
_NMAP_SECONDS: Final = 900


def told(text: str) -> list[str]:
    """Return the words in a reply, header or notice that tell which program wrote it."""
    return [found[0] for found in re.finditer(TELLTALE, _NAME.sub("a-name", text))]


def alike(reply: str) -> str:
    """Return a reply without what differs each time: two that leave the same are the same reply."""
    return _EACH_TIME.sub("#", reply)


def detected(place: Outside, port: int = 25) -> str:
    """Return what nmap's service detection makes of the gateway's port: its line of nmap's table."""
    if shutil.which("nmap") is None:
        lacks("this machine lacks nmap: get it with 'apt-get install nmap'")
    done = subprocess.run(
        [
            "ip",
            "netns",
            "exec",
            place.netns,
            "nmap",
            "-n",
            "-Pn",
            "-sV",
            "-p",
            str(port),
            place.address,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=_NMAP_SECONDS,
    )
    return next(line for line in done.stdout.splitlines() if line.startswith(f"{port}/tcp"))
