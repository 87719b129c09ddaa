"""Releases: to whom, what stands against one, how many people it takes, and what is left when it breaks off."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select, update

from filterd.carry.inject import InjectError, NeverInjectedError
from filterd.ledger import acts, lists
from filterd.ledger import release as module
from filterd.ledger import schema as s
from filterd.ledger.blobs import BlobError, Blobs
from filterd.ledger.records import FoundIn
from filterd.ledger.roles import Actor, RefusedError
from tests.unit.filterd import engines
from tests.unit.filterd.entries import ALICE, BOB, CONTENT, OTTO, quarantined, record, write
from tests.unit.filterd.releasing import Home, at_home

SPAM = CONTENT + engines.GTUBE + b"\r\n"
VIRUS = CONTENT + engines.EICAR + b"\r\n"
SIGNATURE = FoundIn(
    stage="virus", rule="virus.signature", verdict="infected",
    detail="Test-Signature(44d88612fea8a8f36de82e1278abb02f:68)",
)  # fmt: skip


@pytest.fixture
def home(ledger: Engine, tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path, ledger) as made:
        yield made


def test_all_whose_it_is_get_it_as_it_came_with_one_line_of_trace(home: Home) -> None:
    kept_id = home.keep("a@example.org", "b@example.org", content=SPAM)
    made = home.release(kept_id)
    assert (made.status, made.recipients, made.queue_ids) == (
        "released",
        ("a@example.org", "b@example.org"),
        (),
    )
    ((sender, recipients, content),) = home.mta.letters
    assert (sender, recipients) == (b"<s@sender.example>", [b"<a@example.org>", b"<b@example.org>"])
    trace, _, rest = content.partition(b"From: a@sender.example\r\n")
    assert b"From: a@sender.example\r\n" + rest == SPAM
    assert trace.startswith(f"Received: by mx1.example.org (filterd quarantine) id {kept_id};\r\n\t".encode())
    assert home.states(kept_id) == {"a@example.org": "released", "b@example.org": "released"}
    assert home.events() == [("alice", "release", "a@example.org"), ("alice", "release", "b@example.org")]


def test_queue_ids_of_released_messages_are_noted(home: Home) -> None:
    home.mta.answers[b"."] = b"250 2.0.0 Ok: queued as 4bXyzKL0pqzQrst"
    assert home.release(home.keep(content=SPAM)).queue_ids == ("4bXyzKL0pqzQrst",)
    with home.ledger.connect() as connection:
        assert connection.execute(select(s.INJECTIONS.c.queue_id)).scalars().all() == ["4bXyzKL0pqzQrst"]


def test_nobody_else_gets_it(home: Home) -> None:
    """P11: a release goes to the recipient for whom it is, not to all."""
    kept_id = home.keep("a@example.org", "b@example.org", content=SPAM)
    with pytest.raises(RefusedError, match="is not kept for eve@evil"):
        home.release(kept_id, "eve@evil.example")
    assert home.release(kept_id, "b@example.org").status == "released"
    assert [letter[1] for letter in home.mta.letters] == [[b"<b@example.org>"]]
    assert home.states(kept_id) == {"a@example.org": "kept", "b@example.org": "released"}
    with pytest.raises(RefusedError, match="has been released to b@"):
        home.release(kept_id, "b@example.org")
    assert home.release(kept_id).recipients == ("a@example.org",)
    with pytest.raises(RefusedError, match="got it already"):
        home.release(kept_id)


def test_who_was_delivered_to_gets_no_second_one(home: Home) -> None:
    one = quarantined(home.at, content=SPAM)
    passed = record(0, "b@example.org").recipients
    write(home.ledger, msgspec.structs.replace(one, recipients=passed))
    with pytest.raises(RefusedError, match="got it already"):
        home.release(one.kept[0].id)
    with pytest.raises(RefusedError, match="export it instead"):
        home.release(one.kept[0].id, "b@example.org")


def test_malware_that_no_signature_knew_then_is_not_let_out_as_spam(home: Home) -> None:
    kept_id = home.keep(content=SPAM + engines.EICAR + b"\r\n")
    made = home.release(kept_id)
    assert made.status == "refused"
    assert made.why[0].startswith("virus.signature: Test-Signature")
    assert home.mta.letters == []
    assert home.states(kept_id) == {"b@example.org": "kept"}
    assert home.events() == [("alice", "release-refused", "b@example.org")]


def test_another_rule_that_counts_today_stands_against_it(home: Home) -> None:
    kept_id = home.keep(content=SPAM, verdict="banned", rule="attachment.extension")
    made = home.release(kept_id)
    assert made.status == "refused"
    assert made.why == ("it would be refused for <b@example.org>: spam [spam.score GTUBE,NO_RECEIVED]",)


def test_the_rule_is_waived_and_the_virus_engine_is_asked(home: Home) -> None:
    home.release(home.keep(content=SPAM))
    assert any(SPAM in request for request in home.clamd.requests)


def test_an_engine_that_is_down_lets_nothing_out(home: Home) -> None:
    home.clamd.answer = b"garbage\0"
    made = home.release(home.keep(content=SPAM))
    assert made.status == "not-inspected"
    assert "no virus engine has looked at it" in made.why[0]
    assert home.mta.letters == []


def test_infected_mail_takes_two_administrators_and_a_waiver(home: Home) -> None:
    kept_id = home.keep(content=VIRUS, verdict="infected", rule="virus.signature", findings=[SIGNATURE])
    assert home.release(kept_id).status == "refused"
    first = home.release(kept_id, waive_virus=True)
    assert (first.status, first.why[0][:22]) == ("approved", "alice has approved it;")
    assert home.release(kept_id, waive_virus=True).status == "approved"
    assert home.mta.letters == []
    assert home.release(kept_id, waive_virus=True, actor=BOB).status == "released"
    assert len(home.mta.letters) == 1
    assert [(who, what) for who, what, _ in home.events()] == [
        ("alice", "release-refused"), ("alice", "approve-infected"), ("bob", "release"),
    ]  # fmt: skip


def test_a_waiver_is_for_the_signature_that_was_found_then(home: Home) -> None:
    then = msgspec.structs.replace(SIGNATURE, detail="Another-Signature")
    kept_id = home.keep(content=VIRUS, verdict="infected", rule="virus.signature", findings=[then])
    assert home.release(kept_id, waive_virus=True).status == "refused"


def test_an_approval_is_for_whom_it_named_and_for_seven_days(home: Home) -> None:
    home.changes = {"store": {"four_eyes": ["spam"]}}
    kept_id = home.keep("a@example.org", "b@example.org", content=SPAM)
    assert home.release(kept_id, "a@example.org").status == "approved"
    assert home.release(kept_id, actor=BOB).status == "approved"
    with home.ledger.begin() as connection:
        old = acts.now_ms() - 8 * 86_400_000
        connection.execute(update(s.EVENTS).where(s.EVENTS.c.actor == "alice").values(at_ms=old))
    carol = Actor(name="carol", role="admin")
    assert home.release(kept_id, "a@example.org", actor=carol).status == "released"
    assert home.release(kept_id, "b@example.org", actor=BOB).status == "approved"
    assert home.release(kept_id, actor=carol).recipients == ("b@example.org",)
    assert [letter[1] for letter in home.mta.letters] == [[b"<a@example.org>"], [b"<b@example.org>"]]


def test_operators_release_what_is_harmless_and_nothing_else(home: Home) -> None:
    kept_id = home.keep(content=VIRUS, verdict="infected", rule="virus.signature", findings=[SIGNATURE])
    with pytest.raises(RefusedError, match="may not release an entry of class infected"):
        home.release(kept_id, actor=OTTO)
    also = FoundIn(stage="spam", rule="spam.score", verdict="spam")
    mixed = home.keep(content=VIRUS, number=1, findings=[also, SIGNATURE])
    with pytest.raises(RefusedError, match="it is infected as well"):
        home.release(mixed, actor=OTTO)
    spam = home.keep(content=SPAM, number=2)
    with pytest.raises(RefusedError, match="may not waive"):
        home.release(spam, actor=OTTO, waive_virus=True)
    assert home.release(spam, actor=OTTO).status == "released"


def test_what_the_mta_does_not_take_stays_kept(home: Home) -> None:
    kept_id = home.keep(content=SPAM)
    home.mta.answers[b"RCPT"] = b"451 4.3.0 not now"
    with pytest.raises(InjectError, match="451"):
        home.release(kept_id)
    assert home.states(kept_id) == {"b@example.org": "kept"}
    home.mta.answers.clear()
    assert home.release(kept_id).status == "released"


def test_a_crash_after_the_hand_over_loses_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may go out twice, once the mark is old; until then nobody releases it a second time."""
    kept_id = home.keep(content=SPAM)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_done", crash)
        with pytest.raises(KeyboardInterrupt):
            home.release(kept_id)
    assert home.states(kept_id) == {"b@example.org": "releasing"}
    with pytest.raises(RefusedError, match="is being released"):
        home.release(kept_id)
    with pytest.raises(RefusedError, match="is being released"):
        acts.remove(home.ledger, ALICE, kept_id)
    with home.ledger.begin() as connection:
        connection.execute(update(s.KEPT_FOR).values(changed_ms=acts.now_ms() - 3_600_000))
    assert home.release(kept_id).status == "released"
    assert len(home.mta.letters) == 2


