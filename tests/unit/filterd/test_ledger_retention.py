"""What is past its time goes, and nothing else: kept messages, records, contents."""

import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from filterd.config import StoreSettings
from filterd.findings import Verdict
from filterd.ledger import lists
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.ledger.database import LedgerError, writing
from filterd.ledger.expiry import DAY_MS, expiry
from filterd.ledger.lists import NewRow
from filterd.ledger.records import Kept, Kind, Record, new_id
from filterd.ledger.retention import LISTED_DAYS, tidied
from filterd.ledger.writer import Writer
from tests.unit.filterd.entries import ALICE, kept, record

NOW = time.time()
NOW_MS = int(NOW * 1000)
DAY_S = DAY_MS / 1000
NOTHING = {"kept": 0, "records": 0, "listed": 0, "contents": 0}


def write(engine: Engine, *entries: Kept, digest: str = "", age_days: float = 0) -> str:
    one = record(kept=entries, digest=digest, received_ms=NOW_MS - int(age_days * DAY_MS))
    (answer,) = Writer(engine).write([Record(number=1, message=one)])
    assert not answer.error
    return one.id


def there(engine: Engine, column: Any) -> set[str | int]:
    with engine.connect() as connection:
        return set(connection.execute(select(column)).scalars())


def test_a_kept_message_goes_when_its_time_has_come_and_its_content_with_it(
    ledger: Engine, tmp_path: Path
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    due, later = blobs.put([b"due"]), blobs.put([b"later"])
    old = kept(expires_ms=NOW_MS + DAY_MS)
    young, forever = kept(id=new_id(), expires_ms=NOW_MS + 2 * DAY_MS), kept(id=new_id(), expires_ms=0)
    write(ledger, old, digest=due)
    write(ledger, young, forever, digest=later)
    assert tidied(ledger, blobs, days=90, now=NOW) == NOTHING
    assert tidied(ledger, blobs, days=90, now=NOW + DAY_S + 1) == NOTHING | {"kept": 1, "contents": 1}
    assert there(ledger, s.KEPT.c.id) == {young.id, forever.id}
    assert tidied(ledger, blobs, days=90, now=NOW + 3000 * DAY_S)["kept"] == 1
    assert there(ledger, s.KEPT.c.id) == {forever.id}
    assert [digest for digest, _ in blobs.digests()] == [later]


def test_what_somebody_holds_stays(ledger: Engine, tmp_path: Path) -> None:
    held = kept(expires_ms=NOW_MS)
    blobs = Blobs(tmp_path / "blobs")
    write(ledger, held, digest=blobs.put([b"evidence"]))
    with writing(ledger) as connection:
        connection.execute(update(s.KEPT).values(held_by="alice"))
    assert tidied(ledger, blobs, days=1, now=NOW + 3000 * DAY_S) == NOTHING


def test_what_is_held_at_that_moment_stays(ledger: Engine, tmp_path: Path) -> None:
    one = kept(expires_ms=NOW_MS)
    write(ledger, one)
    tidying = threading.Thread(
        target=tidied, args=(ledger, Blobs(tmp_path / "blobs")), kwargs={"days": 90, "now": NOW + DAY_S}
    )
    with writing(ledger) as connection:
        connection.execute(update(s.KEPT).values(held_by="alice: evidence"))
        tidying.start()
        time.sleep(0.5)  # it has chosen what goes, if it does not wait for us
    tidying.join()
    assert there(ledger, s.KEPT.c.id) == {one.id}


def test_records_go_by_their_age_unless_a_message_is_kept(ledger: Engine, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    old, young = write(ledger, age_days=91), write(ledger, age_days=89)
    of_kept = write(ledger, kept(expires_ms=0), digest=blobs.put([b"x"]), age_days=1000)
    assert tidied(ledger, blobs, days=90, now=NOW)["records"] == 1
    assert there(ledger, s.MESSAGES.c.id) == {young, of_kept}
    assert old not in there(ledger, s.RECIPIENTS.c.message)


def test_entries_of_lists_go_thirty_days_after_their_last_one(ledger: Engine, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    add = partial(lists.add, ledger, ALICE)
    forever = add(NewRow(verdict="reject", sender="@a.example"))
    later = add(NewRow(verdict="reject", sender="@b.example", until=lists.day_in(2)))
    add(NewRow(verdict="reject", sender="@c.example", until=lists.day_in(0)))
    assert tidied(ledger, blobs, days=90, now=NOW + 29 * DAY_S) == NOTHING
    assert tidied(ledger, blobs, days=90, now=NOW + 31.1 * DAY_S) == NOTHING | {"listed": 1}
    assert there(ledger, s.LISTED.c.id) == {forever, later}
    assert tidied(ledger, blobs, days=90, now=NOW + 3000 * DAY_S)["listed"] == 1
    assert there(ledger, s.LISTED.c.id) == {forever}
    assert LISTED_DAYS == 30  # docs/ledger.md says so


def test_many_go_in_steps(ledger: Engine, tmp_path: Path) -> None:
    requests = [Record(number=1, message=record(received_ms=1)) for _ in range(1203)]
    assert not any(answer.error for answer in Writer(ledger).write(requests))
    assert tidied(ledger, Blobs(tmp_path / "blobs"), days=1, now=NOW)["records"] == 1203
    assert not there(ledger, s.RECIPIENTS.c.id)


def test_a_ledger_that_is_new_sweeps_nothing_of_another(
    ledger: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    digest = blobs.put([b"of another"])
    monkeypatch.setattr(Blobs, "belongs_to", lambda *_: False)
    with pytest.raises(LedgerError, match="another ledger"):
        tidied(ledger, blobs, days=1, now=NOW + 3000 * DAY_S)
    assert blobs.path(digest).exists()


@pytest.mark.parametrize(
    ("kind", "verdict", "size", "days"),
    [
        ("quarantine", "spam", 1, 30),
        ("quarantine", "infected", 1, 14),
        ("quarantine", "infected", 11, 7),
        ("copy", "infected", 1, 5),
        ("archive", "clean", 1, 0),
        ("archive", "clean", 11, 7),
        ("discarded", "spam", 1, 3),
    ],
)
def test_the_shortest_time_that_fits_holds(kind: Kind, verdict: str, size: int, days: int) -> None:
    store = StoreSettings(
        quarantine_days=30, copy_days=5, archive_days=0, discard_days=3,
        class_days={Verdict.INFECTED: 14, Verdict.SPAM: 60}, great_bytes=10, great_days=7,
    )  # fmt: skip
    assert expiry(store, kind, verdict, size, 1000) == (1000 + days * DAY_MS if days else 0)
