"""Each dialogue can fail: a server that takes everything does not pass it, or, if it says what must be welcome, one that refuses."""

import asyncio
from pathlib import Path

import pytest

from roles.registry import DEFENCES
from tests.acceptance import weak
from tests.acceptance.dialogue import FILES, Arrived, Dialogue, Heard, parsed
from tests.acceptance.speaker import spoken

# A server beside us answers at once: what dialogues wait for a minute for must come in this part of it.
PACE = 0.01


def _faults(dialogue: Dialogue) -> list[str]:
    """Return what is found wrong with the server that this dialogue must not pass with."""

    async def tried() -> list[str]:
        arrived = list[Arrived]()
        async with weak.refusing() if dialogue.accepting else weak.weak(arrived) as port:
            said = await spoken(dialogue.steps, "127.0.0.1", port, pace=PACE)
        return dialogue.problems(said) + (dialogue.losses(said, arrived) if dialogue.marked else [])

    return asyncio.run(tried())


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_weak_server_does_not_pass(file: Path) -> None:
    assert _faults(parsed(file.read_text(), "mark-1"))


def test_what_a_file_needs_some_mta_lacks() -> None:
    """Else the file would go unspoken for nothing."""
    needed = {parsed(file.read_text(), "mark-1").needs for file in FILES} - {""}
    assert needed
    assert needed <= {each.id for each in DEFENCES if each.lacks}


def test_a_file_may_be_wrong() -> None:
    with pytest.raises(ValueError, match="line 2: 'says' is none of the language's words"):
        parsed("from wan\nsays hello\n", "mark-1")
    with pytest.raises(ValueError, match="line 1: 'world' is neither wan nor lan"):
        parsed("from world\n", "mark-1")
    with pytest.raises(ValueError, match="from wan"):
        parsed("> NOOP\n", "mark-1")


def test_what_is_sent_and_expected_again() -> None:
    text = "from lan 7\nto wan\ntimes 2\n> {ab*2} {mark} {n}\n< 250\ntimes 2\n< x\n<. y\n"
    dialogue = parsed(text, "mark-1")
    assert (dialogue.side, dialogue.host, dialogue.towards, dialogue.marked) == ("lan", 7, "wan", True)
    assert [step.text for step in dialogue.steps if step.deed == "send"] == [
        "abab mark-1 1\r\n",
        "abab mark-1 2\r\n",
    ]
    assert [one.pattern for one in dialogue.expected] == ["250", "250", "x", "x", "y"]


def test_as_many_arrive_as_were_taken() -> None:
    dialogue = parsed("from wan\n> {mark}\n<. 250\n<. (250|550)\narrives .*text\n", "mark-1")
    both, one = Heard(replies=("250", "250")), Heard(replies=("250", "550"))
    good, bad = Arrived(sender="a@x", content=b"the text"), Arrived(sender="forged@x", content=b"else")
    assert not dialogue.losses(both, [good, good])
    assert not dialogue.losses(one, [good])
    assert dialogue.losses(both, [good]) == ["2 messages were taken, 1 arrived"]
    assert len(dialogue.losses(one, [bad])) == len(["its sender", "its text"])
