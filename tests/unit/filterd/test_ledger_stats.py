"""Counts over the ledger."""

import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from filterd.ledger.queries import iso
from filterd.ledger.records import FoundIn
from filterd.ledger.stats import BY, By, Range, counted, is_dnsbl, totals
from tests.unit.filterd.entries import CONTENT, START, quarantined, record, write

SCORE = FoundIn(
    stage="spam", rule="spam.score", verdict="spam", score=7.0, detail="RCVD_IN_SBL,URIBL_BLACK,BAYES_99,RCVD_IN_SBL"
)  # fmt: skip
LOW = FoundIn(
    stage="spam",
    rule="spam.score",
    verdict="spam",
    score=1.0,
    detail="RCVD_IN_SBL,URIBL_BLOCKED",
    counted=False,
)
WARNED = FoundIn(stage="html", rule="html.form", verdict="suspicious", counted=False)


@pytest.fixture
def filled(ledger: Engine, tmp_path: Path) -> Engine:
    write(
        ledger,
        record(0, "a@example.org", "b@example.org", findings=[LOW, WARNED, WARNED]),
        record(1, findings=[LOW]),
        record(61, findings=[LOW, WARNED], client_address="192.0.2.1", sender=""),
        quarantined(tmp_path, number=62, findings=[SCORE]),
    )
    return ledger


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("verdict", [("clean", 3, 0), ("spam", 1, 0)]),
        ("rule", [("spam.score", 4, 3), ("html.form", 2, 2)]),
        ("dnsbl", [("RCVD_IN_SBL", 4, 0), ("URIBL_BLACK", 1, 0)]),
        ("outcome", [("passed", 3, 0), ("quarantined", 1, 0)]),
        ("sender", [("s@sender.example", 3, 0), ("", 1, 0)]),
        ("recipient", [("b@example.org", 4, 0), ("a@example.org", 1, 0)]),
        ("client", [("198.51.100.9", 3, 0), ("192.0.2.1", 1, 0)]),
    ],
)
def test_counts(filled: Engine, by: By, rows: list[tuple[str, int, int]]) -> None:
    with filled.connect() as connection:
        assert [(one.key, one.messages, one.warned) for one in counted(connection, by, Range())] == rows


def test_hours_and_days_are_those_of_the_gateway(filled: Engine) -> None:
    with filled.connect() as connection:
        hours = counted(connection, "hour", Range())
        days = counted(connection, "day", Range())
    assert [one.messages for one in hours] == [2, 2]
    assert sum(one.messages for one in days) == 4
    assert sum(one.bytes for one in days) == 4 * len(CONTENT)
    assert days[0].key == iso(START)[:10]
    assert hours[0].key[:10] == iso(START)[:10]


@pytest.mark.parametrize(
    ("zone", "hours", "days"),
    [
        # 23:20, 23:40 and 00:10 of a zone that is half an hour off; UTC's hour would put the second and third together.
        (
            "Asia/Kolkata",
            [("2026-10-01T23:00+05:30", 2), ("2026-10-02T00:00+05:30", 1)],
            [("2026-10-01", 2), ("2026-10-02", 1)],
        ),
        (
            "Asia/Kathmandu",
            [("2026-10-01T23:00+05:45", 2), ("2026-10-02T00:00+05:45", 1)],
            [("2026-10-01", 2), ("2026-10-02", 1)],
        ),
    ],
)
def test_b7_hours_and_days_begin_by_the_clock_of_any_zone(
    zone: str,
    hours: list[tuple[str, int]],
    days: list[tuple[str, int]],
    ledger: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        midnight = int(datetime(2026, 10, 2, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
        minutes = [(midnight + each * 60_000 - START) // 60_000 for each in (-40, -20, 10)]
        write(ledger, *(record(minute) for minute in minutes))
        with ledger.connect() as connection:
            assert [(one.key, one.messages) for one in counted(connection, "hour", Range())] == hours
            assert [(one.key, one.messages) for one in counted(connection, "day", Range())] == days
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_range_bounds_all_counts(filled: Engine) -> None:
    of = Range(since_ms=START + 60_000, until_ms=START + 61 * 60_000)
    with filled.connect() as connection:
        assert totals(connection, of) == (1, len(CONTENT))
        assert totals(connection, Range(until_ms=0)) == (0, 0)
        for by in BY:
            assert sum(one.messages for one in counted(connection, by, of)) == 1, by
            assert len(counted(connection, by, Range(), 1)) == 1


def test_a_symbol_is_a_dns_list_or_is_not() -> None:
    assert [
        one
        for one in ("RCVD_IN_XBL", "URIBL_DBL_SPAM", "URIBL_BLOCKED", "SPF_PASS", "BAYES_50")
        if is_dnsbl(one)
    ] == [
        "RCVD_IN_XBL",
        "URIBL_DBL_SPAM",
    ]
