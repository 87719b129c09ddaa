"""Attack dialogues, one file each: exact bytes out, patterns for the replies. A new attack is a new file.

tests/acceptance/dialogue.py has the language; tests/unit/acceptance shows that each file can fail.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audit.samples import build
from lab.plan import LabState
from tests.acceptance.anonymity import alike, told
from tests.acceptance.dialogue import FILES, Arrived, Dialogue, Heard, parsed
from tests.acceptance.gateway import GatewayHost, Sink
from tests.acceptance.lacking import missing
from tests.acceptance.letters import mark
from tests.acceptance.outside import Outside, content, envelope, seen_from
from tests.acceptance.speaker import heard
from tests.acceptance.test_mail import letter

# The issue asks for as many; without a variety of replies their silence would say little.
DIFFERENT_REPLIES = 60
# As one client, whose connections a gateway counts.
AT_ONCE = 4
# They take minutes, so they begin first.
PATIENT = ("flood-of-", "slow-")
HOUSE = "bob@bastide.example"
PARTNER = "alice@sender.example"

Said = tuple[Dialogue, Heard, str]


def _missing(file: Path) -> str:
    """Return why this MTA lacks what the file is about, or an empty text."""
    needed = parsed(file.read_text(), "").needs
    return missing(needed) if needed else ""


def spoken(text: str, lab: LabState) -> Said:
    """Speak one file's dialogue; return it with what was heard and its mark. AssertionError for a reply that is wrong."""
    unique = mark()
    dialogue = parsed(text, unique)
    said = heard(dialogue, seen_from(lab, dialogue.side))
    assert not dialogue.problems(said), said
    return dialogue, said, unique


@pytest.fixture(scope="session")
def said(lab: LabState, request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Said]]:
    """Return what gives a file's dialogue, spoken once in a run; some are spoken at a time, for silence takes minutes."""
    named = {
        item.callspec.params["file"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_dialogue
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {
            file: pool.submit(spoken, file.read_text(), lab)
            for file in sorted(FILES, key=lambda file: not file.stem.startswith(PATIENT))
            if file in (named or FILES) and not _missing(file)
        }
        yield lambda file: (running.get(file) or pool.submit(spoken, file.read_text(), lab)).result()
        pool.shutdown(cancel_futures=True)


def _arrived(hop: GatewayHost | Sink, near: Outside, unique: str, taken: int) -> list[Arrived]:
    """Return what arrived with a mark, once as many messages are there as were taken and a later one behind them."""
    sender, recipient = (HOUSE, PARTNER) if isinstance(hop, Sink) else (PARTNER, HOUSE)
    hop.awaited(unique, taken)
    after = mark()
    later = near.dialogue(*envelope(recipient, sender), content(build("clean", letter(after))))
    assert later[-1].startswith("250 "), later
    hop.awaited(after)
    return [Arrived(sender=one.sender, content=one.content) for one in hop.received(unique)]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_dialogue(
    file: Path, said: Callable[[Path], Said], lab: LabState, gateway: GatewayHost, world: Sink
) -> None:
    if why := _missing(file):
        pytest.skip(why)
    outwards = parsed(file.read_text(), "").towards == "wan"
    dialogue, replies, unique = said(file)
    if dialogue.marked:
        near = seen_from(lab, "lan" if outwards else "wan")
        arrived = _arrived(world if outwards else gateway, near, unique, dialogue.taken(replies))
        assert not dialogue.losses(replies, arrived)


def test_no_reply_names_a_program(said: Callable[[Path], Said]) -> None:
    """A20: every reply of every dialogue, the greetings among them."""
    replies = {reply for file in FILES if not _missing(file) for reply in said(file)[1].replies}
    assert len({alike(reply) for reply in replies}) >= DIFFERENT_REPLIES
    assert not {reply: words for reply in replies if (words := told(reply))}
