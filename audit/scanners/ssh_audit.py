"""ssh-audit: what sshd offers to whoever asks."""

import re
from collections.abc import Iterator
from typing import Final

from audit.scanners.accepted import SSH_AUDIT, named
from audit.scanners.figures import Figure, judged
from audit.scanners.outside import seen
from audit.target import Target

# 1 is a fault of its own; 2 and 3 say that it warns and that it found a fault.
_CODES: Final = (0, 2, 3)
# (kex) curve25519-sha256   -- [warn] …; further notes of the same algorithm stand on lines of their own.
_HEAD: Final = re.compile(r"^\((\w+)\) (\S+)")
_NOTE: Final = re.compile(r"\[(fail|warn)\] *(.*)")


def scanned(target: Target) -> Iterator[Figure]:
    """Look at sshd from where administrators come from."""
    port = str(target.data.get("ssh_port") or 22)
    text = seen(target, "control", ["ssh-audit", "-n", "-p", port, target.ssh_address], codes=_CODES)
    yield from figures(text)


def figures(text: str) -> Iterator[Figure]:
    """Give the figure of its output: faults and warnings, and which of them stand on no list with a reason."""
    notes: list[tuple[str, str, str]] = []
    name = ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name = head[2]
        if name and (note := _NOTE.search(line)):
            notes.append((name, note[1], note[2].strip()))
    left = sorted({f"{kind} {name}: {note}" for name, kind, note in notes if name not in named(SSH_AUDIT)})
    faults = sum(kind == "fail" for _, kind, _ in notes)
    # Whatever it says of a server that it could not speak to, it lists no key exchange of it.
    spoken = "(kex)" in text
    yield Figure(
        scanner="ssh-audit",
        about="faults, warnings",
        value=f"{faults}, {len(notes) - faults}" if spoken else "no answer",
        limit="none without a reason in docs/scanners.md",
        judged=judged(good=spoken and not left),
        details=tuple(left),
    )
