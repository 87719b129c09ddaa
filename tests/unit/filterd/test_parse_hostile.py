"""A parse worker that has been taken over, and messages made to fill memory: what is left of the daemon."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from filterd import pipeline
from filterd.anatomy import Anatomy, Leaf, Rewritten
from filterd.config import Config
from filterd.config.inspection import Inspection
from filterd.errors import ScannerAnswerError, ScannerDownError
from filterd.findings import Finding, Verdict
from filterd.log import Log
from filterd.parse import anatomise as loop
from filterd.parse import border, child, nursery, openers, pool, sandbox
from filterd.parse.border import Answer, Place
from filterd.parse.dissection import Dissection
from filterd.parse.harvest import Content, Harvest
from filterd.stages import CONTENT, Stage
from filterd.stages import parse as parse_stage
from tests.unit.filterd import test_parse_pool as pools

MIB = 1024 * 1024


# --- what is answered


def test_the_greatest_contents_have_a_descriptor_of_their_own() -> None:
    sizes = [MIB + number for number in range(border.MAX_GREAT + 4)]

    async def deed() -> None:
        async with pools.pool() as parsers:
            message = pools.mail(b"\r\n--\r\n".join(b"%d" % (n % 10) * n for n in (3, *sizes)))
            with await parsers.anatomise(message) as dissection:
                contents = list(dissection.contents.values())
                assert [one.size for one in contents] == [3, *sizes]
                assert [one.descriptor() is None for one in contents] == [True] * 5 + [
                    False
                ] * border.MAX_GREAT
                for one in contents:
                    assert b"".join(one.pieces()) == b"%d" % (one.size % 10) * one.size
            message.close()

    pools.run(deed)


def test_what_takes_too_much_to_tell_is_over_limit() -> None:
    async def deed() -> None:
        async with pools.pool() as parsers:
            (found,) = (await pools.ask(parsers, b"names %d" % border.MAX_RECORD)).findings
            assert (found.rule, found.verdict) == ("limit.findings", Verdict.OVER_LIMIT)
            assert not (await pools.ask(parsers, b"names 1000000")).findings

    pools.run(deed)


def good(rule: str = "limit.time", verdict: Verdict = Verdict.OVER_LIMIT, **more: object) -> Finding:
    return Finding(stage=rule.partition(".")[0], rule=rule, verdict=verdict, **more)  # type: ignore[arg-type] # the case's


@pytest.mark.parametrize(
    "finding",
    [
        good(verdict=Verdict.CLEAN),
        good(verdict=Verdict.SPAM),
        good(score=-100.0),
        good(rule="content.mine", verdict=Verdict.CLEAN),
        good(rule="content.mine", verdict=Verdict.INFECTED),
        good(rule="virus.signature", verdict=Verdict.INFECTED),
        good(path="1.x"),
        good(path="1\r\n2"),
        good(path="1" * 100_000),
        good(part="1!2"),
        good(part="1", path="../../etc"),
    ],
)
def test_findings_that_no_stage_makes_are_not_believed(finding: Finding) -> None:
    assert pipeline._stray(Anatomy(findings=(good(), finding))) is not None


def test_findings_that_stages_make_are() -> None:
    own = good(rule="content.mine", verdict=Verdict.SPAM, part="1.2", path="1.2!3!1")
    leaf = Leaf(path="1.2!3!1")
    assert pipeline._stray(Anatomy(findings=(good(), own), leaves=(leaf,))) is None
    assert pipeline._stray(Anatomy(leaves=(leaf, Leaf(path="1.2 ")))) is not None


def answer_of(descriptors: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a pool with the least memory believe that a worker sent these."""

    async def job(*_: object) -> tuple[Answer, list[int]]:
        return Answer(anatomy=Anatomy()), descriptors

    async def ready(*_: object) -> None:
        return None

    async def ask() -> None:
        made = pool.ParsePool(Config(parse=pools.QUICK), slots=1, log=Log(-1))
        monkeypatch.setattr(made, "_job", job)
        monkeypatch.setattr(made, "_ready", ready)
        (await made.anatomise(pools.mail(b"x"))).close()

    asyncio.run(ask())


