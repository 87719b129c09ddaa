import pytest

from filterd.config import Config
from filterd.connection import wish
from filterd.errors import ProtocolError
from filterd.milter import commands as c
from filterd.milter import mta
from filterd.milter.frames import frame
from filterd.milter.negotiation import Action, MacroStage, Step, Wish
from filterd.milter.session import Session
from tests.unit.filterd.dialogue import ALL_QUIET, session


@pytest.mark.parametrize(
    ("version", "answered", "actions", "steps"),
    [
        (2, 2, 0x3F, 0x7F),
        (3, 3, 0x3F, 0x17F),
        (4, 4, 0x3F, 0x37F),
        (6, 6, 0x1FF, 0x1FFFFF),
        (7, 6, 0x1FF, 0x1FFFFF),
    ],
)
def test_versions(version: int, answered: int, actions: int, steps: int) -> None:
    everything = Wish(needs=Action(actions & 0xFF), steps=Step(0x1FFFFF), macros={MacroStage.CONNECT: b"j"})
    it = session(everything, mta.offer(version, 0xFFFFFFFF, 0xFFFFFFFF))
    assert it.agreed is not None
    assert (it.agreed.version, int(it.agreed.actions), int(it.agreed.steps)) == (answered, actions, steps)


@pytest.mark.parametrize("version", [0, 1])
def test_version_one_is_refused(version: int) -> None:
    it = Session(Wish())
    it.receive(mta.offer(version))
    event = it.next_event()
    assert isinstance(event, c.Offer)
    with pytest.raises(ProtocolError, match="version"):
        it.agree(event)


def test_a_needed_action_that_is_not_offered_is_refused() -> None:
    it = Session(Wish(needs=Action.ADD_HEADERS | Action.QUARANTINE))
    it.receive(mta.offer(6, int(Action.ADD_HEADERS)))
    event = it.next_event()
    assert isinstance(event, c.Offer)
    with pytest.raises(ProtocolError, match="QUARANTINE"):
        it.agree(event)


def test_nothing_is_agreed_that_was_not_offered() -> None:
    it = session(
        Wish(steps=ALL_QUIET, macros={MacroStage.CONNECT: b"j"}), mta.offer(6, 0x3F, int(Step.QUIET_HEADER))
    )
    assert it.agreed is not None
    assert it.agreed.steps == Step.QUIET_HEADER
    assert it.agreed.macros == {}


def test_the_macro_lists_stand_behind_the_numbers() -> None:
    it = Session(Wish(macros={MacroStage.END_OF_MESSAGE: b"i", MacroStage.CONNECT: b"j {x}"}))
    it.receive(mta.offer())
    event = it.next_event()
    assert isinstance(event, c.Offer)
    numbers = b"\0\0\0\x06" + b"\0\0\x01\0" + b"\0\0\0\0"
    assert it.agree(event) == frame(ord("O"), numbers + b"\0\0\0\0j {x}\0" + b"\0\0\0\x05i\0")


def test_no_macros_are_wished_for_a_step_that_is_waived() -> None:
    waived = {MacroStage.CONNECT: Step.NO_CONNECT, MacroStage.HELO: Step.NO_HELO, MacroStage.MAIL: Step.NO_MAIL,
              MacroStage.RCPT: Step.NO_RCPT, MacroStage.DATA: Step.NO_DATA,
              MacroStage.END_OF_HEADERS: Step.NO_END_OF_HEADERS}  # fmt: skip
    ours = wish(Config())
    assert [stage for stage in ours.macros if waived.get(stage, Step(0)) & ours.steps] == []
