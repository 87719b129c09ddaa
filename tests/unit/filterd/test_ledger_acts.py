"""What people do with kept mail and lists: who may, what is written down, what goes and what stays."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, delete, select

from filterd.config import ListEntry
from filterd.findings import Verdict
from filterd.ledger import acts, lists
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.ledger.database import writing
from filterd.ledger.lists import NewRow, as_entry
from filterd.ledger.queries import entry
from filterd.ledger.retention import tidied
from filterd.ledger.roles import MATRIX, RefusedError, may
from tests.unit.filterd.entries import ALICE, BOB, OTTO, START, quarantined, write

TODAY = date(2026, 3, 2)


def events(ledger: Engine) -> list[tuple[str, str, str]]:
    with ledger.connect() as connection:
        rows = connection.execute(select(s.EVENTS).order_by(s.EVENTS.c.id)).all()
    return [(row.actor, row.action, row.subject) for row in rows]


def test_the_matrix_says_who_may_do_what() -> None:
    assert all(may("admin", deed, verdict) for deed in MATRIX["admin"] for verdict in (*Verdict, ""))
    assert [one for one in Verdict if may("operator", "release", one)] == ["banned", "spam", "burst", "bulk"]
    assert [one for one in Verdict if may("recipient", "release", one)] == ["spam", "bulk"]
    for role in ("operator", "recipient"):
        for deed in ("delete", "hold", "learn", "export", "release-infected", "change-lists", "search"):
            assert not any(may(role, deed, one) for one in (*Verdict, "")), (role, deed)


def test_a_held_entry_outlives_its_time_until_it_is_let_go(ledger: Engine, tmp_path: Path) -> None:
    one = quarantined(tmp_path)
    write(ledger, one)
    kept_id, blobs, later = one.kept[0].id, Blobs(tmp_path / "store"), START / 1000 + 400 * 86_400
    acts.hold(ledger, ALICE, kept_id, "a court asks for it")
    assert tidied(ledger, blobs, days=90, now=later)["kept"] == 0
    with ledger.connect() as connection:
        found = entry(connection, kept_id)
    assert found is not None
    assert found.held == "alice: a court asks for it"
    with pytest.raises(RefusedError, match="is held"):
        acts.remove(ledger, ALICE, kept_id)
    acts.unhold(ledger, BOB, kept_id)
    with pytest.raises(RefusedError, match="not held"):
        acts.unhold(ledger, BOB, kept_id)
    assert tidied(ledger, blobs, days=90, now=later)["kept"] == 1
    assert events(ledger) == [("alice", "hold", kept_id), ("bob", "unhold", kept_id)]


def test_what_goes_at_that_moment_is_not_said_to_be_held(ledger: Engine, tmp_path: Path) -> None:
    one = quarantined(tmp_path)
    write(ledger, one)
    with ThreadPoolExecutor(1) as pool:
        with writing(ledger) as connection:
            connection.execute(delete(s.KEPT))
            held = pool.submit(acts.hold, ledger, ALICE, one.kept[0].id, "a court asks for it")
            time.sleep(0.5)  # it has read that there is such an entry, if it does not wait for us
        with pytest.raises(RefusedError, match="there is no kept entry"):
            held.result()
    assert events(ledger) == []


def test_a_removed_entry_leaves_its_record_and_its_event(ledger: Engine, tmp_path: Path) -> None:
    one = quarantined(tmp_path)
    write(ledger, one)
    acts.remove(ledger, ALICE, one.kept[0].id)
    with ledger.connect() as connection:
        assert entry(connection, one.kept[0].id) is None
        assert connection.execute(select(s.KEPT_FOR)).all() == []
        assert connection.execute(select(s.MESSAGES.c.id)).scalars().all() == [one.id]
    assert events(ledger) == [("alice", "delete", one.kept[0].id)]
    with pytest.raises(RefusedError, match="there is no kept entry"):
        acts.remove(ledger, ALICE, one.kept[0].id)


def test_who_may_not_changes_nothing(ledger: Engine, tmp_path: Path) -> None:
    one = quarantined(tmp_path)
    write(ledger, one)
    for deed in (
        lambda: acts.remove(ledger, OTTO, one.kept[0].id),
        lambda: acts.hold(ledger, OTTO, one.kept[0].id, "x"),
        lambda: lists.add(ledger, OTTO, NewRow(verdict="reject", sender="@x.example")),
        lambda: lists.remove(ledger, OTTO, 1),
    ):
        with pytest.raises(RefusedError, match="ask an administrator"):
            deed()
    assert events(ledger) == []


def test_list_entries_come_go_and_run_out(ledger: Engine) -> None:
    today = lists.day_in(0)
    first = lists.add(ledger, ALICE, NewRow(verdict="reject", sender="@Spam.example", note="asked for"))
    second = lists.add(
        ledger, ALICE, NewRow(verdict="accept", sender="a@b.example", recipient="c@d.example", until=today)
    )
    with ledger.connect() as connection:
        shown = lists.rows(connection)
        assert [(one.id, one.sender, one.until) for one in shown] == [
            (first, "@spam.example", ""),
            (second, "a@b.example", str(today)),
        ]
        assert [one.id for one in lists.rows(connection, verdict="accept")] == [second]
    with ledger.begin() as connection:
        connection.execute(s.LISTED.update().where(s.LISTED.c.id == second).values(expires_ms=1000))
    with ledger.connect() as connection:
        assert [one.id for one in lists.rows(connection)] == [first]
        assert [one.expired for one in lists.rows(connection, expired=True)] == [False, True]
    lists.remove(ledger, BOB, first)
    with pytest.raises(RefusedError, match="no entry"):
        lists.remove(ledger, BOB, first)
    assert [action for _, action, _ in events(ledger)] == ["list-add", "list-add", "list-remove"]


def test_the_same_entry_again_takes_the_place_of_the_old_one(ledger: Engine) -> None:
    row = NewRow(verdict="reject", sender="@spam.example")
    lists.add(ledger, ALICE, row)
    until = lists.day_in(3)
    lists.add(ledger, ALICE, msgspec.structs.replace(row, until=until))
    with ledger.connect() as connection:
        (only,) = lists.rows(connection)
    assert only.until == str(until)


def test_a_row_is_an_entry_of_the_configuration(ledger: Engine) -> None:
    until = lists.day_in(1)
    row = NewRow(verdict="accept", sender="<>", client="192.0.2.0/24", authentication="none", until=until)
    number = lists.add(ledger, ALICE, row)
    with ledger.connect() as connection:
        (made,) = lists.entries(connection)
        (shown,) = lists.rows(connection)
    assert made == ListEntry(
        name=f"ledger-{number}", verdict="accept", senders=("<>",), clients=("192.0.2.0/24",),
        authentication="none", until=until,
    )  # fmt: skip
    assert msgspec.convert(msgspec.to_builtins(made), ListEntry) == made
    assert as_entry(msgspec.structs.replace(shown, until="")).until == date.max


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (NewRow(verdict="reject", sender="spam.example"), "no address pattern"),
        (NewRow(verdict="reject", sender="@x.example", recipient="<>"), "recipient: '<>' is no address"),
        (NewRow(verdict="reject", sender="@x.example", client="all"), "client: 'all' is no network"),
        (NewRow(verdict="reject", sender="@x.example", until=TODAY - timedelta(days=1)), "run out"),
        (NewRow(verdict="accept", sender="<>"), "no domain that could vouch"),
        (NewRow(verdict="accept", sender="@x.example", authentication="none"), "give --client"),
        (NewRow(verdict="accept", sender="@x.example"), ""),
        (NewRow(verdict="reject", sender="<>", until=TODAY), ""),
    ],
)
def test_entries_that_cannot_do_what_they_say_are_refused(row: NewRow, why: str) -> None:
    found = lists.problem(row, TODAY)
    assert why in found
    assert bool(why) is bool(found)
