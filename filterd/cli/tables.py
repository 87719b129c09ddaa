"""``filterd ledger``: the tables themselves."""

import argparse
import socket
from typing import Final

from msgspec import Struct

from filterd.errors import UsageError
from filterd.ledger import acts, database, figures
from filterd.ledger.database import LedgerError

from .codes import GOOD
from .desk import Desk, desk
from .output import pairs, say

_ANSWERS_S: Final = 5.0


class LedgerStatus(Struct, frozen=True, kw_only=True):
    """The tables: where, of which revision (0: none), and which one this release has. ``rows`` by table."""

    url: str
    revision: int
    newest: int
    bytes: int
    rows: dict[str, int]


def run(options: argparse.Namespace) -> int:
    """Look, or bring the tables to a revision. Returns the exit code."""
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
            ]
        ),
        as_json=options.json,
    )  # fmt: skip
    return GOOD


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
    )
