"""What an answer means: a program that is missing says nothing, however its pipe ends."""

import pytest

from audit.judging import judged
from audit.probes.host import Answer
from roles.kinds import HostAnswer
from tests.unit.roles.examples import gateway

NOTHING = HostAnswer(subject="wrong things", command="x", matches="0?", refuted_by="1")


@pytest.mark.parametrize(
    ("errors", "state", "seen"),
    [
        ("", "held", "0"),
        ("sh: 1: doveconf: not found\n", "broken", "the host has no doveconf"),
        ("noise\nsh: 12: /opt/filterd/current/bin/filterd: not found\nmore", "broken", "filterd"),
        ("/bin/sh: 1: ss: not found", "broken", "the host has no ss"),
        ("sh: line 3: awk: command not found", "broken", "the host has no awk"),
        # What a program says of something else is not about programs.
        ("Unit debug-shell.service: not found", "held", "0"),
        ("cat: /etc/x: No such file or directory", "held", "0"),
    ],
)
def test_an_empty_answer_without_its_program_is_no_answer(errors: str, state: str, seen: str) -> None:
    found = judged(NOTHING, Answer(code=0, output="0", errors=errors), gateway(), contained=False)
    assert found.state == state
    assert seen in found.seen
