"""Counts over the ledger: what was found how often, by whom, for whom, when."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, case, distinct, func, literal, select

from . import schema as s

By = Literal["verdict", "rule", "dnsbl", "outcome", "sender", "recipient", "client", "hour", "day"]
BY: Final[tuple[By, ...]] = get_args(By)
MOST: Final = 1000  # rows
# Each zone is so many quarters of an hour away from UTC: what falls into one is of one hour and one day everywhere.
_QUARTER_MS: Final = 900_000
# SpamAssassin's rules about DNS lists of addresses (RCVD_IN_*), of names (DBL), and of links (URIBL_*, SURBL).
_DNSBL: Final = ("RCVD_IN_", "URIBL_", "DKIMWL_", "SURBL_", "HASHBL_")
# Its verdicts on the answer, not on the message.
_NOT_LISTED: Final = ("_BLOCKED",)
_SCORE: Final = "spam.score"


class Counted(Struct, frozen=True, kw_only=True):
    """One row: in how many messages. ``warned``, of a rule: in how many of them it counted for nobody (mode warn)."""

    key: str
    messages: int
    warned: int = 0
    bytes: int = 0


class Stats(Struct, frozen=True, kw_only=True):
    """Counts of one range of time. ``since`` and ``until`` are ISO 8601, "" where there is no bound."""

    by: By
    since: str
    until: str
    messages: int
    bytes: int
    rows: tuple[Counted, ...]


class Range(Struct, frozen=True, kw_only=True):
    """Times in ms since 1970; ``until_ms`` is excluded."""

    since_ms: int | None = None
    until_ms: int | None = None

    def where(self) -> list[ColumnElement[bool]]:
        """Return the conditions on messages."""
        received = s.MESSAGES.c.received_ms
        found: list[ColumnElement[bool]] = []
        if self.since_ms is not None:
            found.append(received >= self.since_ms)
        if self.until_ms is not None:
            found.append(received < self.until_ms)
        return found


def totals(connection: Connection, of: Range) -> tuple[int, int]:
    """Return how many messages came, and their bytes."""
    m = s.MESSAGES.c
    row = connection.execute(
        select(func.count(), func.coalesce(func.sum(m.size), 0)).select_from(s.MESSAGES).where(*of.where())
    ).one()
    return int(row[0]), int(row[1])


def counted(
    connection: Connection,
    by: By,
    of: Range,
    limit: int = 50,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[Counted, ...]:
    """Return counts by one thing, the greatest first (hours and days in order), at most ``limit`` (and MOST).

    ``progress`` is told how many rows have been read where they are counted here.
    """
    limit = min(limit, MOST)
    match by:
        case "dnsbl":
            return _dnsbl(connection, of, limit, progress)
        case "rule":
            return _rules(connection, of, limit)
        case "hour" | "day":
            return _times(connection, by, of, limit)
        case _:
            return _plain(connection, by, of, limit)


def _plain(connection: Connection, by: By, of: Range, limit: int) -> tuple[Counted, ...]:
    m, r = s.MESSAGES.c, s.RECIPIENTS.c
    query: Select[Any]
    if by in {"recipient", "outcome"}:
        column = r.address if by == "recipient" else r.outcome
        size = func.sum(m.size) if by == "recipient" else literal(0)
        query = select(column, func.count(distinct(m.id)), size).join(s.MESSAGES, m.id == r.message)
    else:
        column = {"verdict": m.verdict, "sender": m.sender, "client": m.client_address}[by]
        query = select(column, func.count(), func.sum(m.size))
    amount = func.count(distinct(m.id)) if by in {"recipient", "outcome"} else func.count()
    query = query.where(*of.where()).group_by(column).order_by(amount.desc(), column).limit(limit)
    return tuple(
        Counted(key=key, messages=int(many), bytes=int(size or 0))
        for key, many, size in connection.execute(query)
    )


def _rules(connection: Connection, of: Range, limit: int) -> tuple[Counted, ...]:
    """Count messages by rule. A message in which a rule counted is not one that it only warned of."""
    m, f = s.MESSAGES.c, s.FINDINGS.c
    counts = func.max(case((f.counted, 1), else_=0)).label("counts")
    each = (
        select(f.rule.label("rule"), f.message.label("message"), counts)
        .join(s.MESSAGES, m.id == f.message)
        .where(*of.where())
        .group_by(f.rule, f.message)
        .subquery()
    )
    many = func.count()
    query = (
        select(each.c.rule, many, func.sum(1 - each.c.counts))
        .group_by(each.c.rule)
        .order_by(many.desc(), each.c.rule)
        .limit(limit)
    )
    return tuple(
        Counted(key=key, messages=int(all_of), warned=int(warned))
        for key, all_of, warned in connection.execute(query)
    )


def _times(connection: Connection, by: By, of: Range, limit: int) -> tuple[Counted, ...]:
    """Count by quarter of an hour; hours and days are put together here: they begin by the gateway's zone, not the database's."""
    m = s.MESSAGES.c
    # Explicitly whole: PostgreSQL and SQLite agree on no other division.
    quarter = (m.received_ms - m.received_ms % _QUARTER_MS).label("quarter")
    query = (
        select(quarter, func.count(), func.sum(m.size))
        .where(*of.where())
        .group_by(quarter)
        .order_by(quarter.desc())
    )
    sums: dict[str, list[int]] = {}
    for at, many, size in connection.execute(query):
        moment = datetime.fromtimestamp(int(at) / 1000, UTC).astimezone()
        hour = moment.replace(minute=0).isoformat(timespec="minutes")
        key = hour if by == "hour" else str(moment.date())
        if key not in sums and len(sums) == limit:
            break
        one = sums.setdefault(key, [0, 0])
        one[0] += int(many)
        one[1] += int(size or 0)
    return tuple(Counted(key=key, messages=one[0], bytes=one[1]) for key, one in sorted(sums.items()))


def _dnsbl(
    connection: Connection, of: Range, limit: int, progress: Callable[[int], None] | None
) -> tuple[Counted, ...]:
    """Count the DNS lists among SpamAssassin's symbols, which stand in the detail of its score."""
    m, f = s.MESSAGES.c, s.FINDINGS.c
    query = (
        select(f.detail)
        .join(s.MESSAGES, m.id == f.message)
        .where(and_(f.rule == _SCORE, *of.where()))
        .execution_options(stream_results=True, yield_per=1000)
    )
    sums: dict[str, int] = {}
    for read, detail in enumerate(connection.execute(query).scalars(), 1):
        for symbol in {one for one in detail.split(",") if is_dnsbl(one)}:
            sums[symbol] = sums.get(symbol, 0) + 1
        if progress is not None and read % 10_000 == 0:
            progress(read)
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return tuple(Counted(key=key, messages=many) for key, many in ranked)


def is_dnsbl(symbol: str) -> bool:
    """Whether a name of SpamAssassin's is that of a rule which asks a DNS list. Pure."""
    return symbol.startswith(_DNSBL) and not symbol.endswith(_NOT_LISTED)
