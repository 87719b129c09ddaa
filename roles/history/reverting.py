"""Reverting from the control host: the host does it by itself (revert.sh), and is asked how far it has come."""

import re
import sys
import time
from collections.abc import Sequence
from typing import Final

from roles.history.asking import Answer, AskError, answers
from roles.history.programs import run_there

# Between two questions; each is a new login, which is what the former packet filter has to let in.
_PAUSE: Final = 1.0
# A host that is not reached for so long is given up; its revert goes on by itself.
_PATIENCE: Final = 300.0
# What an answer begins with, however much a host has to say while its systemd starts anew.
_STATE: Final = re.compile(r"(running|never|ended \d+)$", re.MULTILINE)


def planned(inventory: str, hosts: Sequence[str]) -> int:
    """Print what a revert would do on each host, changing nothing. Returns 0, or 1 where a host cannot say."""
    asked = answers(inventory, run_there("revert", ""), hosts)
    for name, answer in asked.items():
        _print(name, answer.text)
    return int(any(answer.code for answer in asked.values()))


def reverted(inventory: str, hosts: Sequence[str], *, even_with_mail: bool) -> int:
    """Revert each host and print what it says. Returns 0 only if each is what it was before Bastide, 1 else."""
    words = "--start --even-with-mail" if even_with_mail else "--start"
    started = answers(inventory, run_there("revert", words), hosts)
    failed = False
    for name, answer in started.items():
        if answer.code:
            _print(name, answer.text)
            failed = True
    running = {name: 0 for name, answer in started.items() if not answer.code}
    heard = time.monotonic()
    while running:
        time.sleep(_PAUSE)
        asked = _asked(inventory, list(running))
        if asked:
            heard = time.monotonic()
        elif time.monotonic() - heard > _PATIENCE:
            raise AskError(f"no answer from {', '.join(running)} any more; what was begun there goes on")
        for name, answer in asked.items():
            state, running[name] = _told(name, answer, running[name])
            if state != "running":
                failed = failed or state != "ended 0"
                if not state.startswith("ended"):
                    _print(name, "the revert was ended from outside; run it again, it goes on where it was")
                del running[name]
    return int(failed)


def _asked(inventory: str, hosts: Sequence[str]) -> dict[str, Answer]:
    """Return what hosts say of their reverts; those that cannot say it now are left out."""
    try:
        asked = answers(inventory, run_there("revert", "--state"), hosts)
    except AskError:
        return {}
    return {name: answer for name, answer in asked.items() if _STATE.match(answer.text)}


def _told(name: str, answer: Answer, lines: int) -> tuple[str, int]:
    """Print what a host has said beyond so many lines; return its state, and how many lines there are."""
    state, *said = answer.text.splitlines() or [""]
    _print(name, "\n".join(said[lines:]))
    return state, len(said)


def _print(name: str, text: str) -> None:
    for line in text.splitlines():
        print(f"{name}: {line}")
    sys.stdout.flush()
