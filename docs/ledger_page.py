"""docs/ledger.md: the operator's page about ledger and quarantine; its prose stands in docs/sources/ledger.md."""

import json
from pathlib import Path

import msgspec
from msgspec import Struct

from docs.markdown import NOTICE, table
from filterd.cli.benching import Benched
from filterd.cli.lists import ListDone, ListsPage
from filterd.cli.messages import MessagesPage
from filterd.cli.quarantine import Done, KeptPage, KeptWhole
from filterd.cli.status import Status
from filterd.cli.store import KeysChanged, StoreSeen
from filterd.cli.tables import LedgerStatus
from filterd.findings import Verdict
from filterd.ledger.moving import Moved
from filterd.ledger.queries import WholeMessage
from filterd.ledger.reconcile import Reconciled
from filterd.ledger.release import Released
from filterd.ledger.roles import MATRIX
from filterd.ledger.stats import Stats

SOURCE = Path(__file__).parent / "sources" / "ledger.md"
_RECORDS: dict[str, type[Struct]] = {
    "filterd messages": MessagesPage,
    "filterd messages show": WholeMessage,
    "filterd quarantine list": KeptPage,
    "filterd quarantine show": KeptWhole,
    "filterd quarantine release": Released,
    "filterd quarantine delete, hold, unhold, learn, export": Done,
    "filterd lists show": ListsPage,
    "filterd lists add, remove": ListDone,
    "filterd stats": Stats,
    "filterd reconcile": Reconciled,
    "filterd ledger status, upgrade, downgrade": LedgerStatus,
    "filterd ledger move": Moved,
    "filterd store status, reseal": StoreSeen,
    "filterd store new-key, drop-keys": KeysChanged,
    "filterd status": Status,
    "filterd bench": Benched,
}


def text() -> str:
    """Return the page: the source, with each `@NAME@` line replaced by what the code says."""
    text = SOURCE.read_text()
    for name, made in (("ROLES", _roles()), ("SCHEMAS", _schemas())):
        if f"@{name}@\n" not in text:
            raise ValueError(f"{SOURCE.name} has no place for @{name}@; put it where the table is to stand")
        text = text.replace(f"@{name}@\n", made)
    return f"{NOTICE}\n<!-- Its prose stands in docs/sources/{SOURCE.name}. -->\n\n{text}"


def _roles() -> str:
    deeds = list(MATRIX["admin"])
    return table(
        ("", *MATRIX),
        [
            (f"`{deed}`", *(_classes(MATRIX[role].get(deed, frozenset())) for role in MATRIX))
            for deed in deeds
        ],
    )


def _classes(of: frozenset[Verdict]) -> str:
    return "every class" if of == frozenset(Verdict) else ", ".join(one for one in Verdict if one in of)


def _schemas() -> str:
    return "\n".join(
        f"### {command}\n\n```json\n{json.dumps(msgspec.json.schema(struct), indent=1, sort_keys=True)}\n```\n"
        for command, struct in _RECORDS.items()
    )
