"""A ledger on a volume that it and others fill up to the last byte, and what retention can do there. Run by test_disks.

``python -m tests.chaos.full_ledger DIRECTORY``, in a mount namespace where that is a small volume; prints JSON.
"""

import json
import sys
from itertools import count
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, select, update

from filterd.config.ledger import LedgerSettings
from filterd.ledger import acts, database
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.ledger.database import writing
from filterd.ledger.expiry import DAY_MS
from filterd.ledger.queries import entry
from filterd.ledger.records import MessageRecord, Record, new_id
from filterd.ledger.retention import tidied
from filterd.ledger.writer import Writer
from tests.chaos.volumes import fill
from tests.unit.filterd.entries import ALICE, START, kept, record

AGE_DAYS: Final = 200
NOW: Final = START + AGE_DAYS * DAY_MS
OLD, KEPT = 700, 60  # records beyond their time, more than a step has; kept messages of that age
UNWANTED: Final = 5  # kept messages that a person deletes


def _write(engine: Engine, *messages: MessageRecord) -> str:
    answers = Writer(engine).write([Record(number=0, message=one) for one in messages])
    return next((one.error for one in answers if one.error), "")


def _new(number: int, **more: Any) -> MessageRecord:
    return record(number, received_ms=NOW - 1000, **more)


def _states(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        messages = connection.execute(select(s.MESSAGES.c.received_ms)).scalars().all()
        held = connection.execute(select(s.KEPT.c.held_by)).scalars().all()
    return {
        "old": sum(one < NOW - 90 * DAY_MS for one in messages),
        "new": sum(one >= NOW - 90 * DAY_MS for one in messages),
        "kept": len(held),
        "held": sum(bool(one) for one in held),
    }


def main(home: Path) -> dict[str, Any]:
    """Return what was there before and after."""
    engine = database.prepared(LedgerSettings(url=f"sqlite:///{home}/ledger.db", busy_s=2))
    blobs = Blobs(home / "store")
    held = kept(expires_ms=NOW - 1)
    problem = _write(engine, *(record(0, rule="r" * 300) for _ in range(OLD)))
    problem += _write(engine, *(record(0, kept=[kept(expires_ms=NOW - 1)]) for _ in range(KEPT)))
    problem += _write(engine, _new(1, kept=[kept(expires_ms=NOW + DAY_MS)]), record(0, kept=[held]))
    unwanted = [kept(id=new_id(), expires_ms=NOW + DAY_MS) for _ in range(UNWANTED)]
    problem += _write(engine, *(_new(2, kept=[one]) for one in unwanted))
    with writing(engine) as connection:
        connection.execute(update(s.KEPT).where(s.KEPT.c.id == held.id).values(held_by="alice"))
    tidied(engine, blobs, days=10_000, now=START / 1000)
    reserved = (home / "reserve").stat().st_size
    fill(home)
    # The log of the database has room in it that was written before.
    written = next(number for number in count() if _write(engine, _new(number)))
    for one in unwanted:
        acts.remove(engine, ALICE, one.id)
        written += next(number for number in count() if _write(engine, _new(number)))
    with engine.connect() as connection:
        left = [one.id for one in unwanted if entry(connection, one.id) is not None]
    before = _states(engine)
    removed = tidied(engine, blobs, days=90, now=NOW / 1000)
    after = _states(engine)
    again = _write(engine, *(_new(number) for number in range(50)))
    (home / "filler").unlink()
    tidied(engine, blobs, days=90, now=NOW / 1000)
    return {
        "problem": problem, "reserved": reserved, "written": written, "left by hand": left, "before": before, "removed": removed,
        "after": after, "again": again, "reserved again": (home / "reserve").stat().st_size,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
