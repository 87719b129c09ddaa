"""A host of shell scripts: programs that answer what a test says, put before the real ones."""

import grp
import os
import pwd
import subprocess
from pathlib import Path

ME = pwd.getpwuid(os.geteuid()).pw_name
MY_GROUP = grp.getgrgid(os.getegid()).gr_name


class FakeHost:
    """A directory of fake programs and a log of how they were called, in order."""

    def __init__(self, directory: Path) -> None:
        self.programs = directory / "bin"
        self.log = directory / "called"
        self.programs.mkdir(parents=True)
        self.log.touch()

    def program(self, name: str, body: str = "") -> None:
        """Put a program in place: it logs its call, then does ``body``, a shell script."""
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{body}\n')
        path.chmod(0o755)

    def run(self, command: str, *, fails: bool = False) -> str:
        """Return the output of a shell command that finds the fake programs first."""
        environment = {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}", "LC_ALL": "C"}
        done = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=20
        )
        assert bool(done.returncode) is fails, done.stderr
        return done.stdout

    def called(self) -> list[str]:
        """Return how the fake programs were called so far."""
        return self.log.read_text().splitlines()
