from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.errors import ProtocolError, ReplyError
from filterd.milter import commands as c
from filterd.milter import mta
from filterd.milter import replies as r
from filterd.milter.frames import MAX_PAYLOAD, UNREAD_SLACK, frame
from filterd.milter.negotiation import Action, Step, Wish
from filterd.milter.session import ANSWERS, TABLE, Session, State
from tests.unit.filterd import dialogue
from tests.unit.filterd.dialogue import ALL_QUIET, session

REPLY_KINDS = sorted(r.REPLIES, key=repr)


def drive(it: Session) -> Iterator[c.Command]:
    while (event := it.next_event()) is not None:
        if isinstance(event, c.Offer):
            it.agree(event)
        elif it.owed is not None:
            it.reply(r.Continue())
        yield event


def at(state: State) -> Session:
    """A session that stands in ``state``."""
    steps: dict[State, bytes] = {
        State.NEGOTIATED: b"",
        State.CONNECTED: mta.connect(b"h", b"192.0.2.1"),
        State.MAIL: mta.strings(c.Mail, b"<>"),
        State.RCPT: mta.strings(c.Rcpt, b"<b@x>"),
        State.DATA: mta.plain(c.Data),
        State.HEADERS: mta.strings(c.Header, b"A", b" b"),
        State.BODY: mta.plain(c.EndOfHeaders),
    }
    if state is State.START:
        return Session(Wish())
    it = session()
    for reached, data in steps.items():
        it.receive(data)
        list(drive(it))
        if reached is state:
            return it
    it.receive(mta.plain(c.Quit))
    list(drive(it))
    return it


SAMPLES: dict[type[c.Command], bytes] = {
    c.Offer: mta.offer(),
    c.Connect: mta.connect(b"h", b"192.0.2.1"),
    c.Helo: mta.strings(c.Helo, b"h"),
    c.Mail: mta.strings(c.Mail, b"<a@x>"),
    c.Rcpt: mta.strings(c.Rcpt, b"<b@x>"),
    c.Data: mta.plain(c.Data),
    c.Header: mta.strings(c.Header, b"A", b"b"),
    c.EndOfHeaders: mta.plain(c.EndOfHeaders),
    c.Body: mta.plain(c.Body, b"x"),
    c.EndOfMessage: mta.plain(c.EndOfMessage),
    c.Abort: mta.plain(c.Abort),
    c.Quit: mta.plain(c.Quit),
    c.QuitNewConnection: mta.plain(c.QuitNewConnection),
    c.Unknown: mta.strings(c.Unknown, b"XYZZY"),
}


def test_there_are_fifteen_commands_and_each_is_in_the_tables() -> None:
    assert len(c.COMMANDS) == 15
    assert set(c.COMMANDS.values()) == {*SAMPLES, c.Macros}
    assert {kind for row in TABLE.values() for kind in row} == set(SAMPLES)


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_each_command_in_each_state(state: State, kind: type[c.Command]) -> None:
    it = at(state)
    assert it.state is state
    it.receive(SAMPLES[kind])
    following = TABLE[state].get(kind)
    if following is None:
        with pytest.raises(ProtocolError, match="does not belong"):
            it.next_event()
    else:
        assert isinstance(it.next_event(), kind)
        assert it.state is following
        assert it.owed is (kind if kind in ANSWERS or kind is c.Offer else None)


@pytest.mark.parametrize("owed", ANSWERS, ids=[kind.__name__ for kind in ANSWERS])
@pytest.mark.parametrize("kind", REPLY_KINDS, ids=[kind.__name__ for kind in REPLY_KINDS])
def test_each_reply_to_each_command(owed: type[c.Command], kind: type[r.Reply]) -> None:
    before = next(state for state, row in TABLE.items() if owed in row)
    it = at(before)
    assert it.agreed is not None
    it.agreed = type(it.agreed)(version=6, actions=Action(0x1FF), steps=Step.SKIP, macros={})
    it.receive(SAMPLES[owed])
    it.next_event()
    reply = REPLY_SAMPLES[kind]
    if kind not in ANSWERS[owed]:
        with pytest.raises(ReplyError):
            it.reply(reply)
        assert it.owed is owed
        return
    assert it.reply(reply)[4] == kind.code
    assert (it.owed is None) is (kind not in r.EDITS | {r.Progress})


