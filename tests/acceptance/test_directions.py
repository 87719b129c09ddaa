"""Both directions: what hosts inside may send out, where it arrives, and what the world learns of the inside by it."""

import re
import subprocess
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path

import pytest

from audit.samples import EICAR
from lab.plan import LabState
from tests.acceptance.dkim import new_key, signed, verifies
from tests.acceptance.elsewhere import listening
from tests.acceptance.gateway import SETTINGS, GatewayHost, Sink
from tests.acceptance.letters import mark, send
from tests.acceptance.outside import Outside, content, line

CAROL = "carol@sender.example"
ALICE = "alice@bastide.example"
KEY = new_key()
# Sendmail tries the next hops of a domain at one port.
PORTS = [25, 2526] if SETTINGS.mta == "postfix" else [2526]
UNDECLARED = "198.18.0.200"
# What must not be seen outside: the inner networks, and the names of the hosts there.
INSIDE = re.compile(rb"198\.18\.|2001:db8:18:|mail\.bastide\.example|desk\.lan|10\.1\.2\.3", re.IGNORECASE)
TRACE = (
    b"Received: from desk.lan (desk.lan [10.1.2.3])\r\n\tby mail.bastide.example with ESMTPSA id x1;\r\n"
    b"\tMon, 1 Jun 2026 10:00:00 +0000\r\n"
)


def text(unique: str, head: bytes = b"", body: bytes = b"Gr\xfc\xdfe \r\n.dot\r\n") -> bytes:
    return (
        head
        + f"From: Alice <{ALICE}>\r\nTo: {CAROL}\r\nSubject: {unique}\r\nMessage-ID: <{unique}@bastide.example>\r\n".encode()
        + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        + b"Content-Transfer-Encoding: 8bit\r\n\r\n"
        + body
    )


def sent(
    client: Outside, message: bytes, *recipients: str, sender: str = ALICE, helo: str = "mail.bastide.example"
) -> str:
    replies = client.dialogue(
        line(f"EHLO {helo}"),
        line(f"MAIL FROM:<{sender}> BODY=8BITMIME"),
        *[line(f"RCPT TO:<{who}>") for who in recipients or (CAROL,)],
        line("DATA"),
        content(message),
        persist=False,
    )
    return replies[-1]


def test_a_declared_host_inside_sends_out(lan: Outside, world: Sink) -> None:
    """A01: accepted from inside, the message is outside with its envelope, byte for byte below the trace."""
    unique = mark()
    message = text(unique)
    assert sent(lan, message).startswith("250 ")
    (record,) = world.awaited(unique)
    assert (record.sender, record.recipients) == (ALICE, (CAROL,))
    assert record.content.endswith(message)


def test_an_undeclared_host_inside_does_not(lab: LabState, lan: Outside) -> None:
    """A09: the same dialogue from another address of the same network."""
    netns = ["ip", "-n", lab.netns["lan"], "address"]
    subprocess.run([*netns, "add", f"{UNDECLARED}/24", "dev", "lan0"], check=True, timeout=30)
    try:
        other = Outside(netns=lan.netns, address=lan.address, source=UNDECLARED)
        assert re.match(r"55\d 5\.7\.1 ", sent(other, text(mark())))
    finally:
        subprocess.run([*netns, "del", f"{UNDECLARED}/24", "dev", "lan0"], check=True, timeout=30)


def test_a_host_outside_does_not_in_the_name_of_one_inside(wan: Outside) -> None:
    assert re.match(r"55\d 5\.7\.1 ", sent(wan, text(mark())))


@pytest.mark.parametrize(
    "sender", ["ceo@elsewhere.example", "alice@sub.bastide.example", "x@notbastide.example"]
)
def test_hosts_inside_send_as_the_house_alone(sender: str, lan: Outside) -> None:
    assert re.match(r"55\d 5\.7\.1 .*mta\.outbound-senders", sent(lan, text(mark()), sender=sender))


def test_bounces_and_capitals_of_the_house_go_out(lan: Outside, world: Sink) -> None:
    for sender in ("", "Alice@BASTIDE.example"):
        unique = mark()
        assert sent(lan, text(unique), sender=sender).startswith("250 ")
        assert world.awaited(unique)[0].sender == (sender or "<>")


def test_a_virus_does_not_leave_the_house(lan: Outside, world: Sink, gateway: GatewayHost) -> None:
    unique = mark()
    assert sent(lan, text(unique, body=EICAR + b"\r\n")).startswith("550 5.7.1 ")
    probe = mark()
    assert sent(lan, text(probe)).startswith("250 ")
    world.awaited(probe)
    assert not world.received(unique)
    said = gateway.run("journalctl -u filterd -o cat -n 40")
    assert "virus.signature" in said


def test_the_gateways_own_line_names_nobody_inside(lan: Outside, world: Sink) -> None:
    """A20: no name and no address of the sending host is in any byte that leaves."""
    unique = mark()
    assert sent(lan, text(unique), helo="desk.lan").startswith("250 ")
    (record,) = world.awaited(unique)
    assert not INSIDE.search(record.content), record.content
    assert re.match(
        rb"Received: by mx1\.bastide\.example (\(ESMTP\) )?with ESMTP id \w+\s+for <", record.content
    )


