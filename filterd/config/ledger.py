"""``[ledger]`` and ``[store]``: what is remembered of each message, where it is kept, and for how long."""

from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from msgspec import Meta, field

from filterd.findings import Verdict

from .base import MIB, AbsolutePath, Seconds, Section, SocketPath

Days = Annotated[int, Meta(ge=0, le=3650)]


class LedgerSettings(Section, frozen=True, kw_only=True):
    """``[ledger]``: the record of every message. Without it nothing is accepted.

    ``url`` is SQLAlchemy's: a file of the gateway's own, or ``postgresql+psycopg://user@host/database`` for a fleet,
    whose password stands in ``password_file`` and nowhere else.
    """

    url: Annotated[str, Meta(pattern="^(sqlite:////|postgresql\\+psycopg://)", max_length=1024)] = (
        "sqlite:////var/lib/filterd/ledger/ledger.db"
    )
    password_file: Annotated[str, Meta(pattern=r"\A(/.*)?\Z", max_length=4096)] = ""
    socket: SocketPath = "/run/filterd/ledger.sock"  # between filterd's own processes
    timeout_s: Seconds = 20  # what a message waits for its record; then it is answered 451
    days: Annotated[int, Meta(ge=1, le=3650)] = (
        90  # how long records stay; those of kept messages stay with them
    )
    busy_s: Seconds = 5  # what a write waits for another program that holds the database


def url_problem(url: str) -> str:
    """Return what is wrong with ``[ledger] url``, and the remedy, or ""."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"[ledger] url is none ({error}): write it like postgresql+psycopg://user@host:5432/database"
    names = (name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    if parts.password is not None or any("password" in name for name in names):
        return "[ledger] url holds a password: put it into the file that password_file names"
    return ""


class StoreSettings(Section, frozen=True, kw_only=True):
    """``[store]``: where move, copy, archive and discard put messages, and for how long.

    The shortest time that fits holds: of its kind, of its class in ``class_days``, of its size. 0 days: for ever.
    """

    directory: AbsolutePath = "/var/lib/filterd/store"
    quarantine_days: Days = 30
    copy_days: Days = 30
    archive_days: Days = 365
    discard_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    class_days: dict[Verdict, Days] = field(default_factory=dict)  # of quarantined messages of a class
    great_bytes: Annotated[int, Meta(ge=0)] = 10 * MIB  # messages longer than this …
    great_days: Days = 0  # … stay so long; 0: as the others
    key_file: Annotated[str, Meta(pattern=r"\A(/.*)?\Z", max_length=4096)] = (
        ""  # 64 hexadecimal digits a line, the newest key first: encrypted at rest
    )
    warn_free_percent: Annotated[int, Meta(ge=0, le=90)] = (
        10  # of the volumes of store, ledger and spool: less raises an alert; 0: none
    )
    operators: Annotated[str, Meta(pattern=r"\A([a-z_][a-z0-9_-]{0,31})?\Z")] = (
        ""  # unix group whose members list, show and release spam, bulk and banned; "": nobody
    )
    four_eyes: tuple[Verdict, ...] = (
        Verdict.INFECTED,
    )  # classes that only two administrators together release
