"""Releases at the same moment: nobody gets a message twice because it is kept twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine

from filterd.ledger.blobs import Blobs
from filterd.ledger.records import new_id
from filterd.ledger.release import Order, Released, release
from filterd.ledger.roles import RefusedError
from filterd.log import Log
from filterd.service import Service
from tests.unit.filterd.entries import ALICE, CONTENT, quarantined, write
from tests.unit.filterd.releasing import Home, at_home


@pytest.fixture
def gateway(ledger: Engine, tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path, ledger) as made:
        yield made


def test_two_entries_of_one_message_bring_it_once(gateway: Home) -> None:
    one = quarantined(gateway.at, "a@example.org", content=CONTENT)
    (first,) = one.kept
    second = msgspec.structs.replace(first, id=new_id(), kind="copy", reason="copy: spam")
    write(gateway.ledger, msgspec.structs.replace(one, kept=(first, second)))

    async def both() -> list[Released | BaseException]:
        service = Service(gateway.config(), Log(-1), workers=1)
        try:
            orders = [Order(entry=entry.id, recipients=()) for entry in (first, second)]
            blobs = Blobs(gateway.at / "store")
            return await asyncio.gather(
                *(release(gateway.ledger, blobs, service, order, ALICE) for order in orders),
                return_exceptions=True,
            )
        finally:
            await service.close()

    made = asyncio.run(both())
    assert len(gateway.mta.letters) == 1
    assert sum(isinstance(each, Released) and each.status == "released" for each in made) == 1
    (refused,) = (each for each in made if isinstance(each, BaseException))
    assert isinstance(refused, RefusedError)
    assert "another entry of this message" in str(refused)
