"""Neither replies nor headers nor bounces nor nmap tell which MTA stands there (A20, H11). Replies: test_dialogs.py."""

import pytest

from audit.samples import build
from lab.plan import LabState
from tests.acceptance.anonymity import detected, told
from tests.acceptance.gateway import GatewayHost, Sink
from tests.acceptance.lacking import missing
from tests.acceptance.letters import mark
from tests.acceptance.outside import Outside, seen_from
from tests.acceptance.test_mail import letter

# Whether nmap's bytes or the greeting come first is chance, and each order gets other replies.
SCANS = 2


@pytest.mark.parametrize(
    "text",
    [
        "220 mx.example.org ESMTP Postfix",
        "250 2.0.0 8.17.1.9 ok",
        "by mx.example.org (8.17.1.9/8.17.1.9/Debian-2) with ESMTP",
        "This is the mail system at host mx.example.org, bastide",
        "X-Postfix-Queue-ID: 4abc",
        "OpenSSL 3.0.17",
    ],
)
def test_what_tells_is_found(text: str) -> None:
    assert told(text)


@pytest.mark.parametrize(
    "text",
    [
        "220 mx1.bastide.example ESMTP",
        "554 5.7.1 no",
        "[198.51.100.10]",
        "MIME-Version: 1.0",
        "550 5.1.10 <x@postfix.example>",
    ],
)
def test_what_tells_nothing_is_not(text: str) -> None:
    assert not told(text)


@pytest.mark.parametrize("side", ["wan", "lan"])
def test_nmap_detects_no_product(side: str, lab: LabState) -> None:
    for _ in range(SCANS):
        line = detected(seen_from(lab, side))
        # PORT STATE SERVICE, and nothing under VERSION.
        assert line.split() == ["25/tcp", "open", "smtp"], line


def test_trace_headers_tell_nothing(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    sent = build("clean", letter(unique))
    assert wan.sent(sent).startswith("250 ")
    (record,) = gateway.awaited(unique)
    added = record.content.removesuffix(sent).decode()
    assert added.startswith("Received: ")
    assert not told(added)


def test_a_bounce_tells_nothing(world: Sink, gateway: GatewayHost) -> None:
    unique = mark()
    # The next hop knows no such mailbox; on the gateway itself nobody asks it before.
    gateway.run(
        f"printf 'Subject: {unique}\\n\\ntext\\n' | /usr/sbin/sendmail -i -f alice@sender.example unknown@bastide.example"
    )
    # A stranger is told only where the MTA lacks another address for it.
    (bounce,) = (world if missing("mta.backscatter") else gateway).awaited(unique)
    assert bounce.sender in ("", "<>")
    text = bounce.content.decode()
    assert "5.1.1" in text
    assert not told(text)
