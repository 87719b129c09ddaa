"""Declared rules and choices through a live MTA: each verb, the log that names the rule, the dry run."""

import json
from dataclasses import replace

import pytest

from lab.plan import LabState
from roles.registry import DEFENCES
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.lacking import needs
from tests.acceptance.letters import BOB, PLAIN, delivered, letter, mark, send
from tests.acceptance.outside import HELO, Outside, line, queue_id

ALICE = "alice@sender.example"


def refused_by(gateway: GatewayHost, rule: str, words: str = "", *, since: str = "-2min") -> list[str]:
    """Return what the gateway's own tool finds of a rule in the log (``since``: journalctl(1)); lines with ``words``."""
    found = gateway.run(f"refused-by {rule} --since={since}", check=False)
    return [each for each in found.splitlines() if words in each]


def rcpt(side: Outside, sender: str, recipient: str, *, by: int = 10, helo: str = HELO) -> str:
    place = replace(side, source=f"198.51.100.{by}")
    steps = (line(f"EHLO {helo}"), line(f"MAIL FROM:<{sender}>"), line(f"RCPT TO:<{recipient}>"))
    return place.dialogue(*steps)[-1]


# A sender is told the rule, and the log finds it: of what is declared, and of what is built in.
NAMED = {
    "mta.client.hosting": (ALICE, BOB, 73, HELO),
    "mta.client.dial-up": (ALICE, BOB, 71, HELO),
    "mta.helo.local": (ALICE, BOB, 10, "localhost"),
    "mta.sender.lottery": ("lottery@sender.example", BOB, 10, HELO),
    "mta.recipient.staff": (ALICE, "all-staff@bastide.example", 10, HELO),
    "mta.fqdn-sender": ("alice@host", BOB, 10, HELO),
    "mta.fqdn-recipient": (ALICE, "bob@host", 10, HELO),
    "mta.sender-domain": ("alice@no-such-domain.invalid", BOB, 10, HELO),
    "mta.helo-form": (ALICE, BOB, 10, "mail..sender.example"),
    "mta.helo-fqdn": (ALICE, BOB, 10, "user-pc"),
    "mta.no-open-relay": (ALICE, "victim@elsewhere.example", 10, HELO),
    "mta.recipient-verified": (ALICE, "unknown@bastide.example", 10, HELO),
    "mta.recipient-listed": (ALICE, "dave@listed.bastide.example", 10, HELO),
}
RECORDS = {defence.id for defence in DEFENCES}
CASES = [pytest.param(name, marks=needs(name) if name in RECORDS else ()) for name in NAMED]


@pytest.mark.parametrize("rule", CASES)
def test_a_refusal_names_its_rule_and_the_log_search_finds_it(
    rule: str, wan: Outside, gateway: GatewayHost
) -> None:
    # A16
    sender, recipient, by, helo = NAMED[rule]
    # What others have caused before goes out of sight while more comes: only what is new is looked at.
    since = gateway.run("sleep 1; date +@%s").strip()
    said = rcpt(wan, sender, recipient, by=by, helo=helo)
    assert said.startswith(("4", "5"))
    assert said.endswith(f"(rule {rule})"), said
    found = refused_by(gateway, rule, since=since)
    assert found
    assert f"198.51.100.{by}]" in found[-1]


def test_b11_a_tag_is_taken_where_its_mailbox_is_known_and_behind_the_declared_delimiter(
    wan: Outside,
) -> None:
    for name in ("bob", "carol+shop", "Bob+a+b"):
        assert rcpt(wan, ALICE, f"{name}@listed.bastide.example").startswith("250 "), name
    for name in ("dave", "dave+shop", "bob-shop", "bob=shop", "+shop", "bo+b"):
        said = rcpt(wan, ALICE, f"{name}@listed.bastide.example")
        assert said.endswith("(rule mta.recipient-listed)"), (name, said)


@pytest.mark.parametrize("helo", ["localhost.", "LOCALHOST."])
def test_b12_a_dot_at_its_end_hides_no_helo_name(helo: str, wan: Outside) -> None:
    assert rcpt(wan, ALICE, BOB, helo=helo).endswith("(rule mta.helo.local)")


def test_the_log_search_finds_no_other_rule(gateway: GatewayHost) -> None:
    assert refused_by(gateway, "mta.client.hostin") == []
    assert gateway.run("refused-by nonsense 2>&1; echo $?", check=False).strip().endswith("2")


def test_a_rule_that_warns_is_counted_and_refuses_nobody(wan: Outside, gateway: GatewayHost) -> None:
    # A12
    unique = mark()
    assert send(wan, letter(unique, PLAIN), sender="win-2026@sender.example").startswith("250 ")
    delivered(gateway, unique)
    (*_, last) = refused_by(gateway, "mta.sender.numbered")
    assert gateway.mta.said["warn"] in last
    assert "would reject: Numbered senders are not accepted (rule mta.sender.numbered)" in last


