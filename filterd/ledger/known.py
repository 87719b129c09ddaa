"""What the ledger says of the messages of a range of time, for those who hold it against the MTA's log."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, func, select

from . import schema as s
from .maillog import MailLog

_BATCH: Final = 1000
# What the ledger's clock and the log's may differ by, and how long a message may take, for a record to be of a trail.
_BEFORE_MS: Final = 5_000
_BEHIND_MS: Final = 3_600_000


class Known(Struct, frozen=True, kw_only=True):
    """What the ledger says of one message. ``injections`` are queue ids of what was handed over anew.

    ``passed`` and ``injected`` count addresses; ``digests`` are of what is kept of it.
    """

    id: str
    queue_id: str
    received_ms: int
    gateway: str
    message_id: str
    outcomes: frozenset[str]
    injections: tuple[str, ...] = ()
    sender: str = ""
    passed: int = 0
    injected: int = 0
    digests: tuple[str, ...] = ()


def known(connection: Connection, since_ms: int, until_ms: int) -> Iterator[Known]:
    """Yield what the ledger says of the messages of a range of time, in batches that end where memory would."""
    m, r, i, k = s.MESSAGES.c, s.RECIPIENTS.c, s.INJECTIONS.c, s.KEPT.c
    last = (since_ms, "")
    while True:
        rows = connection.execute(
            select(m.id, m.queue_id, m.received_ms, m.gateway, m.message_id, m.sender)
            .where(
                m.received_ms <= until_ms,
                (m.received_ms > last[0]) | ((m.received_ms == last[0]) & (m.id > last[1])),
            )
            .order_by(m.received_ms, m.id)
            .limit(_BATCH)
        ).all()
        ids = [row.id for row in rows]
        # The MTA takes an address that is named twice for one, however it is spelt.
        addresses: dict[str, dict[str, int]] = {}
        for message, outcome, many in connection.execute(
            select(r.message, r.outcome, func.count(func.lower(r.address).distinct()))
            .where(r.message.in_(ids))
            .group_by(r.message, r.outcome)
        ):
            addresses.setdefault(message, {})[outcome] = many
        digests: dict[str, set[str]] = {}
        for message, digest in connection.execute(select(k.message, k.digest).where(k.message.in_(ids))):
            digests.setdefault(message, set()).add(digest)
        injections: dict[str, list[str]] = {}
        for message, queue_id in connection.execute(select(i.message, i.queue_id).where(i.message.in_(ids))):
            injections.setdefault(message, []).append(queue_id)
        for row in rows:
            outcomes = addresses.get(row.id, {})
            yield Known(
                id=row.id, queue_id=row.queue_id, received_ms=row.received_ms, gateway=row.gateway,
                message_id=row.message_id, outcomes=frozenset(outcomes), sender=row.sender,
                passed=outcomes.get("passed", 0), injected=outcomes.get("injected", 0),
                injections=tuple(injections.get(row.id, ())), digests=tuple(sorted(digests.get(row.id, ()))),
            )  # fmt: skip
        if len(rows) < _BATCH:
            return
        last = (rows[-1].received_ms, rows[-1].id)


def injected_at(connection: Connection, since_ms: int, until_ms: int) -> dict[str, str]:
    """Return the queue ids that were handed over within a range of time, whenever their messages came, with these."""
    i = s.INJECTIONS.c
    rows = connection.execute(
        select(i.queue_id, i.message).where(i.at_ms >= since_ms, i.at_ms <= until_ms)
    ).all()
    return {row.queue_id: row.message for row in rows}


def gateways(records: Iterable[Known], log: MailLog) -> frozenset[str]:
    """Return the gateways whose log it is: a fleet shares one ledger.

    The MTA may go by another name than its host in the log: then it is the one whose queue ids stand there.
    """
    hosts = {trail.host.partition(".")[0] for trails in log.trails.values() for trail in trails}
    named, there, all_of = set[str](), Counter[str](), Counter[str]()
    for one in records:
        if not one.gateway or one.gateway.partition(".")[0] in hosts:
            named.add(one.gateway)
        elif log.first_ms <= one.received_ms <= log.last_ms and one.queue_id:
            all_of[one.gateway] += 1
            there[one.gateway] += any(
                trail.first_ms - _BEFORE_MS <= one.received_ms <= trail.last_ms + _BEHIND_MS
                for trail in log.trails.get(one.queue_id, ())
            )
    # Short queue ids come again on other hosts, now and then.
    return frozenset(named | {name for name, many in all_of.items() if 2 * there[name] > many})


def of_gateways(records: Iterable[Known], names: frozenset[str]) -> Iterator[Known]:
    """Yield the records of these gateways."""
    return (one for one in records if one.gateway in names)
