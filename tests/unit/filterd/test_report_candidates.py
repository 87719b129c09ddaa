"""The daily report's candidates for false positives, out of the ledger."""

from sqlalchemy import Engine

from filterd.ledger.records import FoundIn
from filterd.ledger.stats import Range
from filterd.report.gather import candidates
from tests.unit.filterd.entries import record, write

OFTEN = FoundIn(stage="integrity", rule="integrity.date-missing", verdict="malformed", counted=False)
SELDOM = FoundIn(stage="links", rule="links.text-differs", verdict="suspicious", counted=False)


def test_a_rule_that_hits_all_the_time_hides_none_that_seldom_does(ledger: Engine) -> None:
    write(
        ledger, record(0, findings=[SELDOM]), *[record(number, findings=[OFTEN]) for number in range(1, 80)]
    )
    with ledger.connect() as connection:
        found = candidates(connection, Range())
    assert [one.rule for one in found] == 49 * [OFTEN.rule] + [SELDOM.rule]
    times = [one.received for one in found[:49]]
    assert times == sorted(times, reverse=True)
