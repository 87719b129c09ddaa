"""The daily report: how figures look, how long they are kept, what is mailed."""

import email
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email import policy as mime
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from filterd.config import Config, NotifySettings, ReportSettings
from filterd.report import gather
from filterd.report.figures import Candidate, Door, Figures, Kept, Part, Row
from filterd.report.gather import day_of
from filterd.report.pages import as_html, as_text, sections, size
from filterd.report.shelf import Shelf, addressee, letter_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def figures(**changes: Any) -> Figures:
    rows = (Row(key="a", messages=3, bytes=4500), Row(key="b", messages=1, bytes=10, warned=1))
    given: dict[str, Any] = {
        "gateway": "mx1.example.org", "day": "2026-11-21", "since": "s", "until": "u", "made": "m", "messages": 4,
        "bytes": 4510, "store_bytes": 1_500_000, "ledger_bytes": 10, "signatures_hours": 3.2, "mta": "Grand Totals",
        "candidates": (Candidate(rule="html.form", received="r", queue_id="q", sender="x", client="c", detail="d"),),
        "kept": (Kept(kind="quarantine", entries=7, fresh=2),), "parts": (Part(name="clamd"),), "door": Door(refused=2),
    }  # fmt: skip
    names = (
        "directions",
        "verdicts",
        "outcomes",
        "rules",
        "dnsbl",
        "senders",
        "recipients",
        "clients",
        "sizes",
        "hours",
    )
    return Figures(**(dict.fromkeys(names, rows) | given | changes))


def test_both_forms_of_the_report_show_what_was_held_discarded_and_warned_of() -> None:
    rows = {name: (Row(key=f"mta.{name}.x", messages=7),) for name in ("held", "discarded", "warned")}
    made = figures(door=Door(held=rows["held"], discarded=rows["discarded"], warned=rows["warned"]))
    for text in (as_text(made), as_html(made)):
        for title in ("Held by the MTA", "Discarded by the MTA", "Only warned of by the MTA"):
            assert title in text
        assert all(f"mta.{name}.x" in text for name in rows)


def test_the_text_has_every_figure() -> None:
    text = as_text(figures())
    assert re.search(r"(?m)^a +3 +75\.0% +4\.5 kB$", text)
    assert re.search(r"(?m)^quarantine +7 +2$", text)
    assert "The store takes 1.5 MB" in text
    assert "html.form" in text
    assert "Grand Totals" in text


def test_what_fails_stands_first() -> None:
    failing = figures(parts=(Part(name="clamd", problem="it is down"), Part(name="spamd")))
    assert next(sections(failing)).title == "Fails now"
    assert "it is down" in as_text(failing)


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


HOSTILE = "\x1b[2J<script>alert(1)</script>\"' onclick=x &amp; \u202e\r\nBcc: x"


@pytest.mark.parametrize("place", ["rows", "candidates", "parts", "mta", "note", "gateway"])
def test_what_peers_wrote_is_shown_and_not_obeyed(place: str) -> None:
    row = (Row(key=HOSTILE, messages=1),)
    places: dict[str, dict[str, Any]] = {
        "rows": {"senders": row, "clients": row, "rules": row, "verdicts": row},
        "candidates": {
            "candidates": (
                Candidate(
                    rule="r", received=HOSTILE, queue_id=HOSTILE, sender=HOSTILE, client="c", detail=HOSTILE
                ),
            )
        },
        "parts": {"parts": (Part(name=HOSTILE, problem=HOSTILE),)},
        "mta": {"mta": f"a\n{HOSTILE}\nb"},
        "note": {"door": Door(note=HOSTILE, rules=row, lists=row, warned=row)},
        "gateway": {"gateway": HOSTILE},
    }
    of = figures(**places[place])
    page, text = as_html(of), as_text(of)
    tags = Tags()
    tags.feed(page)
    assert tags.seen <= {"html", "lang", "head", "meta", "charset", "title", "style", "body", "h1", "h2", "p", "section",
                         "table", "tr", "th", "td", "pre", "class"}  # fmt: skip
    assert not tags.open
    assert "&lt;script&gt;" in page
    for made in (page, text):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", made)
    assert message(of, config())["Bcc"] is None


def config(**notify: Any) -> Config:
    return Config(notify=NotifySettings(admin="ops@example.org", **notify))


def message(of: Figures, chosen: Config) -> EmailMessage:
    (content,) = letter_of(of, chosen, "mx1.example.org").content
    made = email.message_from_bytes(content, policy=mime.default)
    assert isinstance(made, EmailMessage)
    return made


def test_the_letter_is_text_and_page_and_answers_to_nobody() -> None:
    of = figures(gateway="mx1.example.org", senders=(Row(key="gr\u00fc\u00df@example.org", messages=1),))
    letter = letter_of(of, config(), "mx1.example.org")
    assert (letter.sender, letter.recipients, letter.eight_bit) == (b"<>", (b"<ops@example.org>",), False)
    made = message(of, config())
    assert made["Subject"] == "Mail gateway mx1.example.org: report of 2026-11-21"
    assert (made["Auto-Submitted"], made.get_content_type()) == ("auto-generated", "multipart/alternative")
    plain, html = (str(part.get_content()).replace("\r\n", "\n") for part in made.iter_parts())
    assert (plain.strip(), html.strip()) == (as_text(of).strip(), as_html(of).strip())


def test_who_gets_it() -> None:
    assert addressee(config()) == "ops@example.org"
    own = msgspec.structs.replace(config(), report=ReportSettings(address="boss@example.org"))
    assert addressee(own) == "boss@example.org"
    assert message(figures(), own)["To"] == "boss@example.org"