REPLY_SAMPLES: dict[type[r.Reply], r.Reply] = {
    r.ReplyCode: r.ReplyCode("550", "5.7.1", ("no",)),
    r.AddHeader: r.AddHeader(b"X", b"y"),
    r.InsertHeader: r.InsertHeader(0, b"X", b"y"),
    r.ChangeHeader: r.ChangeHeader(1, b"X", b"y"),
    r.ChangeSender: r.ChangeSender(b"<a@x>"),
    r.AddRecipient: r.AddRecipient(b"<a@x>"),
    r.AddRecipientWithParameters: r.AddRecipientWithParameters(b"<a@x>", b"NOTIFY=NEVER"),
    r.DeleteRecipient: r.DeleteRecipient(b"<a@x>"),
    r.ReplaceBody: r.ReplaceBody(b"new"),
    r.Quarantine: r.Quarantine(b"why"),
    **{
        kind: kind()
        for kind in (
            r.Continue, r.Accept, r.Discard, r.Reject, r.TempFail, r.ConnectionFail, r.Shutdown, r.Skip, r.Progress,
        )
    },
}  # fmt: skip


def test_edits_are_refused_outside_the_end_of_a_message() -> None:
    it = at(State.BODY)
    with pytest.raises(ReplyError):
        it.reply(r.AddHeader(b"X", b"y"))
    it = session(Wish(needs=Action.ADD_HEADERS))
    it.receive(dialogue.greeting() + dialogue.envelope() + dialogue.content() + mta.plain(c.EndOfMessage))
    list(drive_until_end(it))
    assert it.reply(r.Progress()) == frame(ord("p"))
    assert it.reply(r.AddHeader(b"X", b"y")) == frame(ord("h"), b"X\0y\0")
    it.reply(r.Continue())
    with pytest.raises(ReplyError, match="does not answer anything"):
        it.reply(r.AddHeader(b"X", b"y"))


def drive_until_end(it: Session) -> Iterator[c.Command]:
    while (event := it.next_event()) is not None:
        yield event
        if isinstance(event, c.EndOfMessage):
            return
        if it.owed is not None:
            it.reply(r.Continue())


def test_an_edit_that_was_not_negotiated_is_refused() -> None:
    it = session()
    it.receive(dialogue.greeting() + dialogue.envelope() + dialogue.content() + mta.plain(c.EndOfMessage))
    list(drive_until_end(it))
    with pytest.raises(ReplyError, match="not negotiated"):
        it.reply(r.AddHeader(b"X", b"y"))


def test_skip_only_if_negotiated() -> None:
    for steps, allowed in ((Step(0), False), (Step.SKIP, True)):
        it = session(Wish(steps=steps))
        it.receive(dialogue.greeting() + dialogue.envelope() + mta.plain(c.EndOfHeaders))
        list(drive(it))
        it.receive(mta.plain(c.Body, b"x"))
        it.next_event()
        if allowed:
            assert it.reply(r.Skip()) == frame(ord("s"))
        else:
            with pytest.raises(ReplyError):
                it.reply(r.Skip())


def test_a_question_is_answered_before_the_next_is_asked() -> None:
    it = session()
    it.receive(dialogue.greeting())
    it.next_event()
    with pytest.raises(ReplyError, match="Connect has not been answered"):
        it.next_event()


def test_quiet_commands_owe_nothing_but_the_end_does() -> None:
    it = session(Wish(steps=ALL_QUIET))
    it.receive(dialogue.greeting() + dialogue.envelope() + dialogue.content())
    while it.next_event() is not None:
        assert it.owed is None
    it.receive(mta.plain(c.EndOfMessage))
    it.next_event()
    assert it.owed is c.EndOfMessage


def test_macros_come_before_a_command_that_may_follow() -> None:
    it = session()
    it.receive(mta.macros(c.Connect, {b"j": b"mx", b"{client_name}": b"x"}))
    it.next_event()
    assert (it.macro(b"j"), it.macro(b"client_name")) == (b"mx", b"x")
    it.receive(mta.macros(c.EndOfMessage, {b"i": b"1"}))
    with pytest.raises(ProtocolError, match="macros for"):
        it.next_event()


