"""What the ledger's process writes: records of many messages in one transaction, which costs one wait for the disk.

All of it blocks: it runs in one thread beside the process's event loop.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Dialect, Engine, Table, delete, insert, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from . import lists
from . import schema as s
from .database import cause, writes
from .direct import Direct, Rows, execute_directly
from .records import Again, Answer, AskLists, Injected, MessageRecord, Ping, Record, TakeBack

Written = Record | TakeBack | Injected | Again | Ping | AskLists
_MAX_NAME: Final = 64
_ENCODER: Final = msgspec.msgpack.Encoder()
_TAKEN_BACK: Final = "deferred"


class _Batch(Struct):
    """Rows of new records, by table."""

    rows: dict[Table, list[dict[str, Any]]]

    def add(self, table: Table, **values: Any) -> None:  # noqa: ANN401 - a row's columns
        self.rows.setdefault(table, []).append(values)


# The order in which rows are written: those that others refer to first.
_ORDER: Final = (s.MESSAGES, s.RECIPIENTS, s.FINDINGS, s.KEPT, s.KEPT_FOR)


class Writer:
    """Writes to one ledger."""

    def __init__(self, engine: Engine, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._now = now
        self._begun = writes(engine)
        self._direct = Direct(engine)
        self._inserts: dict[tuple[Table, tuple[str, ...]], _Insert] = {}

    def write(self, requests: Sequence[Written]) -> list[Answer]:
        """Write all requests, and return their answers in order. One that no table takes fails alone."""
        try:
            return self._together(requests)
        except (IntegrityError, DataError, StatementError) as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError | DataError):
                # The database, not the request: a full disk, a lock, a server that has gone.
                self.close()
                return [Answer(number=one.number, error=cause(error)) for one in requests]
            if len(requests) == 1:
                return [Answer(number=requests[0].number, error=self._why_not(requests[0], error))]
        except SQLAlchemyError as error:
            self.close()
            return [Answer(number=one.number, error=cause(error)) for one in requests]
        return [answer for one in requests for answer in self.write([one])]

    def close(self) -> None:
        """Let the database go; what is written later opens it anew.

        A file that was opened on a volume which fails, or is read-only, stays so when another volume is mounted there.
        """
        self._direct.close()
        self._engine.dispose()

    def _why_not(self, request: Written, error: SQLAlchemyError) -> str:
        """Return why one request was not written; "" for a record that is there: its answer was lost on the way."""
        if isinstance(request, Record) and isinstance(error, IntegrityError):
            with self._engine.connect() as connection:
                there = select(s.MESSAGES.c.id).where(s.MESSAGES.c.id == request.message.id)
                if connection.execute(there).scalar() is not None:
                    return ""
        return cause(error)

    def _together(self, requests: Sequence[Written]) -> list[Answer]:
        rows = self._rows([one.message for one in requests if isinstance(one, Record)])
        if all(isinstance(one, Record) for one in requests):
            self._direct.write(rows)
            return [Answer(number=one.number) for one in requests]
        answers = []
        with self._begun.begin() as connection:
            for statement, values in rows:
                execute_directly(connection, statement, values)
            for one in requests:
                count, found = 0, b""
                match one:
                    case TakeBack():
                        _take_back(connection, one)
                    case Injected():
                        self._injected(connection, one)
                    case Again():
                        count = self._again(connection, one.fingerprint.hex()[:_MAX_NAME])
                    case AskLists():
                        found = _ENCODER.encode(lists.entries(connection))
                    case Ping():
                        # A row that is changed to what it was: a full or read-only disk shows here.
                        connection.execute(update(s.READERS).values(oldest=s.READERS.c.oldest))
                    case _:
                        pass
                answers.append(Answer(number=one.number, count=count, found=found))
        return answers

    def _rows(self, messages: Iterable[MessageRecord]) -> list[Rows]:
        """Return what writes these records: statements, each with its rows."""
        batch = _Batch(rows={})
        for one in messages:
            _add(batch, one, int(self._now() * 1000))
        return [
            self._insert(table, tuple(rows[0])).of(rows)
            for table in _ORDER
            if (rows := batch.rows.get(table))
        ]

    def _insert(self, table: Table, columns: tuple[str, ...]) -> "_Insert":
        """Return the statement that writes these columns, worked out once: for each message that is half of the cost."""
        if (known := self._inserts.get((table, columns))) is None:
            known = self._inserts[table, columns] = _Insert(table, columns, self._engine.dialect)
        return known

    def _injected(self, connection: Connection, one: Injected) -> None:
        now = int(self._now() * 1000)
        rows = [
            {"message": one.message_id, "queue_id": text[:_MAX_NAME], "at_ms": now} for text in one.queue_ids
        ]
        if rows:
            connection.execute(insert(s.INJECTIONS), rows)

    def _again(self, connection: Connection, fingerprint: str) -> int:
        now, tries = int(self._now() * 1000), s.TRIES
        where = tries.c.fingerprint == fingerprint
        seen = connection.execute(select(tries.c.count).where(where)).scalar()
        if seen is None:
            row = {"fingerprint": fingerprint, "count": 1, "first_ms": now, "last_ms": now}
            connection.execute(insert(tries), row)
        else:
            connection.execute(update(tries).where(where).values(count=tries.c.count + 1, last_ms=now))
        return (seen or 0) + 1


class _Insert:
    """An INSERT in the words of one database's driver."""

    def __init__(self, table: Table, columns: tuple[str, ...], dialect: Dialect) -> None:
        made = insert(table).inline().compile(dialect=dialect, column_keys=columns)
        self._text = str(made)
        # The driver takes values by position or by name.
        self._values = itemgetter(*made.positiontup) if made.positiontup else dict

    def of(self, rows: Sequence[dict[str, Any]]) -> Rows:
        """Return what writes rows, which have just these columns."""
        return self._text, [self._values(row) for row in rows]


