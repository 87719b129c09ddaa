"""Awkward mail that nothing is wrong with: below the trace it arrives byte for byte, and its signature verifies (P17)."""

import re

import pytest

from tests.acceptance.dkim import new_key, signed, verifies
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.lacking import missing
from tests.acceptance.letters import BOB, mark, own, send
from tests.acceptance.outside import Outside

KEY = new_key()
MIXED = b'Content-Type: multipart/mixed; boundary="=_b"\r\n'
TEXT = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n"
# Further headers, and the body.
AWKWARD = {
    "eight-bit": (TEXT, b"Gr\xfc\xdfe\r\n" + bytes(range(0xA0, 0x100)) + b"\r\n"),
    "line-of-998": (TEXT, b"x" * 998 + b"\r\n"),
    "line-of-3000": (TEXT, b"word " * 600 + b"\r\nend\r\n"),
    "dots": (TEXT, b".\r\n..\r\n.dot\r\n...\r\n. \r\nend\r\n.\r\n"),
    "blanks-at-line-ends": (TEXT, b"one  \r\n\t\r\n two\t \r\n\r\n\r\n"),
    "no-body": (TEXT, b""),
    "no-line-end-behind-the-last-boundary": (MIXED, b"--=_b\r\n\r\npart\r\n--=_b--\r\n \t\r\n"),
    "from-at-line-start": (TEXT, b"From here on\r\n>From there\r\nFrom \r\n"),
    "many-headers": (TEXT + b"".join(b"X-Field-%d: value %d\r\n" % (n, n) for n in range(200)), b"text\r\n"),
    # Sendmail writes these anew (mta.headers-unchanged).
    "address-lists": (
        b'Cc: a@one.example,b@two.example ,  "c, d" <c@three.example>,\r\n\td@four.example (e, f),\r\n'
        b" Group: g@five.example,h@six.example;\r\nReply-To: <i@seven.example>,<j@eight.example>\r\n" + TEXT,
        b"text\r\n",
    ),
    "folds": (
        TEXT + b"X-Fold: one\r\n two\r\n\tthree  \r\n    four\r\nx-lower:no blank\r\nX-Tab:\tvalue\t\r\n"
        b"X-Empty:\r\nX-Twice: b\r\nX-Twice: a\r\n",
        b"text\r\n",
    ),
}


@pytest.mark.parametrize("form", ["relaxed", "simple"])
@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_mail_arrives_as_it_was_signed(
    case: str, form: str, wan: Outside, gateway: GatewayHost
) -> None:
    if case == "address-lists" and (why := missing("mta.headers-unchanged")):
        pytest.skip(why)
    unique = mark()
    headers, body = AWKWARD[case]
    message = signed(
        f"From: Alice <alice@sender.example>\r\nTo: {BOB}\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        f"Message-ID: <{unique}@sender.example>\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n".encode()
        + b"MIME-Version: 1.0\r\n"
        + headers
        + b"\r\n"
        + body,
        KEY,
        form,
    )
    assert send(wan, message).startswith("250 ")
    (record,) = gateway.awaited(unique)
    assert record.content.endswith(message)
    trace = record.content.removesuffix(message)
    assert re.fullmatch(rb"(?:Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+", trace), trace
    assert verifies(record.content, KEY)
    # It would not, were one octet of it another.
    assert not verifies(record.content.replace(b"alice@", b"alicf@"), KEY)


@pytest.mark.parametrize("lacks", ["from", "message-id", "all", "resent"])
def test_mail_that_lacks_fields_gets_none(lacks: str, wan: Outside, gateway: GatewayHost) -> None:
    # P17: RFC 6409 8 lets who submits mail complete it; a gateway does not.
    unique = mark()
    fields = {
        "from": f"Subject: x\r\nMessage-ID: <{unique}@sender.example>\r\n",
        "message-id": f"From: a@sender.example\r\nX-Mark: {unique}\r\n",
        "all": f"X-Mark: {unique}\r\n",
        "resent": f"From: a@sender.example\r\nX-Mark: {unique}\r\nResent-To: {BOB}\r\n",
    }
    message = f"{fields[lacks]}\r\ntext\r\n".encode()
    assert send(wan, message).startswith("250 ")
    (record,) = gateway.awaited(unique)
    assert own(record) == message
