"""Where the figures come from: the ledger, the daemon's own pages, the MTA's log."""

import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, and_, case, func, select

from filterd.config import Config
from filterd.ledger import figures as tables
from filterd.ledger import schema as s
from filterd.ledger.queries import iso
from filterd.ledger.stats import By, Range, counted, totals
from filterd.stages.spam import SCORE
from filterd.web import fetch

from .door import DoorLog
from .figures import Candidate, Door, Figures, Kept, Part, Row

JOURNAL: Final = ("journalctl", "--facility=mail", "--no-pager", "--quiet")
_PFLOGSUMM: Final = "/usr/sbin/pflogsumm"
# Names of Postfix's services begin so; what an instance of it is called stands behind.
_OPTIONS: Final = ("--syslog-name=postfix", "--problems-first")
_PATIENCE_S: Final = 600.0
_MOST_TEXT: Final = 256 * 1024  # characters of pflogsumm's report
_MOST_CANDIDATES: Final = 50
_MOST_NOTES: Final = 50
_LONGEST_NOTE: Final = 1000  # characters
_SIZES: Final = (
    ("up to 10 kB", 10_000),
    ("up to 100 kB", 100_000),
    ("up to 1 MB", 1_000_000),
    ("up to 10 MB", 10_000_000),
)
_BUILT: Final = re.compile(r"^filterd_signatures_built_seconds(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


def day_of(day: date) -> Range:
    """Return the day as the gateway's clock has it, from midnight to midnight."""
    return Range(since_ms=_begin_ms(day), until_ms=_begin_ms(day + timedelta(days=1)))


def _begin_ms(day: date) -> int:
    """Return when a day begins; where the clock leaps over midnight, as in Chile and in Lebanon, with its first moment."""
    midnight = datetime.combine(day, datetime.min.time())
    # Of a time that there is not, Python makes one before the leap and one behind it (PEP 495).
    moments = sorted(midnight.replace(fold=fold).timestamp() for fold in (0, 1))
    begin = next(at for at in moments if datetime.fromtimestamp(at, UTC).astimezone().date() == day)
    return int(begin * 1000)


def read_log(config: Config, of: Range, lines: Iterable[str] | None = None) -> tuple[Door, str]:
    """Return what the MTA's log says of a range of time, and pflogsumm's text ("" without it).

    ``lines`` take the place of the journal's. Whoever may not read the journal gets a note instead of figures.
    """
    refusals = Path(config.report.refusals)
    try:
        words = refusals.read_text("utf-8", "replace") if config.report.refusals else ""
    except OSError:
        words = ""
    log = DoorLog(words, datetime.now(UTC).astimezone())
    if lines is not None:
        log.read(lines)
        return log.door(config.report.rows), ""
    try:
        with _journal(of, "short-iso-precise") as found:
            log.read(found)
        # It reads Postfix's log alone; on a host that had Postfix before it may still be there.
        return log.door(config.report.rows), _summary(of) if config.report.refusals else ""
    except OSError as error:
        return Door(note=f"the MTA's log could not be read ({error.strerror or error})"), ""


@contextmanager
def _journal(of: Range, form: str) -> Iterator[Iterable[str]]:
    """Give the lines of the mail log. Raises OSError, also when what was read is not all."""
    with subprocess.Popen(
        [*JOURNAL, f"--output={form}", *_times(of)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="backslashreplace",
    ) as process:
        yield process.stdout or ()
    if process.returncode:
        raise OSError(f"journalctl ended with exit code {process.returncode}")


def _times(of: Range) -> list[str]:
    bounds = (("since", of.since_ms), ("until", of.until_ms))
    return [f"--{name}=@{ms / 1000:.3f}" for name, ms in bounds if ms is not None]


def _summary(of: Range) -> str:
    """Return pflogsumm's report of the journal, or "" where it is not installed."""
    if not Path(_PFLOGSUMM).exists():
        return ""
    with subprocess.Popen([*JOURNAL, "--output=short", *_times(of)], stdout=subprocess.PIPE) as journal:
        done = subprocess.run(
            [_PFLOGSUMM, *_OPTIONS],
            stdin=journal.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=_PATIENCE_S,
        )
    return done.stdout.decode("utf-8", "backslashreplace")[:_MOST_TEXT]


def gathered(config: Config, engine: Engine, day: date, door: Door, mta: str) -> Figures:
    """Return the figures of a day. Raises SQLAlchemyError, OSError."""
    of = day_of(day)
    now = datetime.now(UTC).astimezone()
    with engine.connect() as connection:
        messages, size = totals(connection, of)
        by = {one: _by(connection, one, of, config.report.rows) for one in _COUNTED}
        figures = Figures(
            gateway=_gateway(connection, of),
            day=str(day),
            since=iso(of.since_ms or 0),
            until=iso(of.until_ms or 0),
            made=now.isoformat(timespec="seconds"),
            messages=messages,
            bytes=size,
            directions=_directions(connection, of),
            verdicts=by["verdict"],
            outcomes=by["outcome"],
            rules=tuple(one for one in by["rule"] if one.key != SCORE.id),
            dnsbl=by["dnsbl"],
            senders=by["sender"],
            recipients=by["recipient"],
            clients=by["client"],
            sizes=_sizes(connection, of),
            hours=tuple(sorted(_by(connection, "hour", of, _HOURS), key=lambda one: one.key)),
            candidates=candidates(connection, of),
            kept=_kept(connection, of),
            store_bytes=tables.stored(Path(config.store.directory)),
            ledger_bytes=tables.size(engine, config),
            parts=(),
            signatures_hours=None,
            door=door,
            mta=mta,
        )
    parts, hours = _health(config)
    return msgspec.structs.replace(
        figures, parts=(*parts, *notes(config.report.notes)), signatures_hours=hours
    )


# Hours are the clock's: a day has 25 of them where it is put back, and 26 where that is by half of one.
_HOURS: Final = 26
_COUNTED: Final[tuple[By, ...]] = ("verdict", "outcome", "rule", "dnsbl", "sender", "recipient", "client")


def _by(connection: Connection, by: By, of: Range, limit: int) -> tuple[Row, ...]:
    found = counted(connection, by, of, limit)
    return tuple(
        Row(key=one.key or "<>", messages=one.messages, bytes=one.bytes, warned=one.warned) for one in found
    )


def _gateway(connection: Connection, of: Range) -> str:
    """Return the name that messages were taken under, or, without any that day, before it."""
    m = s.MESSAGES.c
    last = select(m.gateway).where(m.received_ms < (of.until_ms or 0)).order_by(m.received_ms.desc()).limit(1)
    return str(connection.execute(last).scalar_one_or_none() or "")


def _directions(connection: Connection, of: Range) -> tuple[Row, ...]:
    m = s.MESSAGES.c
    query = select(m.direction, func.count(), func.sum(m.size)).where(*of.where()).group_by(m.direction)
    return tuple(
        Row(key=way, messages=int(many), bytes=int(size or 0))
        for way, many, size in connection.execute(query.order_by(m.direction))
    )


def _sizes(connection: Connection, of: Range) -> tuple[Row, ...]:
    m = s.MESSAGES.c
    number = case(*((m.size <= most, place) for place, (_, most) in enumerate(_SIZES)), else_=len(_SIZES))
    query = select(number.label("place"), func.count(), func.sum(m.size)).where(*of.where()).group_by("place")
    names = [*(name for name, _ in _SIZES), "more"]
    return tuple(
        Row(key=names[int(place)], messages=int(many), bytes=int(size or 0))
        for place, many, size in sorted(connection.execute(query))
    )


def candidates(connection: Connection, of: Range) -> tuple[Candidate, ...]:
    """Return messages that came through although a rule found something: those that it would hit, were it on.

    The newest of each rule come first: one that hits all the time leaves room for those that seldom do.
    """
    m, f, r = s.MESSAGES.c, s.FINDINGS.c, s.RECIPIENTS.c
    delivered = select(r.message).where(r.fate == "deliver")
    place = func.row_number().over(partition_by=f.rule, order_by=m.received_ms.desc())
    query = (
        select(f.rule, m.received_ms, m.queue_id, m.sender, m.client_address, f.detail)
        .join(s.MESSAGES, m.id == f.message)
        .where(and_(~f.counted, f.rule != SCORE.id, m.id.in_(delivered), *of.where()))
        .order_by(place, f.rule)
        .limit(_MOST_CANDIDATES)
    )
    found = sorted(connection.execute(query), key=lambda row: (row[0], -row[1]))
    return tuple(
        Candidate(
            rule=rule,
            received=iso(at),
            queue_id=queue_id,
            sender=sender or "<>",
            client=client,
            detail=detail,
        )
        for rule, at, queue_id, sender, client, detail in found
    )


def _kept(connection: Connection, of: Range) -> tuple[Kept, ...]:
    k = s.KEPT.c
    fresh = case((and_(k.since_ms >= (of.since_ms or 0), k.since_ms < (of.until_ms or 0)), 1), else_=0)
    query = select(k.kind, func.count(), func.sum(fresh)).group_by(k.kind).order_by(k.kind)
    return tuple(
        Kept(kind=kind, entries=int(entries), fresh=int(new))
        for kind, entries, new in connection.execute(query)
    )


def notes(directory: str) -> Iterator[Part]:
    """Yield what the host's other watchers say is wrong now, each file of the directory by its name."""
    if not directory:
        return
    try:
        paths = sorted(path for path in Path(directory).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return  # nobody has ever had anything to say
    except OSError as error:
        yield Part(name="notes", problem=f"{directory} cannot be read ({error.strerror or error})")
        return
    for path in paths[:_MOST_NOTES]:
        try:
            with path.open(encoding="utf-8", errors="backslashreplace") as file:
                problem = file.readline(_LONGEST_NOTE).strip()
        except FileNotFoundError:
            continue  # all is well again
        except OSError as error:
            problem = f"its note cannot be read ({error.strerror or error})"
        yield Part(name=path.name, problem=problem or "it says that something is wrong, and not what")


def _health(config: Config) -> tuple[tuple[Part, ...], float | None]:
    """Return how the parts fare now, and how old the virus signatures are (hours; None: nobody knows)."""
    if not config.metrics.socket:
        return (Part(name="filterd", problem="it does not say how it fares ([metrics] socket)"),), None
    try:
        _, text = fetch(config.metrics.socket, "/health")
        health: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        _, metrics = fetch(config.metrics.socket, "/metrics")
    except (OSError, msgspec.DecodeError) as error:
        return (Part(name="filterd", problem=f"it does not say how it fares ({error})"),), None
    problems = {str(one["component"]): str(one["problem"]) for one in health.get("alerts", ())}
    components: dict[str, Any] = health.get("components", {})
    parts = [
        Part(name=name, problem=problems.pop(name, "" if one.get("up") else "it does not work"))
        for name, one in components.items()
    ]
    parts += [Part(name=name, problem=problem) for name, problem in problems.items()]
    built = max((float(found[1]) for found in _BUILT.finditer(metrics)), default=0.0)
    age = (time.time() - built) / 3600 if built else None
    return tuple(parts), age