def test_two_at_the_same_time_send_it_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_id = home.keep(content=SPAM)
    real: Callable[..., Any] = module._hand_over

    async def both(*arguments: Any) -> Any:
        one = await real(*arguments)
        with pytest.raises(RefusedError, match="by somebody else"):
            await real(*arguments)
        return one

    monkeypatch.setattr(module, "_hand_over", both)
    assert home.release(kept_id).status == "released"
    assert len(home.mta.letters) == 1


def test_a_content_that_is_not_whole_or_not_there_is_not_sent(home: Home) -> None:
    kept_id = home.keep(content=SPAM)
    with home.ledger.begin() as connection:
        connection.execute(update(s.MESSAGES).values(size=len(SPAM) + 1))
    assert home.release(kept_id).why == (
        f"its content is not whole: {len(SPAM)} of {len(SPAM) + 1} bytes are kept",
    )
    path = Blobs(home.at / "store").path(home.entry(kept_id).digest)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(BlobError, match="damaged"):
        home.release(kept_id)
    path.unlink()
    with pytest.raises(BlobError, match="not in the store"):
        home.release(kept_id)


def test_a_message_kept_for_its_headers_can_go(home: Home) -> None:
    content = b"X: " + b"y" * 60_000 + b"\r\n" + CONTENT
    kept_id = home.keep(content=content, verdict="over-limit", rule="limit.header")
    assert home.release(kept_id).status == "released"
    assert any(content in request for request in home.clamd.requests)
    assert home.release(home.keep(content=content, number=1)).status == "refused"


