"""A host or sender inside who sends too much: what is beyond goes into quarantine, and somebody is told."""

import json
import time

from tests.acceptance.gateway import GatewayHost, Sink
from tests.acceptance.letters import mark
from tests.acceptance.outside import Outside, content, line
from tests.acceptance.policy import policy

CAROL = "carol@sender.example"
_ALLOWED = 5
_SENT = 12


def burst(client: Outside, sender: str, unique: str, count: int) -> list[str]:
    """Send so many messages in one session and return the reply to each."""
    steps = [line("EHLO mail.bastide.example")]
    for number in range(count):
        text = f"From: <{sender}>\r\nSubject: {unique} {number}\r\nMessage-ID: <{unique}.{number}@bastide.example>\r\n\r\nhi\r\n"
        steps += [
            line(f"MAIL FROM:<{sender}>"),
            line(f"RCPT TO:<{CAROL}>"),
            line("DATA"),
            content(text.encode()),
        ]
    return client.dialogue(*steps)[5::4]


def kept(gateway: GatewayHost, sender: str) -> list[str]:
    """Return the ids of what is kept of a sender's burst."""
    said = gateway.run(f"filterd quarantine list --json --verdict burst --sender {sender}")
    return [one["id"] for one in json.loads(said)["entries"]]


def test_beyond_the_limit_mail_is_kept_and_the_administrator_is_told_once(
    lan: Outside, world: Sink, gateway: GatewayHost
) -> None:
    """A01: twelve of a sender who may send five: five arrive, seven are kept; another sender is not held up."""
    unique, other = mark(), mark()
    sender = f"{unique[5:15]}@bastide.example"
    with policy(gateway, {}, tables={"outbound": {"sender_messages": _ALLOWED}}):
        gateway.run("systemctl reload filterd")
        replies = burst(lan, sender, unique, _ALLOWED)
        assert all(reply.startswith("250 ") for reply in replies), replies
        # Other workers, by another configuration read anew: what was counted holds.
        gateway.run("systemctl reload filterd; sleep 1")
        replies = burst(lan, sender, unique, _SENT - _ALLOWED)
        assert all(reply.startswith("250 ") for reply in replies), replies
        assert burst(lan, f"{other[5:15]}@bastide.example", other, 1)[0].startswith("250 ")
        world.awaited(other)
        world.awaited(unique, _ALLOWED)
        assert len(kept(gateway, sender)) == _SENT - _ALLOWED
        (notice,) = gateway.awaited(f"sender {sender}")
        assert notice.recipients == ("postmaster@bastide.example",)
        assert b"somebody inside sends too much" in notice.content
        health = gateway.run("filterd health 2>&1 || filterd status", check=False)
        assert "outbound" in health
        # What was honest is let out by hand, without being counted again.
        first = kept(gateway, sender)[0]
        gateway.run(f"filterd quarantine release {first}")
        world.awaited(unique, _ALLOWED + 1)
    time.sleep(1)
    assert len(world.received(unique)) == _ALLOWED + 1
    assert len(gateway.received(f"sender {sender}")) == 1


def test_mail_from_outside_is_not_held_back(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    with policy(gateway, {}, tables={"outbound": {"sender_messages": 1, "client_messages": 1}}):
        for number in range(4):
            message = f"From: <alice@sender.example>\r\nSubject: {unique} {number}\r\n\r\nhi\r\n"
            assert wan.sent(message.encode()).startswith("250 ")
        assert len(gateway.awaited(unique, 4)) == 4