@pytest.mark.parametrize("about", [b"A", b"Q", b"D", b"O", b"?"])
def test_macros_about_what_gets_no_answer_are_refused(about: bytes) -> None:
    it = session()
    it.receive(frame(ord("D"), about + b"i\0001\0"))
    with pytest.raises(ProtocolError):
        it.next_event()


def test_macros_of_one_message_do_not_reach_the_next() -> None:
    it = session(Wish(steps=ALL_QUIET))
    for end, reply in ((mta.plain(c.Abort), None), (mta.plain(c.EndOfMessage), r.Continue())):
        it.receive(
            (b"" if it.state is State.CONNECTED else dialogue.greeting()) + dialogue.envelope(queue_id=b"one")
        )
        it.receive(dialogue.content())
        while it.next_event() is not None:
            pass
        assert it.macro(b"i") == b"one"
        it.receive(end)
        it.next_event()
        if reply:
            it.reply(reply)
        assert it.macro(b"i") is None


def test_a_refused_mail_may_be_followed_by_another() -> None:
    it = session()
    it.receive(dialogue.greeting())
    list(drive(it))
    it.receive(SAMPLES[c.Mail])
    it.next_event()
    it.reply(r.Reject())
    assert it.state is State.CONNECTED
    it.receive(SAMPLES[c.Mail])
    assert isinstance(it.next_event(), c.Mail)


def test_a_refused_recipient_does_not_end_the_message() -> None:
    it = at(State.RCPT)
    it.receive(SAMPLES[c.Rcpt])
    it.next_event()
    it.reply(r.TempFail())
    assert it.state is State.RCPT


# --- bounds


@pytest.mark.parametrize("length", [0, MAX_PAYLOAD + 2, 2**31, 2**32 - 1])
def test_a_length_is_judged_before_its_payload_is_waited_for(length: int) -> None:
    it = session()
    it.receive(length.to_bytes(4, "big"))
    with pytest.raises(ProtocolError, match="frame of"):
        it.next_event()


def test_the_bound_of_a_command_is_judged_by_its_first_byte() -> None:
    it = session()
    it.receive((20_000).to_bytes(4, "big") + b"H")
    with pytest.raises(ProtocolError, match="carries"):
        it.next_event()


def test_what_is_piled_up_is_bounded() -> None:
    it = session()
    it.receive(b"\0\x0f\0\0B")
    for _ in range((MAX_PAYLOAD + UNREAD_SLACK) // 65536):
        it.receive(b"x" * 65536)
    with pytest.raises(ProtocolError, match="without waiting"):
        it.receive(b"x" * 65536)


# --- the same events, however the bytes are cut


def events_of(
    data: bytes, cut: Callable[[bytes], Iterator[bytes]], wish: Wish
) -> tuple[list[c.Command], str]:
    it, seen = Session(wish), list[c.Command]()
    try:
        for piece in cut(data):
            it.receive(piece)
            seen.extend(drive(it))
    except ProtocolError as error:
        return seen, str(error)
    return seen, ""


def bytewise(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def in_one(data: bytes) -> Iterator[bytes]:
    return iter((data,))


@pytest.mark.parametrize("wish", [Wish(), Wish(steps=ALL_QUIET)], ids=["answered", "quiet"])
def test_byte_by_byte_is_the_same_as_whole(wish: Wish) -> None:
    data = dialogue.whole()
    seen, error = events_of(data, in_one, wish)
    assert not error
    assert isinstance(seen[-1], c.Quit)
    assert events_of(data, bytewise, wish) == (seen, error)


@settings(max_examples=150, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 200), min_size=1),
    damage=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255))),
)
def test_any_cut_of_any_damaged_session_gives_the_same(
    cuts: list[int], damage: list[tuple[int, int]]
) -> None:
    data = bytearray(dialogue.whole())
    for place, value in damage[:3]:
        data[place % len(data)] = value

    def pieces(all_of_it: bytes) -> Iterator[bytes]:
        place, turn = 0, 0
        while place < len(all_of_it):
            size = cuts[turn % len(cuts)]
            yield all_of_it[place : place + size]
            place, turn = place + size, turn + 1

    whole, cut = events_of(bytes(data), in_one, Wish()), events_of(bytes(data), pieces, Wish())
    assert whole == cut