def test_what_would_be_changed_is_not_let_out_as_it_came(home: Home) -> None:
    home.changes = {"policy.chains": {"spam": ["tag", "ignore"]}}
    kept_id = home.keep(content=SPAM, verdict="banned", rule="attachment.extension")
    assert home.release(kept_id).status == "released"
    home.changes = {"policy.chains": {"spam": ["stamp x", "ignore"]}, "notify.stamps": {"x": "a text"}}
    assert (
        "it would be changed"
        in home.release(home.keep(content=SPAM, number=1, verdict="banned", rule="attachment.extension")).why[
            0
        ]
    )


def test_a_list_that_refuses_the_sender_is_waived_only_where_it_was_the_reason(home: Home) -> None:
    home.lists = '[[list]]\nname = "x"\nverdict = "reject"\nsenders = ["@sender.example"]\n'
    assert home.release(home.keep(verdict="banned", rule="list.reject")).status == "released"
    made = home.release(home.keep(content=SPAM, number=1))
    assert (made.status, "list.reject" in made.why[0]) == ("refused", True)


def test_a_list_of_the_ledger_counts_as_one_of_the_configuration(home: Home) -> None:
    """`filterd lists add` counts on arrival; on release it was not asked."""
    kept_id = home.keep(content=SPAM)
    row = lists.NewRow(verdict="reject", sender="@sender.example")
    number = lists.add(home.ledger, ALICE, row)
    made = home.release(kept_id)
    assert (made.status, "list.reject" in made.why[0]) == ("refused", True)
    assert home.release(home.keep(number=1, verdict="banned", rule="list.reject")).status == "released"
    lists.remove(home.ledger, ALICE, number)
    assert home.release(kept_id).status == "released"