def test_what_a_rule_discards_is_taken_and_goes_nowhere(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    assert send(wan, letter(unique, PLAIN), sender="trap@sender.example").startswith("250 ")
    assert refused_by(gateway, "mta.sender.trap", gateway.mta.said["discard"])
    follow = mark()
    assert send(wan, letter(follow, PLAIN)).startswith("250 ")
    delivered(gateway, follow)
    assert gateway.received(unique) == []
    assert gateway.run(gateway.mta.queue).split() == []


def test_what_a_rule_holds_waits_for_a_person(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    said = send(wan, letter(unique, PLAIN), sender="review@sender.example")
    assert said.startswith("250 ")
    assert refused_by(gateway, "mta.sender.review", gateway.mta.said["hold"])
    (waiting,) = gateway.run(gateway.mta.kept).split()
    assert waiting == queue_id(said)
    assert gateway.received(unique) == []
    gateway.run(gateway.mta.release.format(id=waiting))
    delivered(gateway, unique)


def counted(gateway: GatewayHost, table: str, rule: str) -> int:
    """Return how often this day's report counts a rule so far (``table``: warned, held or discarded)."""
    found = json.loads(gateway.run("filterd report --day $(date +%F) --anew --json"))
    return sum(int(row["messages"]) for row in found["door"][table] if row["key"] == rule)


@pytest.mark.parametrize(
    ("table", "name", "rule"),
    [
        ("warned", "win-2026", "mta.sender.numbered"),
        ("held", "review", "mta.sender.review"),
        ("discarded", "trap", "mta.sender.trap"),
    ],
)
def test_the_days_report_counts_what_a_rule_does(
    table: str, name: str, rule: str, wan: Outside, gateway: GatewayHost
) -> None:
    # A15, A26
    before = counted(gateway, table, rule)
    said = send(wan, letter(mark(), PLAIN), sender=f"{name}@sender.example")
    assert said.startswith("250 ")
    if table == "held":
        gateway.run(gateway.mta.release.format(id=queue_id(said)))
    assert counted(gateway, table, rule) == before + 1


# Header checks: how a message is marked for each rule of inventory/lab_rules.py, and what becomes of it.
def marked(header: str, unique: str) -> bytes:
    return f"{header}\r\n".encode() + letter(unique, PLAIN)


@needs("mta.content-rules")
def test_a_header_that_is_refused(wan: Outside, gateway: GatewayHost) -> None:
    # A15
    unique = mark()
    said = send(wan, marked("X-Newsletter: no-consent", unique))
    assert said.startswith("550 5.7.1 Newsletters need consent (rule mta.header.newsletter)")
    assert refused_by(gateway, "mta.header.newsletter", "reject:")
    assert gateway.received(unique) == []
    other = mark()
    assert send(wan, marked("X-Newsletter: consent", other)).startswith("250 ")
    delivered(gateway, other)


@needs("mta.content-rules")
def test_a_header_that_is_taken_out(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    assert send(wan, marked("X-Internal-Host: secret.internal", unique)).startswith("250 ")
    (record,) = delivered(gateway, unique)
    assert b"secret.internal" not in record.content
    assert b"x-odd:\tcase \r\n" in record.content


@needs("mta.content-rules")
@pytest.mark.parametrize(
    ("words", "rule", "logged"),
    [
        ("a watched offer", "mta.header.offer", "Counted (rule"),
        ("an unlikely invoice", "mta.header.invoice", "would reject: Access denied (rule"),
    ],
)
def test_a_header_that_is_counted(
    words: str, rule: str, logged: str, wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    message = letter(unique, PLAIN).replace(
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", f"Subject: {words}".encode()
    )
    assert send(wan, message).startswith("250 ")
    (record,) = delivered(gateway, unique)
    assert words.encode() in record.content
    assert any("warning: header Subject" in each and logged in each for each in refused_by(gateway, rule))
    # A15: a dry run is counted.
    assert counted(gateway, "warned", rule) > 0


@needs("mta.content-rules")
def test_a_header_that_is_held(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    message = letter(unique, PLAIN).replace(b"Subject: ", b"Subject: contract to be held ")
    said = send(wan, message)
    assert said.startswith("250 ")
    assert refused_by(gateway, "mta.header.contract", gateway.mta.said["hold"])
    (waiting,) = gateway.run(gateway.mta.kept).split()
    assert waiting == queue_id(said)
    gateway.run(gateway.mta.release.format(id=waiting))
    delivered(gateway, unique)


@needs("mta.content-rules")
def test_a_part_whose_header_is_refused(wan: Outside, gateway: GatewayHost) -> None:
    part = b"Content-Type: text/plain; name=holiday.screensaver\r\n\r\nhello"
    said = send(wan, letter(mark(), PLAIN, part))
    assert said.startswith("550 5.7.1 Access denied (rule mta.mime.screensaver)")
    # The rules for the message's own headers are not asked about those of its parts.
    unique = mark()
    part = b"Content-Type: text/plain\r\nX-Newsletter: no-consent\r\n\r\nhello"
    assert send(wan, letter(unique, PLAIN, part)).startswith("250 ")
    delivered(gateway, unique)


@needs("mta.content-rules")
def test_a_line_whose_message_is_dropped(wan: Outside, gateway: GatewayHost) -> None:
    unique, follow = mark(), mark()
    part = b"Content-Type: text/plain\r\n\r\nfirst\r\nthis line gives the flood away\r\nlast"
    assert send(wan, letter(unique, part)).startswith("250 ")
    assert refused_by(gateway, "mta.body.phrase", "discard:")
    other = b"Content-Type: text/plain\r\n\r\nfirst\r\nno, this line gives the flood away\r\nlast"
    assert send(wan, letter(follow, other)).startswith("250 ")
    delivered(gateway, follow)
    assert gateway.received(unique) == []


@needs("mta.content-rules")
def test_what_filterd_hands_in_is_not_asked_again(lab: LabState, gateway: GatewayHost) -> None:
    said = gateway.run("postconf -P filterd-inject/unix/receive_override_options")
    assert "no_header_body_checks" in said
    assert lab.name
