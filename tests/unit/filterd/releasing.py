"""A gateway's engines and MTA, and a ledger, from which kept messages are released."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from filterd.config import Config, load
from filterd.ledger import schema as s
from filterd.ledger.blobs import Blobs
from filterd.ledger.queries import KeptSeen, entry
from filterd.ledger.release import Order, Released, release
from filterd.ledger.roles import Actor
from filterd.log import Log
from filterd.service import Service
from tests.unit.filterd import engines
from tests.unit.filterd.daemon import configuration
from tests.unit.filterd.entries import ALICE, quarantined, write
from tests.unit.filterd.mta import Mta


class Home:
    """A gateway's engines and MTA, and a ledger."""

    def __init__(self, at: Path, ledger: Engine, mta: Mta, clamd: engines.Clamd) -> None:
        self.at = at
        self.ledger = ledger
        self.mta = mta
        self.clamd = clamd
        self.lists = ""
        self.changes: dict[str, dict[str, Any]] = {}

    def config(self) -> Config:
        more = {
            "store": {"directory": str(self.at / "store")},
            "inject": {"socket": str(self.at / "mta.sock")},
        }
        for section, values in self.changes.items():
            more.setdefault(section, {}).update(values)
        path = self.at / "filterd.toml"
        path.write_text(configuration(self.at, **more) + self.lists)
        return load(path)

    def keep(self, *recipients: str, **more: Any) -> str:
        one = quarantined(self.at, *recipients, **more)
        write(self.ledger, one)
        return one.kept[0].id

    def release(
        self, kept_id: str, *recipients: str, actor: Actor = ALICE, waive_virus: bool = False
    ) -> Released:
        async def made() -> Released:
            service = Service(self.config(), Log(-1), workers=1)
            try:
                order = Order(entry=kept_id, recipients=recipients, waive_virus=waive_virus)
                return await release(self.ledger, Blobs(self.at / "store"), service, order, actor)
            finally:
                await service.close()

        return asyncio.run(made())

    def entry(self, kept_id: str) -> KeptSeen:
        with self.ledger.connect() as connection:
            found = entry(connection, kept_id)
        assert found is not None
        return found

    def states(self, kept_id: str) -> dict[str, str]:
        return {one.address: one.state for one in self.entry(kept_id).recipients}

    def events(self) -> list[tuple[str, str, str]]:
        with self.ledger.connect() as connection:
            rows = connection.execute(select(s.EVENTS).order_by(s.EVENTS.c.id)).all()
        return [(row.actor, row.action, row.recipient) for row in rows]


@contextmanager
def at_home(path: Path, ledger: Engine) -> Iterator[Home]:
    with (
        engines.Clamd(path / "clamd.sock") as clamd,
        engines.Spamd(path / "spamd.sock"),
        Mta(path / "mta.sock") as mta,
    ):
        yield Home(path, ledger, mta, clamd)
