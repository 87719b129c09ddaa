"""``filterd ledger``: the tables themselves."""

import argparse
import socket
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from filterd.config.ledger import LedgerSettings, url_problem
from filterd.errors import UsageError
from filterd.ledger import acts, database, figures
from filterd.ledger.blobs import Blobs
from filterd.ledger.database import LedgerError
from filterd.ledger.moving import moved, name_of

from .codes import GOOD
from .desk import Desk, desk
from .output import Progress, pairs, say

_ANSWERS_S: Final = 5.0


class LedgerStatus(Struct, frozen=True, kw_only=True):
    """The tables: where, of which revision (0: none), and which one this release has. ``rows`` by table.

    ``store``: whether the kept contents are this ledger's, another one's (then nobody finds them by this one), or none's yet.
    """

    url: str
    revision: int
    newest: int
    bytes: int
    rows: dict[str, int]
    store: Literal["own", "another's", "none's"]


def run(options: argparse.Namespace) -> int:
    """Look, bring the tables to a revision, or move another ledger's rows into this one. Returns the exit code."""
    if options.deed == "move":
        return _move(options)
    with desk(options, current=False) as at:
        at.allow("search" if options.deed == "status" else "delete")
        if options.deed != "status":
            wanted = database.NEWEST if options.deed == "upgrade" else options.revision
            if (
                options.deed == "downgrade"
                and (there := database.revision(at.engine)) < wanted <= database.NEWEST
            ):
                raise UsageError(
                    f"the ledger's tables have revision {there}: `filterd ledger upgrade` brings them up to {database.NEWEST}"
                )
            if options.deed == "downgrade" and _answers(at.config.ledger.socket):
                raise LedgerError(
                    "filterd runs, and could not write into older tables: stop it first (`systemctl stop filterd`)"
                )
            database.migrate(at.config.ledger, wanted)
        seen = _status(at)
    say(
        seen,
        pairs(
            [
                ("ledger", seen.url), ("revision", f"{seen.revision} (this release: {seen.newest})"),
                ("bytes", seen.bytes), *((name, f"{rows} rows") for name, rows in seen.rows.items()),
                ("store", seen.store),
            ]
        ),
        as_json=options.json,
    )  # fmt: skip
    return GOOD


def _move(options: argparse.Namespace) -> int:
    """Move what another ledger of this gateway holds into the one that is configured."""
    with desk(options, current=False, makes=True) as at:
        at.allow("delete")
        if _answers(at.config.ledger.socket):
            raise LedgerError("filterd runs, and writes meanwhile: stop it first (`systemctl stop filterd`)")
        source = _source(options.source, at.config.ledger)
        progress = Progress("messages moved")
        try:
            with database.explained(source):
                # Both with the tables of this release: the old one may be an older one's.
                old = database.prepared(source)
            database.prepared(at.config.ledger).dispose()
            done = moved(old, at.engine, at.blobs(), at.actor, progress)
            old.dispose()
        finally:
            progress.end()
    say(
        done,
        f"{done.messages} messages, {done.kept} kept entries, {done.events} events and {done.listed} entries of lists came over",
        as_json=options.json,
    )
    return GOOD


def _source(url: str, settings: LedgerSettings) -> LedgerSettings:
    """Return the settings of the ledger that is to be emptied: a file, or a database behind a socket of this host."""
    try:
        where = make_url(url)
        source = msgspec.convert(
            msgspec.to_builtins(msgspec.structs.replace(settings, url=url, password_file="")), LedgerSettings
        )
    except (ArgumentError, msgspec.ValidationError) as error:
        raise UsageError(
            f"{url!r} is no ledger: write it like sqlite:////var/lib/filterd/ledger/ledger.db"
        ) from error
    if problem := url_problem(url):
        raise UsageError(problem)
    if where.get_backend_name() == "sqlite":
        if not Path(str(where.database)).is_file():
            raise LedgerError(f"there is no ledger at {where.database}: there is nothing to move")
    elif where.host or not str(where.query.get("host", "")).startswith("/") or "hostaddr" in where.query:
        raise UsageError(
            "that ledger is on a server, where it may be that of other gateways too: release or delete what of this "
            "gateway it keeps, and leave the rest there"
        )
    return source


def _answers(path: str) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_ANSWERS_S)
        return asking.connect_ex(path) == 0


def _status(at: Desk) -> LedgerStatus:
    revision = database.revision(at.engine)
    return LedgerStatus(
        url=database.shown(at.config.ledger),
        revision=revision,
        newest=database.NEWEST,
        bytes=figures.size(at.engine, at.config),
        rows=acts.count(at.engine) if revision == database.NEWEST else {},
        store=_whose(at) if revision else "none's",
    )


def _whose(at: Desk) -> Literal["own", "another's", "none's"]:
    try:
        owner = Blobs(at.config.store.directory).owner()
    except OSError as error:
        raise LedgerError(
            f"the store {at.config.store.directory} cannot be read ({error.strerror}): run this as root (sudo)"
        ) from error
    if not owner:
        return "none's"
    with at.engine.connect() as connection:
        return "own" if owner == name_of(connection) else "another's"