def _take_back(connection: Connection, one: TakeBack) -> None:
    connection.execute(delete(s.KEPT).where(s.KEPT.c.message == one.message_id))
    connection.execute(
        update(s.RECIPIENTS).where(s.RECIPIENTS.c.message == one.message_id).values(outcome=_TAKEN_BACK)
    )
    connection.execute(
        update(s.MESSAGES).where(s.MESSAGES.c.id == one.message_id).values(reply=one.reply, digest="")
    )


def _add(batch: _Batch, one: MessageRecord, now: int) -> None:
    batch.add(
        s.MESSAGES,
        id=one.id, gateway=one.gateway, received_ms=one.received_ms, queue_id=one.queue_id[:_MAX_NAME],
        message_id=one.message_id, sender=one.sender, client_address=one.client_address,
        client_name=one.client_name, helo=one.helo, user=one.user, direction=one.direction, size=one.size,
        header_bytes=one.header_bytes, verdict=one.verdict, rule=one.rule, score=one.score, reply=one.reply,
        ms=one.ms, digest=one.digest, stage_ms=msgspec.json.encode(one.stage_ms).decode(),
        sender_parameters=one.sender_parameters,
    )  # fmt: skip
    for to in one.recipients:
        batch.add(
            s.RECIPIENTS,
            message=one.id, address=to.address, fate=to.fate, wanted=to.wanted, verdict=to.verdict,
            rule=to.rule, outcome=to.outcome, changed=to.changed, parameters=to.parameters,
        )  # fmt: skip
    for found in one.findings:
        batch.add(
            s.FINDINGS,
            message=one.id, stage=found.stage, rule=found.rule, verdict=found.verdict, path=found.path,
            name=found.name, detail=found.detail, score=found.score, counted=found.counted,
        )  # fmt: skip
    for kept in one.kept:
        batch.add(
            s.KEPT,
            id=kept.id, message=one.id, kind=kept.kind, reason=kept.reason, verdict=kept.verdict,
            rule=kept.rule, digest=one.digest, since_ms=one.received_ms, expires_ms=kept.expires_ms, held_by="",
        )  # fmt: skip
        for address in kept.recipients:
            batch.add(s.KEPT_FOR, kept=kept.id, address=address, state="kept", changed_ms=now)
