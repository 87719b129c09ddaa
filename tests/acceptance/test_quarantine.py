"""Kept mail at the command line, through a real MTA: release, learn, delete, hold, lists, searches, counts."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from audit.samples import EICAR
from roles.platforms import row
from tests.acceptance import dkim
from tests.acceptance.desk import FILTERD, LEDGER, STORE, by_hand, content, entries, good, said
from tests.acceptance.gateway import SETTINGS, GatewayHost
from tests.acceptance.letters import (
    BOB,
    CAROL,
    DAVE,
    PLAIN,
    attachment,
    banned,
    delivered,
    letter,
    mark,
    nothing_arrived,
    own,
    send,
)
from tests.acceptance.outside import Outside
from tests.acceptance.policy import policy
from tests.acceptance.scored import SCORED
from tests.acceptance.test_failure import READY, STOPPED

pytestmark = pytest.mark.usefixtures("accepted")

SPAMD = row(SETTINGS).user("debian-spamd")
ALICE = "alice@sender.example"
_WORDS = SCORED["gtube"].partition(b"\r\n\r\n")[2]
SPAM = b"Content-Type: text/plain\r\n\r\n" + _WORDS
# filterd asks the ledger for its lists every two seconds.
LISTS_SECONDS = 5.0


def kept(wan: Outside, gateway: GatewayHost, unique: str, message: bytes, *recipients: str) -> dict[str, Any]:
    """Send a message that is to be kept, and return its one entry."""
    assert send(wan, message, *recipients).startswith("250 2.0.0 ")
    (entry,) = entries(gateway, "quarantine", unique)
    return entry


def states(gateway: GatewayHost, entry: str) -> dict[str, str]:
    shown = good(gateway, "quarantine", "show", entry)
    return {one["address"]: one["state"] for one in shown["entry"]["recipients"]}


def deeds(gateway: GatewayHost, entry: str) -> list[tuple[str, str]]:
    shown = good(gateway, "quarantine", "show", entry)
    return [(one["actor"], one["action"]) for one in shown["events"]]


def test_release_reaches_the_one_it_is_for_with_its_signature(wan: Outside, gateway: GatewayHost) -> None:
    # P10, P11, P17
    key, unique = dkim.new_key(), mark()
    sent = dkim.signed(letter(unique, PLAIN, attachment(b"MZ")), key, "simple")
    with banned(gateway, "move"):
        entry = kept(wan, gateway, unique, sent, BOB, CAROL)["id"]
        made = good(gateway, "quarantine", "release", entry, "--recipient", CAROL)
        (record,) = delivered(gateway, unique)
        assert nothing_arrived(wan, gateway, mark())
        again = said(gateway, "quarantine", "release", entry, "--recipient", CAROL)
        stranger = said(gateway, "quarantine", "release", entry, "--recipient", DAVE)
        after = states(gateway, entry)
    assert (made["status"], made["recipients"], len(made["queue_ids"])) == ("released", [CAROL], 1)
    assert (record.sender, record.recipients) == (ALICE, (CAROL,))
    assert own(record) == sent
    assert dkim.verifies(own(record), key)
    assert (again.code, "has been released to carol@bastide.example already" in again.errors) == (1, True)
    assert (stranger.code, "is not kept for dave@bastide.example" in stranger.errors) == (1, True)
    assert after == {BOB: "kept", CAROL: "released"}
    assert len(gateway.received(unique)) == 1
    assert gateway.queue() == []


@pytest.mark.parametrize(
    ("chain", "of_carol", "released"),
    [
        # Each entry is for both: one of the commands is told that the other one does it.
        (("copy", "move"), None, [0, 1]),
        # An entry for each: both go out.
        (("move",), ("discard",), [0, 0]),
    ],
)
def test_two_entries_of_one_message_that_are_released_at_once_bring_it_once(
    chain: tuple[str, ...],
    of_carol: tuple[str, ...] | None,
    released: list[int],
    wan: Outside,
    gateway: GatewayHost,
) -> None:
    # P10
    groups = [{"name": "lab", "recipients": [CAROL], "chains": {"banned": of_carol}}] if of_carol else []
    unique = mark()
    with policy(gateway, {"banned": chain}, *groups):
        kept(wan, gateway, unique, letter(unique, PLAIN, attachment(b"MZ")), BOB, CAROL)
        both = [
            one["id"]
            for kind in ("quarantine", "copy", "discarded")
            for one in entries(gateway, kind, unique)
        ]
        assert len(both) == 2
        codes = gateway.run(
            f"cd /; for one in {' '.join(both)}; do (timeout 60 {FILTERD} quarantine release $one >/dev/null 2>&1; "
            "echo $?) & done; wait"
        )
        delivered(gateway, unique)
        gateway.sent_on()
        assert nothing_arrived(wan, gateway, mark())
    arrived = [who for record in gateway.received(unique) for who in record.recipients]
    assert sorted(arrived) == [BOB, CAROL]
    assert sorted(int(code) for code in codes.split()) == released


def test_what_came_with_a_message_goes_out_with_it(wan: Outside, gateway: GatewayHost) -> None:
    """RFC 3461 and RFC 6531: who asked for a report gets it, and addresses beyond ASCII their mail."""
    unique, sender, recipient, parameters, for_each = mark(), "alice@sender.example", BOB, "BODY=8BITMIME", ""
    if gateway.mta.international:
        sender, recipient = "jürgen@sender.example", "müller@bastide.example"
        parameters += " SMTPUTF8"
    if gateway.mta.asked:
        parameters += " RET=HDRS ENVID=QQ314159"
        for_each = "NOTIFY=DELAY,FAILURE ORCPT=rfc822;a@old.example"
    with banned(gateway, "move"):
        reply = send(
            wan, letter(unique, PLAIN, attachment(b"MZ")), recipient,
            sender=sender, parameters=parameters, for_each=for_each,
        )  # fmt: skip
        assert reply.startswith("250 "), reply
        (entry,) = entries(gateway, "quarantine", unique)
        with gateway.altered(*gateway.mta.held):
            (queued,) = good(gateway, "quarantine", "release", entry["id"])["queue_ids"]
            seen = gateway.run(gateway.mta.queued.format(id=queued))
        gateway.run(gateway.mta.flush)
        (record,) = delivered(gateway, unique)
    assert (record.sender, record.recipients) == (sender, (recipient,))
    for fact in gateway.mta.asked:
        assert re.search(fact, seen, re.MULTILINE), (fact, seen)


def test_infected_mail_takes_two_administrators_and_the_waiver(wan: Outside, gateway: GatewayHost) -> None:
    # P12
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com"))
    with policy(gateway, {"infected": ("move",)}):
        entry = kept(wan, gateway, unique, sent, BOB)["id"]
        release = ("quarantine", "release", entry)
        refused = said(gateway, *release, "--as", "anna")
        first = said(gateway, *release, "--waive-virus", "--as", "anna")
        same = said(gateway, *release, "--waive-virus", "--as", "anna")
        other = said(gateway, *release, "--as", "berta")
        assert nothing_arrived(wan, gateway, unique)
        second = said(gateway, *release, "--waive-virus", "--as", "berta")
        (record,) = delivered(gateway, unique)
        did = deeds(gateway, entry)
    assert (refused.code, refused.json["status"]) == (1, "refused")
    assert refused.json["why"][0].startswith("virus.signature: ")
    assert [(one.code, one.json["status"]) for one in (first, same)] == [(1, "approved")] * 2
    assert (other.code, other.json["status"]) == (1, "refused")
    assert (second.code, second.json["status"]) == (0, "released")
    assert own(record) == sent
    assert [one for one in did if one[1] in {"approve-infected", "release"}] == [
        ("anna", "approve-infected"),
        ("berta", "release"),
    ]


def test_an_engine_that_is_down_keeps_everything_in(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    stop, start = STOPPED["clamd"]
    with banned(gateway, "move"):
        entry = kept(wan, gateway, unique, letter(unique, PLAIN, attachment(b"MZ")), BOB)["id"]
        with gateway.altered(stop, f"{start}; {READY['clamd']}"):
            done = said(gateway, "quarantine", "release", entry)
        assert states(gateway, entry) == {BOB: "kept"}
        assert nothing_arrived(wan, gateway, unique)
    assert (done.code, done.json["status"]) == (3, "not-inspected")


def test_the_mta_is_down_and_the_release_can_be_asked_for_again(wan: Outside, gateway: GatewayHost) -> None:
    unique = mark()
    with banned(gateway, "move"):
        entry = kept(wan, gateway, unique, letter(unique, PLAIN, attachment(b"MZ")), BOB)["id"]
        with gateway.altered(*gateway.mta.away):
            done = said(gateway, "quarantine", "release", entry)
        assert done.code == 3, done
        assert states(gateway, entry) == {BOB: "kept"}
        assert good(gateway, "quarantine", "release", entry)["status"] == "released"
        delivered(gateway, unique)


def test_spamd_learns_what_it_is_told_over_its_socket_alone(wan: Outside, gateway: GatewayHost) -> None:
    # S02, W02
    unique = mark()
    with policy(gateway, {"spam": ("move",)}):
        # SpamAssassin knows a message by its text as well: one that was learnt from before is not new to it.
        message = letter(unique, PLAIN + f" {unique}".encode(), SPAM)
        entry = kept(wan, gateway, unique, message, BOB)["id"]
        before = learnt(gateway)
        ham = good(gateway, "quarantine", "learn", entry, "--ham")
        known = good(gateway, "quarantine", "learn", entry, "--ham")
        between = learnt(gateway)
        spam = good(gateway, "quarantine", "learn", entry, "--spam")
        after = learnt(gateway)
        did = deeds(gateway, entry)
    assert (ham["done"], known["done"], spam["done"]) == (
        "learnt as ham",
        "was known as ham",
        "learnt as spam",
    )
    assert (between["nham"] - before["nham"], between["nspam"] - before["nspam"]) == (1, 0)
    assert (after["nham"] - before["nham"], after["nspam"] - before["nspam"]) == (0, 1)
    assert [action for _, action in did] == ["learn-ham", "learn-ham", "learn-spam"]
    assert gateway.run("ss -H -l -t -n -p | grep -c spamd || true").strip() == "0"
    assert gateway.run("stat -c '%a %U %G' /run/spamd/spamd.sock").strip() == f"660 {SPAMD} {SPAMD}"


def learnt(gateway: GatewayHost) -> dict[str, int]:
    """Return how many messages Bayes has learnt."""
    # Before the first one there is no database, and this fails.
    lines = gateway.run(f"runuser -u {SPAMD} -- sa-learn --dump magic", check=False)
    found = re.findall(r"(\d+)\s+\d+\s+non-token data: (nspam|nham)", lines)
    return {"nspam": 0, "nham": 0, **{name: int(count) for count, name in found}}


def test_hold_keeps_and_delete_removes_the_content_and_not_the_record(
    wan: Outside, gateway: GatewayHost
) -> None:
    unique = mark()
    sent = letter(unique, PLAIN, attachment(b"MZ"))
    with banned(gateway, "move"):
        one = kept(wan, gateway, unique, sent, BOB)
        entry = one["id"]
        assert content(gateway, entry) == sent
        good(gateway, "quarantine", "hold", entry, "--reason", "for the police")
        held = [each["id"] for each in good(gateway, "quarantine", "list", "--held")["entries"]]
        refused = said(gateway, "quarantine", "delete", entry)
        good(gateway, "quarantine", "unhold", entry)
        good(gateway, "quarantine", "delete", entry)
        gone = said(gateway, "quarantine", "show", entry)
        whole = good(gateway, "messages", "show", one["message"])
    assert entry in held
    assert (refused.code, "held" in refused.errors) == (1, True)
    assert gone.code == 1
    assert whole["kept"] == []
    assert whole["recipients"][0]["outcome"] == "quarantined"


@contextmanager
def operators(gateway: GatewayHost) -> Iterator[None]:
    """Have olga, who is an operator by sudo, nora, who is not, and a configuration of olga's own."""
    sudoers = "/etc/sudoers.d/operators"
    rule = "%operators ALL=(root) NOPASSWD: /usr/local/bin/filterd quarantine *"
    own = "install -m 644 /etc/filterd/filterd.toml /srv/own.toml; sed -i /operators/d /srv/own.toml"
    add = (
        "groupadd operators; useradd --no-create-home -G operators olga; useradd --no-create-home nora; "
        f"echo '{rule}' >{sudoers}; chmod 440 {sudoers}; visudo -cf {sudoers}; {own}"
    )
    with (
        gateway.altered(add, f"rm {sudoers} /srv/own.toml; userdel olga; userdel nora; groupdel operators"),
        policy(
            gateway, {"infected": ("move",), "spam": ("move",)}, tables={"store": {"operators": "operators"}}
        ),
    ):
        yield


