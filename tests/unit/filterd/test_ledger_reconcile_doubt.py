"""Where the log and the ledger do not say that all is well, reconciling does not say it either."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine

from filterd.ledger.blobs import Blobs
from filterd.ledger.known import gateways, known, of_gateways
from filterd.ledger.maillog import MailLog
from filterd.ledger.reconcile import compared, nothing_to_compare
from tests.unit.filterd.entries import quarantined, record, write
from tests.unit.filterd.test_ledger_reconcile import (
    ACTIVE,
    AT,
    BEGIN,
    BOUNCED,
    CLIENT,
    DELIVERED,
    DISCARD,
    LATER,
    LONG,
    NOW,
    SENT,
    SHORT,
    TAKEN,
    line,
    log_of,
    one,
    story,
    whys,
)  # fmt: skip
from tests.unit.filterd.test_ledger_sendmaillog import CAME, DEFERRED, DONE
from tests.unit.filterd.test_ledger_sendmaillog import ID as SENDMAIL_ID
from tests.unit.filterd.test_ledger_sendmaillog import SENT as SENDMAIL_SENT
from tests.unit.filterd.test_ledger_sendmaillog import TAKEN as SENDMAIL_TAKEN

LOST = ("log", "taken, and neither delivered, bounced nor queued")
LOCAL = ("smtpd", "client=localhost[127.0.0.1]")
MINUTE = 60_000


def log_between(first: float, last: float) -> MailLog:
    log = MailLog(NOW)
    list(
        log.read(
            [line(first, "master", "x"), *story(LONG, *DELIVERED, minute=first), line(last, "master", "x")]
        )
    )
    return log


@pytest.mark.parametrize("minutes", [0.0, 1.8, 1.9])
def test_a_log_that_is_too_short_is_no_comparison(minutes: float) -> None:
    assert "nothing of the range" in nothing_to_compare(log_between(0, minutes), None, None)


def test_a_range_beside_the_log_is_no_comparison() -> None:
    log, begin = log_between(0, 20), int(BEGIN.timestamp() * 1000)
    assert nothing_to_compare(log, None, None) == ""
    assert nothing_to_compare(log, begin + 10 * MINUTE, begin + 11 * MINUTE) == ""
    for since, until in (
        (begin + 30 * MINUTE, None),
        (None, begin - MINUTE),
        (begin + 12 * MINUTE, begin + 11 * MINUTE),
    ):
        assert "nothing of the range" in nothing_to_compare(log, since, until)
    assert "no line of Postfix" in nothing_to_compare(MailLog(NOW), None, None)


# --- hand-overs


def test_a_message_id_that_a_sender_chose_explains_nothing() -> None:
    injected = one("passed", "injected", injections=(SHORT,))
    stranger = story("4jXLFS2B5mzD5fN", *DELIVERED, minute=12)
    made = compared(
        log_of(story(LONG, *DELIVERED), story(SHORT, LOCAL, *DELIVERED[1:]), stranger), [injected]
    )
    assert whys(made) == [("log", "the ledger does not know it (delivered)")]
    # Nor is it what a crash kept from being noted.
    made = compared(log_of(story(LONG, ("smtpd", CLIENT), ("cleanup", DISCARD)), stranger), [one("injected")])
    assert ("ledger", "injected, and no queue id of it is known") in whys(made)
    assert ("log", "the ledger does not know it (delivered)") in whys(made)


def test_no_more_is_explained_than_was_handed_over() -> None:
    milter = story(LONG, ("smtpd", CLIENT), ("cleanup", DISCARD))
    local = [story(f"3C2A41F06{last}", LOCAL, *DELIVERED[1:]) for last in "ABC"]
    lost = msgspec.structs.replace(one("injected"), injected=1)
    assert whys(compared(log_of(milter, local[0]), [lost])) == []
    made = compared(log_of(milter, *local), [lost])
    assert whys(made) == [("log", "the ledger does not know it (delivered)")] * 2


# --- what was broken off


@pytest.mark.parametrize(
    ("again", "comes"),
    [
        (story(SHORT, *DELIVERED, minute=30), True),
        (story(SHORT, TAKEN[0], TAKEN[1], ("cleanup", LATER), minute=30), True),
        (story(SHORT, *DELIVERED, minute=5), False),  # before, not later
        (story(SHORT, *DELIVERED[:2], minute=30), False),  # broken off as well
        ([text.replace("<s@", "<eve@") for text in story(SHORT, *DELIVERED, minute=30)], False),
        ([text.replace("<1@", "<2@") for text in story(SHORT, *DELIVERED, minute=30)], False),
    ],
)
def test_what_was_broken_off_is_looked_for(again: list[str], *, comes: bool) -> None:
    first = msgspec.structs.replace(one("passed"), sender="s@sender.example")
    at = int((BEGIN.timestamp() + 1800) * 1000)
    later = msgspec.structs.replace(one("passed", queue_id=SHORT, at=at), id="m2")
    found = whys(compared(log_of(story(LONG, *TAKEN[:2]), again), [first, later]))
    assert (("log", "passed, but the log says broken off, and has no later try") not in found) is comes


# --- recipients


def to(who: str, text: str = SENT) -> str:
    return f"to=<{who}>, {text[text.index('relay') :]}"


TWO = (*TAKEN[:2], ("qmgr", ACTIVE.replace("nrcpt=1", "nrcpt=2")))
REMOVED = ("qmgr", "removed")
OLD = "to=<a@x.example>, orig_to=<b@x.example>, "


def test_who_was_taken_out_by_the_filter_needs_no_end() -> None:
    # Postfix's nrcpt counts those too whom a milter has deleted.
    kept = msgspec.structs.replace(one("passed", "quarantined"), passed=1)
    made = compared(log_of(story(LONG, *TWO, ("smtp", to("b@x.example")), REMOVED)), [kept])
    assert whys(made) == []
    assert made.log == {"delivered": 1}


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ((*TWO, ("smtp", to("b@x.example")), ("smtp", to("c@x.example")), REMOVED), []),
        ((*TWO, ("smtp", to("b@x.example")), ("smtp", to("c@x.example", BOUNCED)), REMOVED), []),
        ((*TWO, ("smtp", to("a@x.example")), ("smtp", OLD + SENT[SENT.index("relay") :]), REMOVED), []),
        ((*TWO, ("smtp", to("b@x.example"))), []),
        ((*TWO, ("smtp", to("b@x.example")), REMOVED), [(LOST[0], f"{LOST[1]}, for some of its recipients")]),
        ((*TWO, ("smtp", to("b@x.example", BOUNCED)), REMOVED), [(LOST[0], f"{LOST[1]}, for some of its recipients")]),
        ((*TWO, *[("smtp", to("b@x.example"))] * 2, REMOVED), [(LOST[0], f"{LOST[1]}, for some of its recipients")]),
        ((*TAKEN, ("smtp", to("b@x.example")), REMOVED), [("ledger", "passed for 2 recipients, but the log knows 1")]),
        (TAKEN, [LOST]),
    ],
)  # fmt: skip
def test_each_recipient_has_an_end(steps: tuple[tuple[str, str], ...], found: list[tuple[str, str]]) -> None:
    both = msgspec.structs.replace(one("passed"), passed=2)
    assert whys(compared(log_of(story(LONG, *steps)), [both])) == found


TO_BOTH = SENDMAIL_SENT.replace("to=<bob@bastide.example>", "to=<b@x.example>,<c@x.example>")


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((SENDMAIL_TAKEN, TO_BOTH, DONE), []),
        ((SENDMAIL_TAKEN, SENDMAIL_SENT, SENDMAIL_SENT.replace("bob", "eve"), DONE), []),
        ((SENDMAIL_TAKEN, SENDMAIL_SENT, DONE), [("ledger", "passed for 2 recipients, but the log knows 1")]),
        ((SENDMAIL_TAKEN, DEFERRED, DONE), [LOST]),
        ((), [("log", "passed, but the log says broken off, and has no later try")]),
    ],
)
def test_each_recipient_of_sendmails_has_an_end(texts: tuple[str, ...], found: list[tuple[str, str]]) -> None:
    log = MailLog(datetime(2026, 11, 22, 17, tzinfo=UTC))
    stamps = ("00:00", "10:00", "59:59")
    first, at, last = (datetime.fromisoformat(f"2026-11-22T15:{one}+00:00") for one in stamps)
    lines = [f"{each.isoformat()} mx1 sendmail[1]: 6AMFrFW5011100: x" for each in (first, last)]
    lines[1:1] = [f"{at.isoformat()} mx1 sendmail[1]: {SENDMAIL_ID}: {text}" for text in (CAME, *texts)]
    list(log.read(lines))
    both = one("passed", queue_id=SENDMAIL_ID, at=int(at.timestamp() * 1000))
    made = compared(log, [msgspec.structs.replace(both, passed=2, sender="alice@sender.example")])
    assert whys(made) == found


# --- with a store, and with a fleet


def test_what_is_kept_is_looked_for(ledger: Engine, tmp_path: Path) -> None:
    kept = quarantined(tmp_path, received_ms=AT, queue_id=LONG)
    write(ledger, kept)
    blobs = Blobs(tmp_path / "store")
    with ledger.connect() as connection:
        (found,) = known(connection, AT, AT)
    assert found.digests == (kept.digest,)
    log = log_of(story(LONG, ("smtpd", CLIENT), ("cleanup", DISCARD)))
    assert whys(compared(log, [found], stored=blobs.has)) == []
    blobs.path(kept.digest).unlink()
    assert whys(compared(log, [found], stored=blobs.has)) == [("ledger", "kept, but the store lacks it")]


def test_addresses_are_counted_as_the_mta_counts_them(ledger: Engine) -> None:
    first = record(0, received_ms=AT)
    twice = msgspec.structs.replace(first.recipients[0], address=first.recipients[0].address.upper())
    write(ledger, msgspec.structs.replace(first, recipients=(*first.recipients, twice)))
    with ledger.connect() as connection:
        (found,) = known(connection, AT, AT)
    assert (found.passed, found.sender) == (len(first.recipients), first.sender)


def test_a_gateway_that_has_another_name_than_its_host_is_known_by_its_queue_ids() -> None:
    log = log_of(story(LONG, *DELIVERED), story(SHORT, *DELIVERED, minute=20))
    at = AT + 10 * MINUTE
    mine = [one("passed"), one("passed", queue_id=SHORT, at=at), one("passed", queue_id="4AAAAAz1", at=at)]
    mine = [msgspec.structs.replace(each, gateway="mail.bastide.example") for each in mine]
    others = [
        one("passed", queue_id=SHORT, at=at),
        *(one("passed", queue_id=f"3C2A41F{n}", at=at) for n in range(100, 109)),
    ]
    others = [msgspec.structs.replace(each, gateway="mx2.bastide.example") for each in others]
    names = gateways([*mine, *others], log)
    assert names == {"mail.bastide.example"}
    found = list(of_gateways([*mine, *others], names))
    # What the log lacks is named now as well.
    assert whys(compared(log, found)) == [("ledger", "the log has nothing of it")]
