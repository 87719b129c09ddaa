import pytest

from filterd.errors import ReplyError
from filterd.milter import replies as r
from filterd.milter.negotiation import Action, Agreement, Step

PLAIN = Agreement(version=6, actions=Action(0x1FF), steps=Step(0), macros={})
LEADING = Agreement(version=6, actions=Action(0x1FF), steps=Step.LEADING_SPACE, macros={})

GOOD = [
    (r.Continue(), b"c"), (r.Accept(), b"a"), (r.Discard(), b"d"), (r.Reject(), b"r"), (r.TempFail(), b"t"),
    (r.ConnectionFail(), b"f"), (r.Shutdown(), b"4"), (r.Skip(), b"s"), (r.Progress(), b"p"),
    (r.ReplyCode("550", "5.7.1", ("100% no",)), b"y550 5.7.1 100%% no\0"),
    (r.ReplyCode("451", "4.7.1", ("one", "two")), b"y451-4.7.1 one\r\n451 4.7.1 two\0"),
    (r.AddHeader(b"X-A", b"v"), b"hX-A\0v\0"),
    (r.AddHeader(b"X-A", b"v\n w"), b"hX-A\0v\n w\0"),
    (r.InsertHeader(0, b"X-A", b"v"), b"i\0\0\0\0X-A\0v\0"),
    (r.ChangeHeader(2, b"X-A", b""), b"m\0\0\0\x02X-A\0\0"),
    (r.ChangeSender(b"<a@x>"), b"e<a@x>\0"), (r.ChangeSender(b"<a@x>", b"SIZE=1"), b"e<a@x>\0SIZE=1\0"),
    (r.AddRecipient(b"<a@x>"), b"+<a@x>\0"), (r.DeleteRecipient(b"<a@x>"), b"-<a@x>\0"),
    (r.AddRecipientWithParameters(b"<a@x>", b"NOTIFY=NEVER"), b"2<a@x>\0NOTIFY=NEVER\0"),
    (r.Quarantine(b"why"), b"qwhy\0"), (r.ReplaceBody(b""), b"b"), (r.ReplaceBody(b"new"), b"bnew"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "wanted"), GOOD, ids=lambda one: type(one).__name__)
def test_a_reply_and_its_bytes(reply: r.Reply, wanted: bytes) -> None:
    assert b"".join(reply.frames(PLAIN)) == len(wanted).to_bytes(4, "big") + wanted


def test_each_reply_is_in_the_table_of_good_ones() -> None:
    assert {type(reply) for reply, _ in GOOD} == r.REPLIES
    assert len({kind.code for kind in r.REPLIES}) == len(r.REPLIES)


BAD = [
    r.ReplyCode("250", "2.0.0", ("ok",)), r.ReplyCode("550", "4.7.1", ("x",)), r.ReplyCode("55", "5.7.1", ("x",)),
    r.ReplyCode("550", "5.7", ("x",)), r.ReplyCode("550\r\n", "5.7.1", ("x",)), r.ReplyCode("550", "5.7.1", ()),
    r.ReplyCode("550", "5.7.1", ("x\r\n250 ok",)), r.ReplyCode("550", "5.7.1", ("x\ny",)),
    r.ReplyCode("550", "5.7.1", ("x\0",)), r.ReplyCode("550", "5.7.1", ("ä",)), r.ReplyCode("550", "5.7.1", ("x" * 981,)),
    r.ReplyCode("550", "5.7.1", ("x",) * 33),
    r.AddHeader(b"", b"v"), r.AddHeader(b"X A", b"v"), r.AddHeader(b"X:A", b"v"), r.AddHeader(b"X\r\nY", b"v"),
    r.AddHeader(b"X", b"v\r\n w"), r.AddHeader(b"X", b"v\nY: z"), r.AddHeader(b"X", b"v\n"), r.AddHeader(b"X", b"v\n \n w"),
    r.AddHeader(b"X", b"v\0"), r.AddHeader(b"X", b"v\n "), r.AddHeader(b"X", b"v" * 70_000), r.AddHeader(b"X" * 300, b"v"),
    r.InsertHeader(-1, b"X", b"v"), r.ChangeHeader(0, b"X", b"v"), r.ChangeHeader(2**31, b"X", b"v"),
    r.AddRecipient(b""), r.AddRecipient(b"<a@x>\r\n"), r.AddRecipient(b"<a@x>\0"), r.AddRecipient(b"a" * 5000),
    r.DeleteRecipient(b"\n"), r.ChangeSender(b"<a@x>", b"A\nB"), r.Quarantine(b""), r.Quarantine(b"a\rb"),
]  # fmt: skip


@pytest.mark.parametrize("reply", BAD, ids=repr)
def test_what_could_be_read_as_more_than_one_thing_is_not_sent(reply: r.Reply) -> None:
    with pytest.raises(ReplyError):
        list(reply.frames(PLAIN))


def test_a_body_goes_in_pieces_that_the_protocol_carries() -> None:
    body = bytes(range(256)) * 700
    frames = list(r.ReplaceBody(body).frames(PLAIN))
    assert [len(frame) - 5 for frame in frames] == [65535, 65535, len(body) - 2 * 65535]
    assert b"".join(frame[5:] for frame in frames) == body


@pytest.mark.parametrize(("value", "sent"), [(b"v", b" v"), (b" v", b" v"), (b"\tv", b"\tv"), (b"", b"")])
def test_the_blank_behind_the_colon_is_ours_once_negotiated(value: bytes, sent: bytes) -> None:
    assert r.AddHeader(b"X", value).payload(LEADING) == b"X\0" + sent + b"\0"