def test_only_administrators_and_operators_have_a_say(wan: Outside, gateway: GatewayHost) -> None:
    # P12
    infected, spam = mark(), mark()
    with operators(gateway):
        virus = kept(wan, gateway, infected, letter(infected, PLAIN, attachment(EICAR, "eicar.com")), BOB)
        bulk = kept(wan, gateway, spam, letter(spam, PLAIN, SPAM), BOB)

        def as_olga(*words: str, user: str = "olga") -> tuple[int, str]:
            command = f"runuser -u {user} -- sudo -n /usr/local/bin/filterd {' '.join(words)}"
            done = gateway.run(f"cd /; {command} 2>&1; code=$?; echo; echo $code").rstrip("\n")
            text, _, code = done.rpartition("\n")
            return int(code), text

        listed = as_olga("quarantine", "list", "--json")[1]
        assert bulk["id"] in listed
        assert virus["id"] not in listed
        for words in (
            ("quarantine", "show", virus["id"]),
            ("quarantine", "release", virus["id"], "--waive-virus"),
            ("quarantine", "delete", bulk["id"]),
            ("quarantine", "learn", bulk["id"], "--ham"),
            ("quarantine", "release", bulk["id"], "--as", "root"),
            ("quarantine", "release", bulk["id"], "--config", "/srv/own.toml"),
            # sudo's own refusal: it is asked for `filterd quarantine`.
            ("lists", "add", "accept", ALICE),
            ("messages",),
        ):
            assert as_olga(*words)[0] == 1, words
        stranger = as_olga("quarantine", "release", bulk["id"], user="nora")
        assert (stranger[0], "password is required" in stranger[1]) == (1, True), stranger
        assert as_olga("quarantine", "release", bulk["id"])[0] == 0
        delivered(gateway, spam)
        assert [one for one in deeds(gateway, bulk["id"]) if one[1] == "release"] == [("olga", "release")]
        # Nobody else gets as far as the ledger.
        assert said(gateway, "quarantine", "list", user="nora").code != 0
        assert gateway.run(f"find {LEDGER} {STORE} ! -user filterd") == ""