@pytest.mark.parametrize("count", [1, 2])
def test_a_file_that_is_great_and_empty_is_refused(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    most = pools.QUICK.memory_bytes + border.RESERVE
    answer_of([sealed(most // count) for _ in range(count)], monkeypatch)
    files = [sealed(most // count + 3 * MIB) for _ in range(count)]
    with pytest.raises(ScannerAnswerError, match="more than it may hold"):
        answer_of(files, monkeypatch)
    for file in files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


def sealed(size: int) -> int:
    made = border.memory_file("test")
    os.ftruncate(made, size)
    border.seal(made)
    return made


# --- what is held


def test_who_holds_too_much_keeps_the_next_from_being_taken_apart() -> None:
    async def deed() -> None:
        async with pools.pool(room=2 * MIB) as parsers:
            held = [await parsers.anatomise(pools.mail(b"x" * MIB)) for _ in range(2)]
            waiting = asyncio.ensure_future(pools.ask(parsers, b"small"))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            assert not pools.children(pools.nursery(parsers))
            held[0].close()
            held[0].close()
            assert (await waiting).leaves
            assert parsers._stock._held < 2 * MIB
            held[1].close()
            assert parsers._stock._held == 0

    pools.run(deed)


def test_a_message_that_fails_or_is_left_holds_nothing() -> None:
    async def deed() -> None:
        async with pools.pool() as parsers:
            for body in (b"abort", b"exit 0"):
                with pytest.raises(ScannerDownError):
                    await pools.ask(parsers, body)
            left = asyncio.ensure_future(pools.ask(parsers, b"sleep 60"))
            await asyncio.sleep(0.2)
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
            assert parsers._stock._held == 0
            with pytest.raises(ScannerAnswerError):
                Dissection(Anatomy(contents=(1,)), [], [Place(0, 0, 1)], parsers._stock.take(5))
            assert parsers._stock._held == 0

    pools.run(deed)


# --- the nursery

TASKS = child.Tasks(anatomise=loop.anatomise, rewrite=lambda raw, _: (Rewritten(), raw))


def test_a_nursery_that_gets_no_process_fails_the_job_and_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    walls = sandbox.Sandbox(memory=2**30, seconds=1)
    control, _far = socket.socketpair()
    made = nursery.Nursery(control, TASKS, Inspection(), walls)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, control, _far:
        made._start(theirs)
        assert ours.recv(1000).startswith(b"Fno process can be had")
        assert not ours.recv(1000)
    assert not made._children


def test_a_nursery_does_not_turn_in_circles_while_a_child_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    monkeypatch.setattr(nursery.Nursery, "_reap", lambda _: None)
    control, far = socket.socketpair()
    ours, lane = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made = nursery.Nursery(control, TASKS, Inspection(), sandbox.Sandbox(memory=2**30, seconds=1))
    with control, lane, far:
        made._children[1] = nursery._Child(pid=1, lane=lane)
        ours.close()
        assert made._turn()
        assert killed == [1]
        # Until it is reaped nothing more happens of it: the next thing that happens is the milter worker's end.
        far.close()
        assert not made._turn()
        assert killed == [1]


def test_a_worker_whose_nursery_has_ended_does_not_begin() -> None:
    walls = sandbox.Sandbox(memory=2**40, seconds=100)
    walls._parent = 1 if os.getppid() != 1 else 2
    pid = os.fork()
    if pid == 0:
        try:
            walls.enter()
        except sandbox.SandboxError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


# --- a parser with a mistake in it

TWO_PARTS = (
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\n\r\nfirst\r\n--x\r\n\r\nsecond\r\n--x\r\n\r\nthird\r\n--x--\r\n"
)


@pytest.mark.parametrize(
    "error", [ValueError("oh\udc80"), RecursionError(), AssertionError("x" * 5000), KeyError()]
)
def test_a_parser_that_fails_costs_one_content(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = openers.open_content

    def opener(content: Content, harvest: Harvest) -> Iterator[Content]:
        if content.data.startswith(b"second"):
            raise error
        yield from real(content, harvest)

    monkeypatch.setattr(loop, "open_content", opener)
    anatomy, contents = loop.anatomise(TWO_PARTS, Inspection())
    failed = [one for one in anatomy.findings if one.rule == "parse.failed"]
    assert [(one.stage, one.verdict, one.path) for one in failed] == [("parse", Verdict.NOT_INSPECTED, "1.2")]
    assert failed[0].detail.startswith("test_parse_hostile.py:")
    assert [leaf.path for leaf in anatomy.leaves] == ["1.1", "1.2", "1.3"]
    assert contents == [b"first", b"second", b"third"]
    assert pipeline._stray(anatomy) is None


@pytest.mark.parametrize(
    ("error", "rule"),
    [(ValueError(), "parse.failed"), (MemoryError(), "limit.memory"), (RecursionError(), "parse.failed")],
)
def test_a_message_whose_reader_fails_is_never_clean(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, rule: str
) -> None:
    def fails(*_: object) -> Iterator[Content]:
        raise error

    monkeypatch.setattr(loop, "open_message", fails)
    assert rule in {one.rule for one in loop.anatomise(TWO_PARTS, Inspection())[0].findings}


def test_a_judge_that_fails_costs_its_own_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> tuple[Finding, ...]:
        raise ValueError("no judge")

    (stage,) = (one for one in CONTENT if one.id == "attachment")
    stages = tuple(
        Stage(id="a", title="", why="", cost=1, rules=(), judge=fails) if one is stage else one
        for one in CONTENT
    )
    monkeypatch.setattr(loop, "CONTENT", stages)
    rules = [one.rule for one in loop.anatomise(TWO_PARTS, Inspection())[0].findings]
    assert parse_stage.FAILED.id in rules
    assert "integrity.from-missing" in rules
