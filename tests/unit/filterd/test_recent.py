"""Equal messages are looked at once, and never under what another found."""

import asyncio
import os
from typing import Any

import msgspec

from filterd.anatomy import Anatomy
from filterd.config import Config, PolicySettings
from filterd.findings import Finding, Verdict
from filterd.message import Envelope, Message, Spool
from filterd.pipeline import Report, StageResult
from filterd.policy.decide import REQUIRED
from filterd.recent import Memory, Recent

VIRUS = Finding(stage="virus", verdict=Verdict.INFECTED, rule="virus.signature")
LATE = Finding(stage="virus", verdict=Verdict.NOT_INSPECTED, rule="virus.unavailable")


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


async def always(_: Report) -> bool:
    return True


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
        one = recent or Recent(Config(), Memory(4))
        if together:
            results = await asyncio.gather(*(one.report(each, examine, always) for each in messages))
        else:
            results = [await one.report(each, examine, always) for each in messages]
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
    kept = Memory(4)
    first = Recent(Config(), kept)
    assert calls(report(), message(), recent=first) == 1
    assert calls(report(), message(), recent=first) == 0
    second = Recent(Config(policy=PolicySettings(precision="high")), kept)
    assert calls(report(), message(), recent=second) == 1


def test_one_that_fails_does_not_hold_up_those_behind_it() -> None:
    async def run() -> None:
        recent = Recent(Config(), Memory(4))

        async def fail() -> Report:
            await asyncio.sleep(0.01)
            raise OSError

        examine = Examiner(report())
        first = asyncio.ensure_future(recent.report(message(), fail, always))
        await asyncio.sleep(0)
        assert await recent.report(message(), examine, always) == report()
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], OSError)

    asyncio.run(run())


def key(number: int, row: int = 0) -> bytes:
    return row.to_bytes(4, "big") + number.to_bytes(28, "big")


def test_the_oldest_of_a_row_goes() -> None:
    memory = Memory(8)
    for number in range(20):
        memory.remember(key(number), b"%d" % number, memory.database)
        memory.remember(key(number, 1), b"other %d" % number, memory.database)
    assert [number for number in range(20) if memory.recall(key(number))] == [16, 17, 18, 19]
    assert memory.recall(key(19)) == b"19"
    assert memory.recall(key(19, 1)) == b"other 19"
    memory.remember(key(17), b"again", memory.database)
    assert [memory.recall(key(number)) for number in range(16, 20)] == [b"16", b"again", b"18", b"19"]


def test_what_is_too_long_is_not_kept() -> None:
    memory = Memory(4)
    memory.remember(key(1), b"x" * memory.longest, memory.database)
    memory.remember(key(2), b"x" * (memory.longest + 1), memory.database)
    assert memory.recall(key(1)) == b"x" * memory.longest
    assert memory.recall(key(2)) == b""


def test_it_is_forgotten_after_its_time_and_under_another_signature_database() -> None:
    old = Memory(4, seconds=0)
    old.remember(key(1), b"x", old.database)
    assert old.recall(key(1)) == b""
    memory = Memory(4)
    memory.remember(key(1), b"x", memory.database)
    memory.database = 27000.0
    assert memory.recall(key(1)) == b""
    memory.remember(key(1), b"y", memory.database)
    memory.database = 27000.0
    assert memory.recall(key(1)) == b"y"


def test_what_two_have_written_at_a_time_is_not_believed() -> None:
    memory = Memory(4)
    memory.remember(key(1), b"one value", memory.database)
    memory._at.seek(0)
    at = memory._at.find(b"one value")
    for byte in range(at - memory._HEAD.size, at + 9):
        before = memory._at[byte]
        memory._at[byte] = before ^ 1
        assert memory.recall(key(1)) == b""
        memory._at[byte] = before
    assert memory.recall(key(1)) == b"one value"


def test_processes_share_it() -> None:
    memory = Memory()
    pid = os.fork()
    if pid == 0:
        memory.remember(key(1), b"of the child", memory.database)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert memory.recall(key(1)) == b"of the child"


def test_what_was_found_under_signatures_that_changed_meanwhile_is_not_kept() -> None:
    memory = Memory(4)
    recent = Recent(Config(), memory)

    class Changing(Examiner):
        async def __call__(self) -> Report:
            memory.database += 1
            return await super().__call__()

    examine = Changing(report())

    async def run() -> None:
        for _ in range(3):
            await recent.report(message(), examine, always)

    asyncio.run(run())
    assert examine.calls == 3


def test_what_does_not_hold_any_more_is_looked_at_again() -> None:
    recent, examine, answers = Recent(Config(), Memory(4)), Examiner(report()), [True, False, True]

    async def holds(known: Report) -> bool:
        assert known == report()
        return answers.pop(0)

    async def run() -> None:
        for _ in range(4):
            await recent.report(message(), examine, holds)

    asyncio.run(run())
    assert examine.calls == 2
    assert not answers