def test_searches_and_counts_say_what_was_sent(wan: Outside, gateway: GatewayHost) -> None:
    clean, refused = mark(), mark()
    assert send(wan, letter(clean, PLAIN), BOB, CAROL).startswith("250 ")
    reply = send(wan, letter(refused, PLAIN, attachment(EICAR, "eicar.com")))
    assert reply.startswith("550 ")
    queue_id = reply.rpartition("id=")[2].strip()
    (one,) = good(gateway, "messages", "--message-id", f"<{clean}@sender.example>")["messages"]
    assert (one["sender"], one["recipients"], one["outcomes"]) == (ALICE, [BOB, CAROL], ["passed"])
    assert (one["verdict"], one["client"]) == ("clean", wan.source)
    (other,) = good(gateway, "messages", "--queue-id", queue_id)["messages"]
    assert (other["verdict"], other["rule"], other["outcomes"]) == (
        "infected",
        "virus.signature",
        ["refused"],
    )
    whole = good(gateway, "messages", "show", queue_id)
    assert "virus.signature" in {one["rule"] for one in whole["findings"] if one["counted"]}
    assert {"virus", "parse"} <= set(whole["stage_ms"])
    seen = good(gateway, "messages", "--since", "5m", "--recipient", "*@BASTIDE.example", "--limit", "1000")
    assert {one["id"], other["id"]} <= {each["id"] for each in seen["messages"]}
    assert good(gateway, "messages", "--message-id", "<nobody@sender.example>")["messages"] == []
    for by, key in (
        ("verdict", "infected"), ("rule", "virus.signature"), ("outcome", "refused"), ("client", wan.source),
        ("sender", ALICE), ("recipient", BOB),
    ):  # fmt: skip
        rows = good(gateway, "stats", "--since", "1h", "--by", by, "--limit", "1000")["rows"]
        assert next(row["messages"] for row in rows if row["key"] == key) >= 1, by


