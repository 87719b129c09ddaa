"""Equal messages are looked at once, and never under what another found."""

import asyncio
from typing import Any

import msgspec

from filterd.anatomy import Anatomy
from filterd.config import Config, PolicySettings
from filterd.findings import Finding, Verdict
from filterd.message import Envelope, Message, Spool
from filterd.pipeline import Report, StageResult
from filterd.policy.decide import REQUIRED
from filterd.recent import Recent

VIRUS = Finding(stage="virus", verdict=Verdict.INFECTED, rule="virus.signature")
LATE = Finding(stage="virus", verdict=Verdict.NOT_INSPECTED, rule="virus.unavailable")


class Kept:
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    async def recall(self, key: bytes) -> bytes:
        await asyncio.sleep(0)
        return self.values.get(key, b"")

    def remember(self, key: bytes, value: bytes) -> None:
        self.values[key] = value


def message(body: bytes = b"same", **envelope: Any) -> Message:
    made = Message(
        Envelope(sender=b"<a@x>", recipients=[b"<b@y>"], **envelope),
        Spool("/tmp", 100_000),  # noqa: S108 - in memory
        max_bytes=100_000,
    )
    made.add_body(b"Subject: x\r\n\r\n" + body)
    return made


def report(*findings: Finding, stages: frozenset[str] = REQUIRED) -> Report:
    results = [StageResult(stage=one, milliseconds=1.0, findings=()) for one in sorted(stages)]
    results[0] = msgspec.structs.replace(results[0], findings=findings)
    return Report(results=tuple(results), anatomy=Anatomy(author="a@x"))


class Examiner:
    def __init__(self, found: Report) -> None:
        self.found = found
        self.calls = 0

    async def __call__(self) -> Report:
        self.calls += 1
        await asyncio.sleep(0.01)
        return self.found


def calls(found: Report, *messages: Message, together: bool = False, recent: Recent | None = None) -> int:
    examine = Examiner(found)

    async def run() -> None:
        one = recent or Recent(Config(), Kept())
        if together:
            results = await asyncio.gather(*(one.report(each, examine) for each in messages))
        else:
            results = [await one.report(each, examine) for each in messages]
        assert results == [found] * len(messages)

    asyncio.run(run())
    for each in messages:
        each.close()
    return examine.calls


def test_the_same_message_is_looked_at_once() -> None:
    assert calls(report(), message(), message(), message()) == 1
    assert calls(report(VIRUS), *(message() for _ in range(20)), together=True) == 1


def test_an_infected_one_is_known_without_the_stages_behind_the_virus_engine() -> None:
    assert calls(report(VIRUS, stages=REQUIRED - {"spam"}), message(), message()) == 1


def test_what_differs_is_looked_at_itself() -> None:
    assert calls(report(), message(), message(b"other")) == 2
    for name in ("client_address", "client_name", "helo", "user"):
        assert calls(report(), message(), message(**{name: b"192.0.2.1"})) == 2
    one, two = message(), message()
    two.envelope.recipients.append(b"<c@y>")
    assert calls(report(), one, two) == 2


def test_what_nobody_could_inspect_is_looked_at_again() -> None:
    assert calls(report(LATE), message(), message()) == 2
    assert calls(report(LATE), *(message() for _ in range(5)), together=True) == 5
    assert calls(report(stages=frozenset({"parse"})), message(), message()) == 2


def test_another_configuration_knows_nothing_of_it() -> None:
    kept = Kept()
    first = Recent(Config(), kept)
    assert calls(report(), message(), recent=first) == 1
    assert calls(report(), message(), recent=first) == 0
    second = Recent(Config(policy=PolicySettings(precision="high")), kept)
    assert calls(report(), message(), recent=second) == 1


def test_one_that_fails_does_not_hold_up_those_behind_it() -> None:
    async def run() -> None:
        recent = Recent(Config(), Kept())

        async def fail() -> Report:
            await asyncio.sleep(0.01)
            raise OSError

        examine = Examiner(report())
        first = asyncio.ensure_future(recent.report(message(), fail))
        await asyncio.sleep(0)
        assert await recent.report(message(), examine) == report()
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], OSError)

    asyncio.run(run())
