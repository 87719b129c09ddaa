"""Questions to the ledger: what fits, in which order, how far; one message whole."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from filterd.ledger import database
from filterd.ledger.queries import Filter, iso, kept, message, messages
from filterd.ledger.records import FoundIn, Injected
from filterd.ledger.writer import Writer
from tests.unit.filterd import databases
from tests.unit.filterd.entries import START, quarantined, record, write


@pytest.fixture
def filled(ledger: Engine, tmp_path: Path) -> Engine:
    found = FoundIn(stage="html", rule="html.form", verdict="suspicious", counted=False)
    write(
        ledger,
        record(0, "a@example.org", "B@Example.org", findings=[found]),
        record(1, sender="", client_address="192.0.2.1", client_name="", queue_id="4ABCDEF"),
        record(2, outcome="refused", verdict="infected", rule="virus.signature"),
        quarantined(tmp_path, "a@example.org", "c@example.org", number=3, sender="x%y_z@sender.example"),
        quarantined(tmp_path, number=4, verdict="banned", rule="attachment.extension"),
    )
    return ledger


@pytest.mark.parametrize(
    ("of", "numbers"),
    [
        (Filter(), [4, 3, 2, 1, 0]),
        (Filter(sender="s@sender.example"), [4, 2, 0]),
        (Filter(sender=""), [1]),
        (Filter(sender="*@SENDER.example"), [4, 3, 2, 0]),
        (Filter(sender="x%y_z@*"), [3]),
        (Filter(sender="x%z@*"), []),
        (Filter(recipient="a@example.org"), [3, 0]),
        (Filter(recipient="b@example.org"), [4, 2, 1]),
        (Filter(recipient="B*@example.org"), [4, 2, 1, 0]),
        (Filter(client="192.0.2.1"), [1]),
        (Filter(client="*.SENDER.example"), [4, 3, 2, 0]),
        (Filter(queue_id="4ABCDEF"), [1]),
        (Filter(message_id="<2@sender.example>"), [2]),
        (Filter(verdict="infected"), [2]),
        (Filter(rule="html.form"), [0]),
        (Filter(rule="virus.signature"), [2]),
        (Filter(kind="quarantine"), [4, 3]),
        (Filter(kind="archive"), []),
        (Filter(state="kept"), [4, 3]),
        (Filter(held=True), []),
        (Filter(since_ms=START + 60_000, until_ms=START + 180_000), [2, 1]),
        (Filter(since_ms=START + 60_000, verdict="clean"), [1]),
    ],
)
def test_messages_that_fit_the_newest_first(filled: Engine, of: Filter, numbers: list[int]) -> None:
    with filled.connect() as connection:
        found = messages(connection, of)
    assert [one.message_id for one in found] == [f"<{number}@sender.example>" for number in numbers]


def test_pages_follow_each_other_without_gap_or_repetition(ledger: Engine) -> None:
    write(ledger, *(record(number // 3, received_ms=START + number // 3 * 60_000) for number in range(20)))
    seen: list[str] = []
    with ledger.connect() as connection:
        while page := messages(connection, Filter(after=seen[-1] if seen else ""), 3):
            seen += [one.id for one in page]
        assert seen == [one.id for one in messages(connection, Filter(), 1000)]
    assert len(set(seen)) == 20


def test_kept_entries(filled: Engine) -> None:
    with filled.connect() as connection:
        assert [one.verdict for one in kept(connection, Filter())] == ["banned", "spam"]
        (one,) = kept(connection, Filter(recipient="c@example.org", kind="quarantine", state="kept"))
        assert [who.address for who in one.recipients] == ["a@example.org", "c@example.org"]
        assert kept(connection, Filter(verdicts=frozenset({"bulk"}))) == ()
        (first,) = kept(connection, Filter(), 1)
        assert kept(connection, Filter(after=first.id)) == (one,)
        assert kept(connection, Filter(id=one.message)) == (one,)


def test_one_message_whole_by_id_queue_id_or_that_of_an_injection(filled: Engine) -> None:
    with filled.connect() as connection:
        (seen,) = messages(connection, Filter(rule="spam.score"))
    Writer(filled).write([Injected(number=1, message_id=seen.id, queue_ids=("4NEW123",))])
    with filled.connect() as connection:
        whole = message(connection, seen.id)
        assert whole is not None
        assert message(connection, "4NEW123") == message(connection, seen.queue_id) == whole
        assert message(connection, "nothing") is None
    assert whole.message.received == iso(START + 180_000)
    assert [one.outcome for one in whole.recipients] == ["quarantined", "quarantined"]
    assert [one.rule for one in whole.findings] == ["spam.score"]
    assert [one.queue_id for one in whole.injections] == ["4NEW123"]
    assert len(whole.kept) == 1
    assert whole.stage_ms == {"parse": 1.0}


def test_a_search_by_an_address_reads_no_table_as_a_whole(tmp_path: Path) -> None:
    ledger = database.prepared(databases.settings(tmp_path))
    asked: list[tuple[str, Any]] = []
    event.listen(ledger, "before_cursor_execute", lambda *seen: asked.append((seen[2], seen[3])))
    with ledger.connect() as connection:
        for of in (Filter(recipient="a@example.org"), Filter(sender="a@example.org"), Filter(queue_id="4A")):
            asked.clear()
            messages(connection, of)
            statement, values = asked[0] if not asked[0][0].startswith("BEGIN") else asked[1]
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert not [
                row for row in plan if "SCAN messages" in str(row) or "SCAN recipients" in str(row)
            ], of
    ledger.dispose()
