"""The texts that the world reads."""

import pytest

from filterd import actions
from filterd.disposition import Disposition, Fate
from filterd.findings import Verdict
from filterd.milter.replies import Continue, Discard


def disposition(
    fate: Fate, verdict: Verdict = Verdict.INFECTED, rule: str = "virus.signature"
) -> Disposition:
    return Disposition(recipients=(b"<a@b.example>",), verdict=verdict, fate=fate, wanted=fate, rule=rule)


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize(("fate", "first"), [("reject", "5"), ("tempfail", "4")])
def test_every_class_has_a_text_with_rule_and_id(verdict: Verdict, fate: Fate, first: str) -> None:
    reply = actions.refusal([disposition(fate, verdict)], b"4XyZ")
    assert reply is not None
    assert reply.status[0] == reply.enhanced[0] == first
    assert reply.lines[0].endswith(" [virus.signature] id=4XyZ")


def test_tempfail_goes_before_reject() -> None:
    reply = actions.refusal([disposition("reject"), disposition("tempfail")], None)
    assert reply is not None
    assert reply.status == "451"
    assert reply.lines[0].endswith("id=none")


def test_nothing_is_refused_unless_somebody_is() -> None:
    assert actions.refusal([disposition("deliver"), disposition("move")], None) is None
    assert actions.settling([disposition("deliver"), disposition("move")], None) == Continue()
    assert actions.settling([disposition("discard"), disposition("move")], None) == Discard()
    assert actions.reply_text(actions.settling([disposition("reject")], None)).startswith(
        "550 5.7.1 Message refused: virus ["
    )


def test_queue_id_of_a_peer_is_not_believed() -> None:
    assert actions.text_id(b"4XyZ") == "4XyZ"
    assert actions.text_id(b"4X\r\n250 ok") == actions.text_id(None) == actions.text_id(b"x" * 33) == "none"
