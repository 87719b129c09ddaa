"""The MTA's log against the ledger: lines as Postfix writes them, and what each contradiction is called."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from filterd.ledger.known import Known, gateways, injected_at, known, of_gateways
from filterd.ledger.maillog import Line, MailLog, parsed
from filterd.ledger.reconcile import Reconciled, compared
from filterd.ledger.records import Injected
from filterd.ledger.writer import Writer
from tests.unit.filterd.entries import quarantined, record, write

BEGIN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
NOW = BEGIN + timedelta(days=1)
AT = int((BEGIN + timedelta(minutes=10)).timestamp() * 1000)
LONG = "4jXLFN1vzLzD5NJ"
SHORT = "3C2A41F06E"
CLIENT = "client=client.sender.example[198.51.100.10]"
ACTIVE = "from=<s@sender.example>, size=267, nrcpt=1 (queue active)"
SENT = (
    "to=<bob@bastide.example>, relay=198.18.0.25[198.18.0.25]:25, delay=1.2, delays=1.1/0/0.01/0, dsn=2.0.0, "
    "status=sent (250 2.0.0 Recorded as 1795332312412200783-1)"
)
DEFERRED = (
    "to=<bob@bastide.example>, relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, status=deferred "
    "(connect to 198.18.0.25[198.18.0.25]:25: Connection timed out)"
)
BOUNCED = (
    'to=<"a, b"@bastide.example>, orig_to=<root>, relay=local, conn_use=2, delay=0.1, delays=0/0/0/0.1, dsn=5.1.1, '
    'status=bounced (unknown user: "ab")'
)
LATER = (
    "milter-reject: END-OF-MESSAGE from client.sender.example[2001:db8::1]: 4.7.1 Message not inspected, please try "
    "again later [virus.unavailable] id=4jXLFN1vzLzD5NJ; from=<s@sender.example> to=<bob@bastide.example> proto=ESMTP helo=<c>"
)
REFUSED = LATER.replace("4.7.1 Message not inspected, please try again later", "5.7.1 Message refused: virus")
TOO_BIG = (
    "milter-reject: END-OF-MESSAGE from client.sender.example[198.51.100.10]: 5.3.4 Message file too big; "
    "from=<s@sender.example> to=<bob@bastide.example> proto=ESMTP helo=<c>"
)
DISCARD = (
    "milter-discard: END-OF-MESSAGE from client.sender.example[198.51.100.10]: milter triggers DISCARD action; "
    "from=<s@sender.example> to=<bob@bastide.example> proto=ESMTP helo=<c>"
)


def line(minute: float, daemon: str, text: str, *, name: str = "postfix", host: str = "mx1") -> str:
    at = BEGIN + timedelta(minutes=minute)
    return f"{at.isoformat(timespec='microseconds')} {host} {name}/{daemon}[1234]: {text}\n"


def story(queue_id: str, *steps: tuple[str, str], minute: float = 10, name: str = "postfix") -> list[str]:
    return [line(minute, daemon, f"{queue_id}: {text}", name=name) for daemon, text in steps]


TAKEN = (("smtpd", CLIENT), ("cleanup", "message-id=<1@sender.example>"), ("qmgr", ACTIVE))
DELIVERED = (*TAKEN, ("smtp", SENT), ("qmgr", "removed"))


def log_of(*lines: Iterable[str]) -> MailLog:
    """Return a log of two hours with these lines in it."""
    log = MailLog(NOW)
    first, last = line(0, "master", "daemon started"), line(120, "master", "reload")
    for _ in log.read([first, *itertools.chain.from_iterable(lines), last]):
        pass
    return log


def one(
    *outcomes: str, queue_id: str = LONG, injections: tuple[str, ...] = (), at: int = AT, message_id: str = "<1@sender.example>"
) -> Known:  # fmt: skip
    return Known(
        id="m1", queue_id=queue_id, received_ms=at, gateway="mx1.bastide.example", message_id=message_id,
        outcomes=frozenset(outcomes), injections=injections,
    )  # fmt: skip


def whys(made: Reconciled) -> list[tuple[str, str]]:
    assert made.unexplained_count == len(made.unexplained)
    return [(each.side, each.why) for each in made.unexplained]


# --- lines


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("2026-11-22T07:25:11+0000 mx1 postfix/smtpd[3417]: connect from x[192.0.2.1]", ("postfix", "smtpd")),
        ("2026-11-22T08:25:11.123456+01:00 mx1 postfix-out/qmgr[1]: x", ("postfix-out", "qmgr")),
        (
            "2026-11-22T07:25:11Z mx1 postfix/filterd-inject/smtpd[7]: warning: x",
            ("postfix/filterd-inject", "smtpd"),
        ),
    ],
)
def test_lines_with_a_full_time(text: str, tag: tuple[str, str]) -> None:
    found = parsed(text, NOW)
    assert found is not None
    assert (found.name, found.daemon) == tag
    assert found.at_ms // 1000 == int(datetime(2026, 11, 22, 7, 25, 11, tzinfo=UTC).timestamp())
    assert not found.text.startswith("warning")


@pytest.mark.parametrize(
    ("text", "now", "year"),
    [
        ("Nov 22 07:25:18 mx1 postfix/smtpd[1]: x", NOW, 2026),
        ("Dec 31 23:59:59 mx1 postfix/smtpd[1]: x", datetime(2026, 1, 1, tzinfo=UTC), 2025),
        ("Feb 29 10:00:00 mx1 postfix/smtpd[1]: x", datetime(2028, 3, 1, tzinfo=UTC), 2028),
        ("Jan  5 10:00:00 mx1 postfix/smtpd[1]: x", datetime(2026, 1, 5, tzinfo=UTC), 2026),
    ],
)
def test_lines_without_a_year_are_of_the_last_one_that_is_not_to_come(
    text: str, now: datetime, year: int
) -> None:
    found = parsed(text, now)
    assert found is not None
    assert datetime.fromtimestamp(found.at_ms / 1000, UTC).year == year


@pytest.mark.parametrize(
    "text",
    [
        "", "-- Boot 1 --", "Nov 31 07:25:18 mx1 postfix/smtpd[1]: x", "Foo 1 07:25:18 mx1 postfix/smtpd[1]: x",
        "Nov 22 07:25:18 mx1 sshd[12]: x", "Nov 22 07:25:18 mx1 kernel: x", "x" * 100_000,
    ],
)  # fmt: skip
def test_other_lines_are_passed_over(text: str) -> None:
    assert parsed(text, NOW) is None


@given(st.text(max_size=200))
def test_no_line_breaks_the_reader(text: str) -> None:
    log = MailLog(NOW)
    for start in (
        "Nov 22 07:25:18 mx1 postfix/smtpd[1]: ",
        "2026-11-22T07:25:11Z mx1 postfix/cleanup[1]: 4jXLFN1vzLzD5NJ: ",
    ):
        assert isinstance(parsed(start + text, NOW), Line | None)
        list(log.read([start + text]))


@pytest.mark.parametrize("queue_id", [LONG, SHORT, "4jXLFS6mstzD5fN"])
def test_trails_of_long_and_short_queue_ids(queue_id: str) -> None:
    (trail,) = log_of(story(queue_id, *DELIVERED)).trails[queue_id]
    assert (trail.client, trail.message_id) == ("client.sender.example[198.51.100.10]", "<1@sender.example>")
    assert (trail.queued, trail.removed, trail.statuses) == (True, True, {"sent": 1})


def test_a_queue_id_that_is_used_again_is_another_trail() -> None:
    log = log_of(story(SHORT, *DELIVERED), story(SHORT, ("smtpd", CLIENT), ("cleanup", REFUSED), minute=50))
    assert [trail.answer for trail in log.trails[SHORT]] == ["", "refused"]
    records = [one("passed", queue_id=SHORT), one("refused", queue_id=SHORT, at=AT + 40 * 60_000)]
    assert whys(compared(log, records)) == []


def test_probes_and_words_of_the_log_are_no_messages_by_smtp() -> None:
    probe = story("4jXLFM1ww8zD5Sl", ("cleanup", "message-id=<x@mx1>"), ("qmgr", ACTIVE), ("qmgr", "removed"))
    words = [
        line(
            9,
            "smtpd",
            "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 <a@b>: Relay access denied; from=<>",
        )
    ]
    words.append(line(9, "scache", "statistics: start interval Nov 22"))
    made = compared(log_of(probe, words), [])
    assert (whys(made), made.log, made.at_the_door) == ([], {}, {"reject RCPT": 1})


def test_what_dns_lists_refused_at_the_door_is_counted() -> None:
    blocked = (
        "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
        "Zen.example.net; listed; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<x>"
    )
    lines = [line(9, "smtpd", blocked), line(9, "postscreen", "DNSBL rank 3 for [192.0.2.1]:4711")]
    assert log_of(lines).refused_at_the_door == {"DNSBL zen.example.net": 1, "postscreen DNSBL": 1}


# --- one record and one trail


@pytest.mark.parametrize(
    ("outcome", "steps", "end"),
    [
        ("passed", DELIVERED, "delivered"),
        ("passed", (*TAKEN, ("local", BOUNCED), ("bounce", "sender non-delivery notification: 4X"), ("qmgr", "removed")), "bounced"),
        ("passed", (*TAKEN, ("smtp", DEFERRED)), "queued"),
        ("passed", (*TAKEN, ("qmgr", "from=<s@x.example>, status=expired, returned to sender"), ("qmgr", "removed")), "bounced"),
        ("passed", (*TAKEN, ("postsuper", "removed")), "removed by hand"),
        ("passed", (("smtpd", CLIENT), ("cleanup", LATER)), "later"),
        ("quarantined", (("smtpd", CLIENT), ("cleanup", "message-id=<1@x>")), "broken off"),
        ("quarantined", (("smtpd", CLIENT), ("cleanup", DISCARD)), "discarded"),
        ("discarded", (("smtpd", CLIENT), ("cleanup", DISCARD)), "discarded"),
        ("quarantined", (("smtpd", CLIENT), ("cleanup", LATER)), "later"),
        ("passed", (("smtpd", CLIENT), ("cleanup", TOO_BIG)), "refused"),
        ("refused", (("smtpd", CLIENT), ("cleanup", REFUSED)), "refused"),
        ("refused", (("smtpd", CLIENT),), "broken off"),
        ("deferred", (("smtpd", CLIENT), ("cleanup", LATER)), "later"),
    ],
)  # fmt: skip
def test_what_agrees(outcome: str, steps: tuple[tuple[str, str], ...], end: str) -> None:
    made = compared(log_of(story(LONG, *steps)), [one(outcome)])
    assert (whys(made), made.log, made.ledger) == ([], {end: 1}, {outcome: 1})


@pytest.mark.parametrize(
    ("outcome", "steps", "why"),
    [
        ("passed", (("smtpd", CLIENT), ("cleanup", DISCARD)), ("ledger", "passed, but the log says discarded")),
        ("passed", (("smtpd", CLIENT), ("cleanup", REFUSED)), ("ledger", "passed, but the log says refused")),
        ("passed", (*TAKEN, ("qmgr", "removed")), ("log", "taken, and neither delivered, bounced nor queued")),
        ("passed", TAKEN, ("log", "taken, and neither delivered, bounced nor queued")),
        ("passed", (*TAKEN, ("smtp", DEFERRED), ("qmgr", "removed")), ("log", "taken, and neither delivered, bounced nor queued")),
        ("passed", TAKEN[:2], ("log", "passed, but the log says broken off, and has no later try")),
        ("quarantined", DELIVERED, ("ledger", "quarantined, but the MTA took it (delivered)")),
        ("refused", DELIVERED, ("ledger", "refused, but the MTA took it (delivered)")),
        ("deferred", DELIVERED, ("ledger", "deferred, but the MTA took it (delivered)")),
        ("quarantined", (("smtpd", CLIENT), ("cleanup", REFUSED)), ("ledger", "quarantined, but the log says refused")),
        ("refused", (("smtpd", CLIENT), ("cleanup", DISCARD)), ("ledger", "refused, but the log says discarded")),
    ],
)  # fmt: skip
def test_what_does_not(outcome: str, steps: tuple[tuple[str, str], ...], why: tuple[str, str]) -> None:
    assert whys(compared(log_of(story(LONG, *steps)), [one(outcome)])) == [why]


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (DELIVERED, [("log", "the ledger does not know it (delivered)")]),
        ((("smtpd", CLIENT), ("cleanup", DISCARD)), [("log", "the ledger does not know it (discarded)")]),
        ((("smtpd", CLIENT), ("cleanup", LATER)), []),
        ((("smtpd", CLIENT), ("cleanup", REFUSED)), []),
        ((("smtpd", CLIENT),), []),
        ((("pickup", "uid=0 from=<root>"), *DELIVERED[1:]), []),
    ],
)
def test_what_the_ledger_does_not_know(
    steps: tuple[tuple[str, str], ...], why: list[tuple[str, str]]
) -> None:
    assert whys(compared(log_of(story(LONG, *steps)), [])) == why


@pytest.mark.parametrize(
    ("outcome", "count"),
    [("passed", 1), ("quarantined", 1), ("injected", 1), ("refused", 0), ("deferred", 0)],
)
def test_what_the_log_does_not_know(outcome: str, count: int) -> None:
    assert compared(log_of(), [one(outcome)]).unexplained_count == count
    assert compared(log_of(), [one(outcome, queue_id="none")]).unexplained_count == count


def test_times_near_the_edges_are_left_out() -> None:
    early = int(BEGIN.timestamp() * 1000) + 30_000
    late = early + 119 * 60_000
    assert whys(compared(log_of(), [one("passed", at=early), one("passed", at=late)])) == []
    assert whys(compared(log_of(story(LONG, *DELIVERED, minute=119.5)), [])) == []
    assert whys(compared(log_of(story(LONG, *DELIVERED)), [], until_ms=AT)) == []
    assert whys(compared(log_of(), [one("passed")], since_ms=AT + 1)) == []


def counts(made: Reconciled) -> tuple[int, int]:
    return sum(made.log.values()), sum(made.ledger.values())


@pytest.mark.parametrize("took_s", [0, 3, 59, 600])
@pytest.mark.parametrize(("since_ms", "until_ms"), [(None, None), (AT, None), (None, AT + 1_800_000)])
def test_each_message_counts_on_both_sides_or_on_none(
    took_s: int, since_ms: int | None, until_ms: int | None
) -> None:
    """A message every seven seconds, the ledger's time of it being that of its last byte: no edge divides any."""
    stories, records = [], []
    for number in range(1020):
        queue_id, begun = f"{0xA000000 + number:X}", number * 7 / 60
        stories.append(story(queue_id, *DELIVERED, minute=begun))
        at = int((BEGIN + timedelta(minutes=begun, seconds=took_s)).timestamp() * 1000)
        records.append(one("passed", queue_id=queue_id, at=at))
    made = compared(log_of(*stories), records, since_ms=since_ms, until_ms=until_ms)
    assert (whys(made), made.log, made.explained) == ([], {"delivered": made.ledger["passed"]}, {})
    assert 200 < made.ledger["passed"] < len(records)


