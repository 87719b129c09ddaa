"""While the host is changed nothing is taken, and what is refused stays refused; over the milter protocol."""

from pathlib import Path
from typing import Any

import pytest

from filterd import hold
from filterd.actions import refusal
from filterd.disposition import Disposition, Fate
from filterd.findings import Verdict
from tests.unit.filterd.daemon import running
from tests.unit.filterd.test_connection_actions import said


def one(fate: Fate, verdict: Verdict = Verdict.CLEAN) -> Disposition:
    return Disposition(recipients=(b"<b@rcpt.example>",), verdict=verdict, fate=fate, wanted=fate, rule="x.y")


@pytest.mark.parametrize("fate", ["deliver", "move", "discard"])
def test_what_would_be_taken_is_put_off_and_its_class_is_said(fate: Fate, tmp_path: Path) -> None:
    file = tmp_path / "hold"
    assert hold.held([one(fate)], str(file)) == (one(fate),)
    file.touch()
    (put_off,) = hold.held([one(fate, Verdict.SPAM)], str(file))
    assert (put_off.fate, put_off.wanted, put_off.rule) == ("tempfail", fate, "hold.spam")
    answer = refusal([put_off], b"4XyZ")
    assert answer is not None
    assert (answer.status, answer.enhanced) == ("451", "4.7.1")
    assert "[hold.spam]" in answer.lines[0]


@pytest.mark.parametrize("fate", ["reject", "tempfail"])
def test_what_is_refused_stays_refused(fate: Fate, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    assert hold.held([one(fate)], str(tmp_path / "hold")) == (one(fate),)


def test_a_file_that_cannot_be_asked_for_is_a_hold(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert hold.on(str(loop))
    assert not hold.on("")
    assert not hold.on(str(tmp_path / "missing" / "hold"))


def test_the_daemon_takes_nothing_while_the_file_is_there(tmp_path: Path) -> None:
    """P04, H14. A chain that would keep the virus, so that it is the hold that puts it off; afterwards it is as ever."""
    file = tmp_path / "hold"
    file.touch()
    changes: dict[str, Any] = {"policy.chains": {"infected": ["move"]}, "hold": {"file": str(file)}}
    with running(tmp_path, **changes) as daemon, daemon.client() as client:
        (code, text) = said(client)[-1]
        assert code == b"y"
        assert text.startswith(b"451 4.7.1 Message not accepted for now: policy [hold.infected]")
        file.unlink()
        assert said(client) == [(b"d", b"")]
