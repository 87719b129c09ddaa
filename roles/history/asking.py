"""Asking hosts: one command for all of an inventory, by the connection that a deploy has too (keys, jump hosts, sudo)."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COMMAND: Final = "BASTIDE_ASK_COMMAND"
ANSWERS: Final = "BASTIDE_ASK_ANSWERS"
_FILE: Final = Path(__file__).with_name("asked.py")


class AskError(Exception):
    """Hosts that gave no answer; the text names them and what stood in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command said on a host, standard and error output as they came, and its exit code."""

    text: str
    code: int


def answers(inventory: str, command: str, hosts: Sequence[str]) -> dict[str, Answer]:
    """Return each host's answer to a shell command, asked of all of them at once, as root.

    Each call opens connections of its own. Raises AskError when one of the hosts does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="bastide-ask-") as place:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("pyinfra")),
                inventory,
                str(_FILE),
                "-y",
                # Each with an option of its own: pyinfra knows no lists here.
                *(word for name in hosts for word in ("--limit", name)),
            ],
            env={**os.environ, COMMAND: command, ANSWERS: place},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        found = {}
        for path in Path(place).glob("*.json"):
            told = json.loads(path.read_text())
            text, _, code = str(told["said"]).rpartition("\n")
            if code.isdecimal():
                found[str(told["host"])] = Answer(text=text, code=int(code))
    missing = [name for name in hosts if name not in found]
    if missing:
        raise AskError(f"no answer from {', '.join(missing)}:\n{done.stderr.strip()}")
    return {name: found[name] for name in hosts}