@given(st.lists(st.integers(0, 7200), min_size=1, max_size=4), st.lists(st.integers(0, 7200), max_size=20))
def test_ranges_that_adjoin_have_each_message_once(bounds: list[int], came: list[int]) -> None:
    stories = [
        story(f"{0xA000000 + number:X}", *DELIVERED, minute=second / 60) for number, second in enumerate(came)
    ]
    begin = int(BEGIN.timestamp() * 1000)
    ends = [None, *(begin + second * 1000 for second in sorted(bounds)), None]
    log = log_of(*stories)
    records = [
        one("passed", queue_id=f"{0xB000000 + number:X}", at=begin + s * 1000)
        for number, s in enumerate(came)
    ]
    parts = [
        compared(log, records, since_ms=since, until_ms=until) for since, until in itertools.pairwise(ends)
    ]
    whole = compared(log, records)
    assert sum(part.unexplained_count for part in parts) == whole.unexplained_count
    assert sum(part.log.get("delivered", 0) for part in parts) == whole.log.get("delivered", 0)
    assert sum(part.ledger.get("passed", 0) for part in parts) == whole.ledger.get("passed", 0)
    assert whole.ledger.get("passed", 0) == sum(60 <= second <= 7140 for second in came)


def test_what_is_handed_over_at_once_counts_with_its_message() -> None:
    milter = story(LONG, ("smtpd", CLIENT), ("cleanup", DISCARD), minute=0.9)
    handed = story(SHORT, *DELIVERED, minute=1.1)
    came = int((BEGIN + timedelta(minutes=0.95)).timestamp() * 1000)
    log = log_of(milter, handed)
    made = compared(log, [one("injected", injections=(SHORT,), at=came)], {SHORT: "m1"})
    assert (whys(made), counts(made)) == ([], (0, 0))
    made = compared(log, [one("injected", injections=(SHORT,), at=came + 6000)], {SHORT: "m1"})
    assert (whys(made), counts(made)) == ([], (2, 1))
    # A release counts when it was.
    released = log_of(milter, story(SHORT, *DELIVERED, minute=30))
    made = compared(released, [one("quarantined", injections=(SHORT,), at=came)], {SHORT: "m1"})
    assert (whys(made), counts(made)) == ([], (1, 0))
    lost = log_of(milter, story(SHORT, *TAKEN, ("qmgr", "removed"), minute=30))
    made = compared(lost, [one("quarantined", injections=(SHORT,), at=came)], {SHORT: "m1"})
    assert whys(made) == [("log", "injected, but the log says vanished")]


