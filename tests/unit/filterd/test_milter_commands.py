import pytest

from filterd.errors import ProtocolError
from filterd.milter import commands as c

GOOD = [
    (c.Connect, b"h\x004\x12\x67192.0.2.1\0", c.Connect(b"h", b"4", 4711, b"192.0.2.1")),
    (c.Connect, b"h\x006\0\x19IPv6:2001:db8::1\0", c.Connect(b"h", b"6", 25, b"2001:db8::1")),
    (c.Connect, b"h\x006\0\x192001:db8::1\0", c.Connect(b"h", b"6", 25, b"2001:db8::1")),
    (c.Connect, b"h\0L\0\0/run/x\0", c.Connect(b"h", b"L", 0, b"/run/x")),
    (c.Connect, b"h\0U", c.Connect(b"h", b"U")),
    (c.Helo, b"client\0", c.Helo(b"client")),
    (c.Mail, b"<>\0", c.Mail(b"<>")),
    (c.Mail, b"<a@x>\0SIZE=1\0BODY=8BITMIME\0", c.Mail(b"<a@x>", (b"SIZE=1", b"BODY=8BITMIME"))),
    (c.Header, b"Subject\0\0", c.Header(b"Subject", b"")),
    (c.Header, b"Subject\0 a\n b\0", c.Header(b"Subject", b" a\n b")),
    (c.Body, b"\0\r\n", c.Body(b"\0\r\n")),
    (c.EndOfMessage, b"", c.EndOfMessage(b"")),
    (c.EndOfMessage, b"tail", c.EndOfMessage(b"tail")),
    (c.Macros, b"C", c.Macros(ord("C"), {})),
    (c.Macros, b"M{auth_authen}\0u\0i\x001\0", c.Macros(ord("M"), {b"auth_authen": b"u", b"i": b"1"})),
    (c.Offer, b"\0\0\0\x06\0\0\0\x01\0\0\0\x02", c.Offer(6, 1, 2)),
]


@pytest.mark.parametrize(("kind", "payload", "wanted"), GOOD)
def test_a_payload_and_what_it_means(kind: type[c.Command], payload: bytes, wanted: c.Command) -> None:
    assert kind.parse(payload) == wanted


BAD = [
    (c.Connect, b""), (c.Connect, b"h"), (c.Connect, b"h\0"), (c.Connect, b"h\0X\0\0a\0"), (c.Connect, b"h\x004"),
    (c.Connect, b"h\x004\0"), (c.Connect, b"h\x004\0\x19"), (c.Connect, b"h\x004\0\x19a"), (c.Connect, b"h\x004\0\x19a\0b\0"),
    (c.Connect, b"h\0U\0\0"), (c.Helo, b""), (c.Helo, b"x"), (c.Helo, b"x\0y\0"), (c.Mail, b""), (c.Mail, b"<a>"),
    (c.Rcpt, b"<a>\0x"), (c.Header, b""), (c.Header, b"A\0"), (c.Header, b"\0v\0"), (c.Header, b"A\0v\0w\0"),
    (c.Header, b"A\0v"), (c.Macros, b""), (c.Macros, b"Ci\0"), (c.Macros, b"Ci\x001"), (c.Macros, b"C" + b"i\x001\0" * 129),
    (c.Offer, b"\0" * 11), (c.Data, b"x"), (c.Quit, b"x"), (c.Abort, b"\0"), (c.EndOfHeaders, b"x"), (c.Unknown, b""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "payload"), BAD)
def test_a_malformed_payload_is_refused(kind: type[c.Command], payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        kind.parse(payload)