def test_a_list_of_the_ledger_accepts_on_release_too(home: Home) -> None:
    kept_id = home.keep(content=SPAM, verdict="banned", rule="attachment.extension")
    assert home.release(kept_id).status == "refused"
    accepted = lists.NewRow(
        verdict="accept", sender="@sender.example", client="198.51.100.0/24", authentication="none"
    )
    lists.add(home.ledger, ALICE, accepted)
    assert home.release(kept_id).status == "released"


def test_what_the_sender_asked_to_be_told_holds_when_it_is_released(home: Home) -> None:
    """RFC 3461: a message that was kept for a week is still one of which its sender wants no, or every, report."""
    one = quarantined(home.at, "a@example.org", "b@example.org", content=SPAM)
    first, second = one.recipients
    one = msgspec.structs.replace(
        one,
        sender_parameters="RET=HDRS ENVID=QQ314159",
        recipients=(msgspec.structs.replace(first, parameters="NOTIFY=NEVER ORCPT=rfc822;a@old"), second),
    )
    write(home.ledger, one)
    home.mta.extensions = (b"8BITMIME", b"DSN", b"SMTPUTF8")
    assert home.release(one.kept[0].id).status == "released"
    assert home.mta.lines[1:4] == [
        b"MAIL FROM:<s@sender.example> RET=HDRS ENVID=QQ314159\r\n",
        b"RCPT TO:<a@example.org> NOTIFY=NEVER ORCPT=rfc822;a@old\r\n",
        b"RCPT TO:<b@example.org>\r\n",
    ]


@pytest.mark.parametrize(
    ("asked", "content", "said"),
    [
        ("", SPAM, b""),
        ("BODY=8BITMIME", SPAM, b" BODY=8BITMIME"),
        ("", SPAM + "für\r\n".encode(), b" BODY=8BITMIME"),
        ("BODY=8BITMIME SMTPUTF8", SPAM, b" BODY=8BITMIME SMTPUTF8"),
    ],
)
def test_the_content_is_handed_over_as_what_it_came_as(
    home: Home, asked: str, content: bytes, said: bytes
) -> None:
    """RFC 6152, RFC 6531: an MTA that is not told may recode what was signed, or refuse its header."""
    assert home.release(home.keep(content=content, sender_parameters=asked)).status == "released"
    assert home.mta.lines[1] == b"MAIL FROM:<s@sender.example>" + said + b"\r\n"


def test_international_addresses_get_it_or_it_stays(home: Home) -> None:
    kept_id = home.keep("käthe@example.org", content=SPAM, sender="jürgen@sender.example")
    home.mta.extensions = (b"8BITMIME",)
    with pytest.raises(NeverInjectedError, match="takes no addresses beyond ASCII"):
        home.release(kept_id)
    assert home.states(kept_id) == {"käthe@example.org": "kept"}
    home.mta.extensions = (b"8BITMIME", b"SMTPUTF8")
    assert home.release(kept_id).status == "released"
    assert home.mta.letters[0][:2] == ("<jürgen@sender.example>".encode(), ["<käthe@example.org>".encode()])


@pytest.mark.parametrize("bad", ["k\\xe4the@example.org", "a" * 512])
def test_an_address_that_the_ledger_has_not_whole_gets_nothing(home: Home, bad: str) -> None:
    """One in Latin-1, or longer than is kept: what is written down is somebody else's, or nobody's."""
    kept_id = home.keep(bad, content=SPAM)
    with pytest.raises(RefusedError, match="export it instead"):
        home.release(kept_id)
    assert home.states(kept_id) == {bad: "kept"}
    assert home.mta.letters == []
    with pytest.raises(RefusedError, match="export it instead"):
        home.release(home.keep(content=SPAM, number=1, sender=bad))