def test_mail_for_the_house_keeps_its_trace(lan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    message = text(unique, head=TRACE)
    assert sent(lan, message, "bob@bastide.example").startswith("250 ")
    (record,) = gateway.awaited(unique)
    assert record.content.endswith(message)
    assert b"[198.18.0.10]" in record.content


def test_the_next_hop_that_is_named_first_gets_the_mail(
    lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    """A02: hops in the declared order; without the first one the second gets it at once, and no mail twice."""
    with listening(lab, "lan", tmp_path / "first") as first:
        unique = mark()
        assert wan.sent(text(unique), "bob@spare.bastide.example").startswith("250 ")
        first.awaited(unique)
        assert not gateway.received(unique)
    unique = mark()
    assert wan.sent(text(unique), "bob@spare.bastide.example").startswith("250 ")
    gateway.awaited(unique)
    assert not first.received(unique)


@pytest.mark.parametrize("port", PORTS)
def test_while_all_next_hops_are_down_mail_waits_and_comes_once(
    port: int, lab: LabState, wan: Outside, gateway: GatewayHost, tmp_path: Path
) -> None:
    """A02, P14: the egress rules follow the ports of all hops."""
    unique = mark()
    assert wan.sent(text(unique), "bob@late.bastide.example").startswith("250 ")
    reasons = f"({gateway.mta.reasons})"
    waiting = gateway.run(
        f"for i in $(seq 100); do {reasons} | grep -q 'Connection refused' && break; sleep 0.2; done; {reasons}"
    )
    assert "bob@late.bastide.example" in waiting
    assert "Connection refused" in waiting
    with listening(lab, "lan", tmp_path / "late", port=port) as late:
        gateway.sent_on()
        assert len(late.awaited(unique)) == 1
    assert not gateway.received(unique)


@pytest.mark.parametrize("head", [b"", b"Precedence: bulk\r\n"], ids=["letter", "bulk"])
def test_a_stranger_gets_no_bounce_but_the_administrator_does(
    head: bytes, wan: Outside, world: Sink, gateway: GatewayHost
) -> None:
    """P14: the next hop refuses a mailbox that the gateway's list knows."""
    unique = mark()
    assert wan.sent(text(unique, head=head), "unknown@spare.bastide.example").startswith("250 ")
    (notice,) = gateway.awaited(unique)
    assert notice.recipients == ("postmaster@bastide.example",)
    assert notice.sender in ("", "<>")
    assert b"No such user here" in notice.content
    gateway.sent_on()
    assert not world.received(unique)


def test_the_house_is_told_what_could_not_be_delivered(
    lan: Outside, world: Sink, gateway: GatewayHost
) -> None:
    """Under Sendmail who administers the gateway gets a copy."""
    unique = mark()
    assert sent(lan, text(unique), "unknown@sender.example").startswith("250 ")
    gateway.awaited(unique)
    gateway.sent_on()
    notices = gateway.received(unique)
    assert {notice.recipients for notice in notices} - {("postmaster@bastide.example",)} == {(ALICE,)}
    for notice in notices:
        assert notice.sender in ("", "<>")
        # RFC 5322 3.6.2: who wrote it is a whole address.
        assert re.fullmatch(r"\S+@\S+", parseaddr(str(message_from_bytes(notice.content)["From"]))[1])
    assert not any(re.search(rb"(?i)postfix|sendmail|debian", notice.content) for notice in notices)
    assert not world.received(unique)


def test_a_stranger_gets_no_receipt(wan: Outside, world: Sink, gateway: GatewayHost) -> None:
    """RFC 3461: it would go to whoever the sender is said to be."""
    unique = mark()
    reply = send(wan, text(unique), parameters="BODY=8BITMIME", for_each="NOTIFY=SUCCESS")
    if reply.startswith("250 "):
        gateway.awaited(unique)
        gateway.sent_on()
    else:
        assert reply.startswith("5")
    assert not world.received(unique)


def test_what_names_the_inside_is_taken_out(lan: Outside, world: Sink) -> None:
    """A20: Received lines of the inside and fields that describe it; all else is byte for byte as it was."""
    unique = mark()
    fields = (b"X-Originating-IP: [10.1.2.3]\r\n", b"x-php-originating-script: 33:desk.lan.php\r\n")
    rest = text(unique)
    message = TRACE + fields[0] + TRACE + fields[1] + fields[0] + rest
    assert sent(lan, message, helo="desk.lan").startswith("250 ")
    (record,) = world.awaited(unique)
    assert not INSIDE.search(record.content), record.content
    own, _, below = record.content.partition(b"From: Alice")
    assert b"From: Alice" + below == rest
    assert len(re.findall(rb"(?m)^\S+:", own)) == 1


def test_what_the_world_wrote_stays(lan: Outside, world: Sink) -> None:
    """Mail from outside that is forwarded out keeps the lines from before this gateway, and this gateway's."""
    unique = mark()
    outer = (
        b"Received: from a.example (a.example [203.0.113.5])\r\n\tby mx1.bastide.example (ESMTP) with ESMTP id 4x;\r\n"
        b"\tMon, 1 Jun 2026 09:00:00 +0000\r\nReceived: from b.example by a.example; Mon, 1 Jun 2026 08:00:00 +0000\r\n"
    )
    assert sent(lan, TRACE + outer + text(unique)).startswith("250 ")
    (record,) = world.awaited(unique)
    assert record.content.endswith(outer + text(unique))
    assert not INSIDE.search(record.content)


def test_what_a_signature_covers_stays_and_the_signature_holds(lan: Outside, world: Sink) -> None:
    """P17: a signed message verifies outside, also where it signs what else would be taken out."""
    unique = mark()
    head = b"X-Originating-IP: [10.9.9.9]\r\nX-PHP-Originating-Script: 1:x.php\r\n"
    message = signed(text(unique, head=head), KEY, "relaxed", ("from", "subject", "x-originating-ip"))
    assert sent(lan, TRACE + message).startswith("250 ")
    (record,) = world.awaited(unique)
    assert b"X-Originating-IP: [10.9.9.9]" in record.content
    assert b"X-PHP" not in record.content
    assert b"desk.lan" not in record.content
    assert verifies(record.content, KEY)
