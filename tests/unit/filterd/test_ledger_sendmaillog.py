"""Sendmail's lines become the same trails as Postfix's; the lines are as 8.17 writes them."""

from datetime import UTC, datetime

import pytest

from filterd.ledger.maillog import MailLog, Trail, parsed
from filterd.ledger.reconcile import end_of
from filterd.ledger.sendmaillog import decided

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
ID = "6AMFrFW5011199"
CAME = (
    "from=<alice@sender.example>, size=26, class=0, nrcpts=1, msgid=<1@sender.example>, bodytype=8BITMIME, proto=ESMTP, "
    "daemon=smtp, relay=client.sender.example [198.51.100.10]"
)
TAKEN = "Milter accept: message"
SENT = (
    "to=<bob@bastide.example>, delay=00:00:00, xdelay=00:00:00, mailer=hop25, pri=30026, "
    "relay=[198.18.0.25] [198.18.0.25], dsn=2.0.0, stat=Sent (2.0.0 Recorded as 1795362796689355943-59)"
)
DEFERRED = SENT.partition(" dsn=")[0] + " dsn=4.0.0, stat=Deferred: Connection refused by [198.18.0.25]"
BOUNCED = SENT.partition(" dsn=")[0] + " dsn=5.1.1, stat=User unknown"
DONE = "done; delay=00:00:01, ntries=1"
REFUSED = f"Milter: data, reject=550 5.7.1 Message refused: virus [virus.signature] id={ID}"
NOT_SENT = "to=<bob@bastide.example>, delay=00:00:01, pri=30026, stat=Message refused"
LATER = "Milter: data, reject=451 4.3.2 Please try again later"


def trail_of(*texts: str, tag: str = "sendmail") -> Trail:
    log = MailLog(NOW)
    lines = [
        f"2026-11-22T15:53:16.{number:06}+0000 mx1 {tag}[11199]: {ID}: {text}\n"
        for number, text in enumerate(texts)
    ]
    list(log.read(lines))
    (trail,) = log.trails[ID]
    return trail


@pytest.mark.parametrize(
    ("texts", "end"),
    [
        ((CAME, TAKEN, SENT, DONE), "delivered"),
        ((CAME, TAKEN, DEFERRED), "queued"),
        ((CAME, TAKEN, DEFERRED, SENT, DONE), "delivered"),
        ((CAME, TAKEN, BOUNCED, DONE), "bounced"),
        ((CAME, TAKEN, DEFERRED, "sender notify: Cannot send message for 5 days", DONE), "bounced"),
        ((CAME, REFUSED, NOT_SENT, DONE), "refused"),
        ((CAME, LATER, NOT_SENT, DONE), "later"),
        ((CAME, "Milter: data, discard", DONE), "discarded"),
        ((CAME, TAKEN, DONE), "vanished"),
        ((CAME,), "broken off"),
        (
            (CAME, "to=<bob@bastide.example>, delay=00:00:00, pri=30028, stat=NUL byte not allowed"),
            "broken off",
        ),
        # Sendmail finds the NUL when the filter has said yes.
        (
            (CAME, TAKEN, "to=<bob@bastide.example>, delay=00:00:00, pri=30041, stat=NUL byte not allowed"),
            "broken off",
        ),
        (
            (CAME, TAKEN, "to=<bob@bastide.example>, delay=00:00:00, mailer=hop25, pri=30026, stat=queued"),
            "queued",
        ),
        (
            (CAME, TAKEN, SENT.replace("<bob@", '<"to=x, pri=1, stat=y"@'), DONE),
            "delivered",
        ),
    ],
)
def test_a_message_ends_as_its_lines_say(texts: tuple[str, ...], end: str) -> None:
    assert end_of(trail_of(*texts), int(NOW.timestamp() * 1000) - 3_600_000) == end


def test_who_sent_it_and_what_it_is_called_are_kept() -> None:
    trail = trail_of(CAME, REFUSED)
    assert (trail.client, trail.message_id, trail.ours) == (
        "client.sender.example[198.51.100.10]", "<1@sender.example>", True
    )  # fmt: skip
    assert not trail_of(CAME, LATER).ours


def test_filterds_way_in_is_told_by_its_name() -> None:
    assert trail_of(
        CAME.replace("client.sender.example [198.51.100.10]", "localhost"), tag="filterd-inject"
    ).name == ("filterd-inject")


def test_what_is_refused_at_the_door_is_counted_by_its_ruleset() -> None:
    log = MailLog(NOW)
    text = "ruleset=check_rcpt, arg1=<eve@elsewhere.example>, relay=x [192.0.2.1], reject=550 5.7.1 Relaying denied"
    list(log.read([f"2026-11-22T15:53:16+0000 mx1 sendmail[1]: {ID}: {text}\n"]))
    assert dict(log.refused_at_the_door) == {"reject check_rcpt": 1}


# What quotes an address may hold is much, and each of these lines is of a message that was taken.
@pytest.mark.parametrize(
    "text",
    [
        CAME.replace("alice@sender.example", '"ruleset=a, reject=554"@x'),
        CAME.replace("alice@sender.example", '"ruleset=a, arg1=b, relay=c [192.0.2.1], reject=554 no"@x'),
        'ruleset=check_rcpt, arg1=<"a, reject=554 no"@x>, relay=x [192.0.2.1], quarantine=Held (rule mta.client.x)',
        'ruleset=check_rcpt, arg1=<"a, reject=554 no"@x>, relay=x [192.0.2.1], discard',
    ],
)
def test_18_what_a_sender_writes_makes_no_line_of_the_door(text: str) -> None:
    log = MailLog(NOW)
    list(log.read([f"2026-11-22T15:53:16+0000 mx1 sendmail[1]: {ID}: {text}\n"]))
    assert not log.refused_at_the_door
    assert list(log.trails) == [ID]


@pytest.mark.parametrize(
    ("address", "said", "verb"),
    [
        ("a@x", "reject=550 5.7.1 <a@x>... Relaying denied", "reject"),
        ('"b, quarantine=c"@x', 'reject=550 5.7.1 <"b, quarantine=c"@x>... Relaying denied', "reject"),
        ('"b, quarantine=c"@x', "reject=550 5.7.1 Relaying denied", "reject"),
        ('"b, reject=550 c"@x', "quarantine=Held", "quarantine"),
        ('"b, reject=550 c, reject=550 c"@x', "quarantine=Held", "quarantine"),
    ],
)
def test_a_rulesets_decision_is_not_what_an_address_says(address: str, said: str, verb: str) -> None:
    found = decided(f"{ID}: ruleset=check_rcpt, arg1=<{address}>, relay=x [192.0.2.1], {said}")
    assert found is not None
    assert (found.ruleset, found.verb, found.said) == ("check_rcpt", verb, said.partition("=")[2])


@pytest.mark.parametrize("tag", ["sm-client[1]", "cron[1]", "sendmail", "sendmail[x]"])
def test_lines_of_others_are_none(tag: str) -> None:
    assert parsed(f"2026-11-22T15:53:16+0000 mx1 {tag}: {ID}: {CAME}", NOW) is None