def test_reports_are_kept_privately_and_not_for_ever(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports")
    for day in ("2026-01-01", "2026-11-20", "2026-11-21"):
        shelf.keep(figures(day=day))
    shelf.note_mailed(date(2026, 1, 1))
    (tmp_path / "reports" / "notes.txt").write_text("mine")
    assert shelf.tidy(90, date(2026, 11, 22)) == 4
    left = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert left == [
        *(f"2026-11-{day}.{ending}" for day in (20, 21) for ending in ("html", "json", "txt")), "notes.txt"
    ]  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "reports").glob("2026*")} == {0o600}
    assert shelf.read(date(2026, 11, 21)) == figures()
    assert shelf.read(date(2026, 1, 1)) is None
    assert not shelf.mailed(date(2026, 11, 21))


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ("true", ""),
        ("false", "the MTA's log could not be read (journalctl ended with exit code 1)"),
        ("/nonexistent/journalctl", "the MTA's log could not be read (No such file or directory)"),
    ],
)
def test_a_log_that_cannot_be_read_is_no_log_without_refusals(
    command: str, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "JOURNAL", (command,))
    monkeypatch.setattr(gather, "_PFLOGSUMM", "/nonexistent/pflogsumm")
    seen, mta = gather.read_log(Config(), day_of(date(2026, 11, 21)))
    assert (seen.note, seen.lines, mta) == (note, 0, "")


def test_a_report_of_another_form_is_none(tmp_path: Path) -> None:
    (tmp_path / "2026-11-21.json").write_text('{"day": 1}')
    assert Shelf(tmp_path).read(date(2026, 11, 21)) is None


def test_a_day_goes_from_midnight_to_midnight_by_the_local_clock() -> None:
    one, next_one = day_of(date(2026, 3, 28)), day_of(date(2026, 3, 29))
    assert one.until_ms == next_one.since_ms
    assert datetime.fromtimestamp((one.since_ms or 0) / 1000).hour == 0  # noqa: DTZ006 - the local clock is meant


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The gateway's clock goes by another zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


# The night of a change of the clock, how long the day behind it is, and when it begins.
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29), 23.0, "00:00"),
    ("Europe/Berlin", date(2026, 10, 25), 25.0, "00:00"),
    ("America/Santiago", date(2025, 9, 7), 23.0, "01:00"),
    ("Asia/Beirut", date(2025, 3, 30), 23.0, "01:00"),
    ("America/Havana", date(2025, 11, 2), 25.0, "00:00"),
    ("Asia/Kolkata", date(2026, 3, 29), 24.0, "00:00"),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5, "00:00"),
]


@pytest.mark.parametrize(("zone", "day", "hours", "begins"), CHANGES, indirect=["zone"])
def test_b7_a_day_begins_with_its_first_moment_also_over_changes_of_the_clock(
    zone: str, day: date, hours: float, begins: str
) -> None:
    own, before, behind = (day_of(day + timedelta(days=at)) for at in (0, -1, 1))
    assert own.since_ms is not None
    assert own.until_ms is not None
    assert (before.until_ms, own.until_ms) == (own.since_ms, behind.since_ms)
    assert (own.until_ms - own.since_ms) / 3_600_000 == hours, zone
    first = datetime.fromtimestamp(own.since_ms / 1000, UTC).astimezone()
    last = datetime.fromtimestamp((own.since_ms - 1) / 1000, UTC).astimezone()
    assert (first.date(), last.date()) == (day, day - timedelta(days=1))
    assert f"{first:%H:%M}" == begins


def kept_on(shelf: Shelf, *days: int, mailed: bool = True) -> None:
    for day in days:
        shelf.keep(figures(day=f"2026-11-{day:02}"))
        if mailed:
            shelf.note_mailed(date(2026, 11, day))


@pytest.mark.parametrize(
    ("kept", "lacking"),
    [
        ((), [21]),  # the first night: there was nothing to report on
        ((20,), [21]),
        ((17,), [18, 19, 20, 21]),
        ((17, 19), [18, 20, 21]),
        ((2,), [15, 16, 17, 18, 19, 20, 21]),  # bounded
        ((2, 20, 21), [15, 16, 17, 18, 19, 21]),
    ],
)
def test_b6_nights_that_were_missed_are_made_up_for_within_a_bound(
    kept: tuple[int, ...], lacking: list[int], tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "reports")
    kept_on(shelf, *kept)
    found = shelf.lacking(date(2026, 11, 21), 7, mailed=True)
    assert [one.day for one in found] == lacking
    for one in found:
        kept_on(shelf, one.day)
    # Each once; the last one is always looked at.
    assert [one.day for one in shelf.lacking(date(2026, 11, 21), 7, mailed=True)] == [21]
    assert [one.day for one in shelf.lacking(date(2026, 11, 22), 7, mailed=True)] == [22]


def test_b6_a_report_that_was_kept_and_not_mailed_is_still_to_be_mailed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports")
    kept_on(shelf, 18)
    kept_on(shelf, 19, mailed=False)
    day = date(2026, 11, 20)
    assert [one.day for one in shelf.lacking(day, 7, mailed=True)] == [19, 20]
    assert [one.day for one in shelf.lacking(day, 7, mailed=False)] == [20]


@pytest.mark.parametrize(
    ("many", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB")]
)
def test_sizes_are_for_readers(many: int, shown: str) -> None:
    assert size(many) == shown
