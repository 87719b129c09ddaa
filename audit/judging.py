"""What a host's answer to one question means: the same for the audit and for an assessment. Pure."""

import re

from audit import evidence
from audit.probes import Observation
from audit.probes.host import Answer
from roles.kinds import NEEDS, NO_PARAMETER, Kind, need_of
from roles.settings import Gateway

# dash(1) and bash(1) say so of a program that is not there; in a pipe its exit code is lost.
_NO_PROGRAM = re.compile(r"^\S*sh: (?:line )?\d+: (\S+): (?:command )?not found$", re.MULTILINE)


def judged(kind: Kind, answer: Answer, gateway: Gateway, *, contained: bool) -> Observation:
    """Return what an answer says of a setting; ``contained``: the host is a container, which shows only its own.

    A question that fails is broken, and so is one whose answer came without the program that gives it: what is not
    there says nothing, and an empty answer must not pass for one.
    """
    if contained and (need := need_of(kind)):
        # Whatever it answers, it says nothing of what would be in force on a machine.
        return Observation(state="not seen: container", why=NEEDS[need])
    if missing := _NO_PROGRAM.search(answer.errors):
        return Observation(state="broken", seen=evidence.line(f"the host has no {missing[1]}"))
    if answer.code != 0:
        said = answer.errors.strip() or answer.output.strip() or "no output"
        return Observation(state="broken", seen=evidence.line(f"exit code {answer.code}: {said}"))
    if answer.output.strip() == NO_PARAMETER:
        return Observation(state="not available", why=f"{NO_PARAMETER} as {kind.name()}")
    held = kind.holds(answer.output, gateway)
    seen = evidence.answered(kind, answer.output, gateway)
    if not held and not answer.output.strip() and answer.errors.strip():
        seen = answer.errors.strip()
    return Observation(state="held" if held else "broken", seen=evidence.line(seen))