def test_a_message_whose_client_was_named_before_the_log_counts_on_both_sides() -> None:
    made = compared(log_of(story(LONG, *DELIVERED[1:])), [one("passed")])
    assert (whys(made), counts(made)) == ([], (1, 1))


def test_the_door_has_the_same_range() -> None:
    refused = "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 <a@b>: Relay access denied; from=<>"
    log = MailLog(NOW, since_ms=AT, until_ms=AT + 60_000)
    assert not list(log.read(line(minute, "smtpd", refused) for minute in (9, 10, 10.5, 11)))
    assert log.refused_at_the_door == {"reject RCPT": 2}


# --- what filterd hands over itself


def test_variants_that_were_handed_over() -> None:
    milter = story(LONG, ("smtpd", CLIENT), ("cleanup", DISCARD))
    handed = story(SHORT, *DELIVERED)
    assert whys(compared(log_of(milter, handed), [one("injected", injections=(SHORT,))])) == []
    assert whys(compared(log_of(milter), [one("injected", injections=(SHORT,))])) == [
        ("ledger", "injected, but the log has nothing of it")
    ]
    lost = story(SHORT, *TAKEN, ("qmgr", "removed"))
    assert whys(compared(log_of(milter, lost), [one("injected", injections=(SHORT,))])) == [
        ("ledger", "injected, but the log says vanished")
    ]


