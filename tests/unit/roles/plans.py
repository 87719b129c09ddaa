"""Ask the planner, one child process for many cases."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.roles.hosts import FakeHost

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is planned, on which host.

    ``target`` is an operation or a layer's ``apply`` as module:name, ``prepared``, or ``deploy.py``. ``responses`` is
    what the host answers to a command that has the key somewhere in it, in lines; ``data`` is inventory data.
    """

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    responses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What pyinfra would do, in order: (``run``, command), (``upload``, path, content), (``download``, path) or
    (``call``, function)."""

    commands: list[list[str]]
    operations: list[str]
    asked: list[str]
    error: str

    def texts(self, kind: str = "run") -> list[str]:
        """Return the first text of each command of one kind."""
        return [command[1] for command in self.commands if command[0] == kind]

    def uploads(self) -> dict[str, str]:
        """Return the uploaded contents by their path."""
        return {command[1]: command[2] for command in self.commands if command[0] == "upload"}


def plans(cases: Mapping[str, Case], directory: Path = ROOT) -> dict[str, Plan]:
    """Return each case's plan by the case's name, made in a process that runs in ``directory``."""
    asked = [
        {"target": c.target, "arguments": c.arguments, "responses": c.responses, "data": c.data}
        for c in cases.values()
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.roles.planner"],
        input=json.dumps(asked),
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYINFRA_FAKE_DELAY": "0",
            "PYINFRA_FAKE_DELAY_JITTER": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {name: Plan(**found) for name, found in zip(cases, json.loads(done.stdout), strict=True)}


def replay(plan: Plan, fake_host: FakeHost, *roots: tuple[str, Path], fails: str = "") -> None:
    """Do what a plan says with some directories of the host moved; stops at the command that has ``fails`` in it."""

    def moved(text: str) -> str:
        for root, place in roots:
            text = text.replace(root, str(place))
        return text

    for kind, text, *content in plan.commands:
        if kind == "upload":
            Path(moved(text)).write_text(content[0])
            continue
        stops = bool(fails) and fails in text
        fake_host.run(moved(text), fails=stops)
        if stops:
            return