@contextmanager
def listed(gateway: GatewayHost, *words: str) -> Iterator[None]:
    """Let an entry be in the ledger's lists, once filterd knows of it, for the length of a block."""
    number = good(gateway, "lists", "add", *words)["id"]
    try:
        time.sleep(LISTS_SECONDS)
        yield
    finally:
        good(gateway, "lists", "remove", str(number))
        time.sleep(LISTS_SECONDS)


@pytest.mark.parametrize(("sender", "holds"), [(ALICE, "250 "), ("alice@spoof.example", "550 5.7.1 ")])
def test_an_accepted_sender_s_score_does_not_count_until_the_entry_is_gone(
    sender: str, holds: str, wan: Outside, gateway: GatewayHost
) -> None:
    # R08, P13
    # Only sender.example has a proof.
    with policy(gateway, {}):
        with listed(gateway, "accept", sender, "--recipient", BOB):
            unique = mark()
            assert send(wan, letter(unique, PLAIN, SPAM), BOB, sender=sender).startswith(holds)
            assert send(wan, letter(mark(), PLAIN, SPAM), CAROL, sender=sender).startswith("550 5.7.1 ")
        assert send(wan, letter(mark(), PLAIN, SPAM), BOB, sender=sender).startswith("550 5.7.1 ")


def test_a_refused_sender_is_refused_until_the_day_is_over(wan: Outside, gateway: GatewayHost) -> None:
    # R08
    with policy(gateway, {}), listed(gateway, "reject", "@sender.example", "--days", "0"):
        assert "[list.reject]" in send(wan, letter(mark(), PLAIN))
        # As if the day were over.
        by_hand(gateway, "UPDATE listed SET expires_ms = 1")
        time.sleep(LISTS_SECONDS)
        unique = mark()
        assert send(wan, letter(unique, PLAIN)).startswith("250 ")
        delivered(gateway, unique)
        assert good(gateway, "lists", "show")["entries"] == []
        (over,) = good(gateway, "lists", "show", "--expired")["entries"]
        assert (over["sender"], over["expired"]) == ("@sender.example", True)