def test_a_hand_over_whose_note_was_lost_is_known_by_its_message_id() -> None:
    milter = story(LONG, ("smtpd", CLIENT), ("cleanup", DISCARD))
    handed = (("smtpd", "client=localhost[127.0.0.1]"), *DELIVERED[1:])
    made = compared(log_of(milter, story(SHORT, *handed)), [one("injected")])
    assert whys(made) == []
    assert sum(made.explained.values()) == 2
    assert whys(compared(log_of(milter), [one("injected")])) == [
        ("ledger", "injected, and no queue id of it is known")
    ]


def test_notices_come_by_a_service_of_their_own_or_are_noted() -> None:
    notice = story(SHORT, *DELIVERED, name="postfix/filterd-inject")
    assert whys(compared(log_of(notice), [])) == []
    assert whys(compared(log_of(story(SHORT, *DELIVERED)), [], {SHORT: "m1"})) == []


# --- with a database


def test_records_are_read_from_the_ledger(ledger: Engine, tmp_path: Path) -> None:
    first = record(0, received_ms=AT, queue_id=LONG)
    kept = quarantined(tmp_path, received_ms=AT + 1000, queue_id="4jXLFS2B5mzD5fN")
    other = record(2, received_ms=AT + 2000, queue_id="4jXLFR0blyzD5c6", gateway="mx2.bastide.example")
    write(ledger, first, kept, other, *(record(9, received_ms=AT) for _ in range(1100)))
    Writer(ledger, now=lambda: AT / 1000).write([Injected(number=1, message_id=kept.id, queue_ids=(SHORT,))])
    with ledger.connect() as connection:
        found = list(known(connection, AT, AT + 1000))
        assert len(found) == 1102
        assert len(list(known(connection, AT + 1, AT + 3000))) == 2
        assert injected_at(connection, AT, AT) == {SHORT: kept.id}
        records = {each.id: each for each in known(connection, AT + 1, AT + 3000)}
    assert records[kept.id].injections == (SHORT,)
    assert records[kept.id].outcomes == {"quarantined"}
    log = log_of(
        story("4jXLFS2B5mzD5fN", ("smtpd", CLIENT), ("cleanup", DISCARD)), story(SHORT, *DELIVERED, minute=11)
    )
    names = gateways(records.values(), log)
    assert list(of_gateways([records[other.id]], names)) == []  # another gateway's, whose log this is not
    mine = list(of_gateways(records.values(), names))
    assert whys(compared(log, mine)) == []
