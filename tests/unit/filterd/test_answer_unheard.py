"""An MTA that may have the answer has taken the mail: a record is taken back only where it cannot have it."""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from filterd import connection
from filterd.carry.carrier import Carried, Carrier
from filterd.config import load
from filterd.listener import bind, for_the_mta
from filterd.log import Log
from filterd.milter import mta as wire
from filterd.milter.commands import EndOfMessage
from filterd.milter.replies import Continue, DeleteRecipient, ReplaceBody
from filterd.rates import Rates
from filterd.recent import Memory
from filterd.server import Worker
from tests.unit.filterd import dialogue, engines, recorder
from tests.unit.filterd.daemon import configuration

# What one recipient is to get goes through; the other's only copy is what the record R1 keeps.
CARRIED = Carried(
    replies=(DeleteRecipient(b"<c@rcpt.example>"), ReplaceBody(b"x" * 1_500_000), Continue()),
    dispositions=(),
    record="R1",
)


class Outcome:
    """What came of one message: whether the MTA has the settling reply, which records were taken back, the log."""

    def __init__(self) -> None:
        self.heard = False
        self.taken_back: list[str] = []
        self.events: list[dict[str, Any]] = []

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """A worker in this process that answers one message with CARRIED, and an MTA that stalls before it reads."""

    async def carry_out(*_: object) -> Carried:
        return CARRIED

    monkeypatch.setattr(Carrier, "carry_out", carry_out)
    path = tmp_path / "filterd.toml"
    path.write_text(
        configuration(
            tmp_path,
            milter={"drain_s": 0.5},
            **{"policy.chains": {"infected": ["clean", "reject"]}},
        )
    )
    config = load(path)

    def run(*, stalls_s: float, stop: bool = False) -> Outcome:
        outcome = Outcome()
        heard, told = os.pipe2(os.O_NONBLOCK)
        written = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        waits = threading.Event()

        def mta() -> None:
            with dialogue.Client(tmp_path / "milter.sock") as client:
                client.begin((b"<b@rcpt.example>", b"<c@rcpt.example>"))
                client.send(
                    dialogue.content() + wire.macros(EndOfMessage, {b"i": b"4XyZ"}) + wire.plain(EndOfMessage)
                )
                assert client.answer().code == b"-"  # the answer has begun
                waits.set()
                time.sleep(stalls_s)
                try:
                    while not client.answer().final:
                        pass
                    outcome.heard = True
                except ConnectionError:
                    pass

        async def serve() -> None:
            worker = Worker(config, listener, told, Log(written), workers=1, memory=Memory(4), rates=Rates(8))
            serving = asyncio.ensure_future(worker._serve())
            await asyncio.sleep(0.1)
            asking = asyncio.ensure_future(asyncio.to_thread(mta))
            await asyncio.to_thread(waits.wait, 20)
            if stop:
                signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(asking, 20)
            if not stop:
                signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(serving, 20)

        with (
            bind(for_the_mta(config)) as listener,
            recorder.Server(tmp_path / "ledger.sock") as ledger,
            engines.Clamd(tmp_path / "clamd.sock"),
            engines.Spamd(tmp_path / "spamd.sock"),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(serve())
            outcome.taken_back = ledger.taken_back
        outcome.events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        for descriptor in (written, heard, told):
            os.close(descriptor)
        return outcome

    return run


def test_what_was_answered_stays(served: Callable[..., Outcome]) -> None:
    outcome = served(stalls_s=0.2)
    assert outcome.heard
    assert outcome.taken_back == []


@pytest.mark.parametrize("stop", [False, True], ids=["time-out", "SIGTERM"])
def test_an_answer_that_is_given_up_is_not_given_any_more(
    served: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, *, stop: bool
) -> None:
    # The MTA waits for its disk longer than filterd waits for the MTA, and not as long as a socket is closed in.
    monkeypatch.setattr(connection, "_SEND_S", 30.0 if stop else 0.5)
    outcome = served(stalls_s=1.5, stop=stop)
    assert outcome.taken_back == ["R1"]
    assert not outcome.heard, "the MTA has the answer, and the only copy of the other's mail is gone"
    assert not outcome.of("message")


def test_what_the_mta_may_have_heard_is_not_taken_back(
    served: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = connection.Connection._send

    async def send(self: connection.Connection, data: bytes) -> None:
        # The deadline comes in the turn of the loop in which the kernel takes the last byte.
        await real(self, data)
        if self._answering:
            while self._writer.transport.get_write_buffer_size():  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0)
            raise asyncio.CancelledError

    monkeypatch.setattr(connection.Connection, "_send", send)
    outcome = served(stalls_s=0.1)
    assert outcome.heard
    assert outcome.taken_back == []
    assert [one["id"] for one in outcome.of("answer_uncertain")] == ["4XyZ"]
