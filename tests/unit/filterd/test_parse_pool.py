"""Parse workers as real processes: what a hostile content can do to them, and what is left when they die."""

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from filterd.anatomy import Anatomy, RewriteOrder
from filterd.config import Config
from filterd.config.inspection import Bounds
from filterd.errors import ScannerDownError, ScannerError
from filterd.log import Log
from filterd.message import Envelope, Message, Spool
from filterd.parse import border
from filterd.parse.pool import ParsePool
from tests.unit.filterd.daemon import alive

DOUBLE = (sys.executable, "-I", "-B", str(Path(__file__).with_name("double_parsers.py")))
QUICK = Bounds(timeout_s=0.7, memory_bytes=512 * 1024 * 1024)


def mail(body: bytes, *, spool_dir: str = "/tmp", memory: int = 100_000) -> Message:  # noqa: S108
    message = Message(Envelope(), Spool(spool_dir, memory), max_bytes=100_000_000)
    message.add_body(b"Subject: x\r\n\r\n" + body)
    return message


@asynccontextmanager
async def pool(
    *,
    bounds: Bounds = QUICK,
    log: Log | None = None,
    slots: int = 4,
    command: tuple[str, ...] = DOUBLE,
    room: int = 2**30,
) -> AsyncIterator[ParsePool]:
    made = ParsePool(Config(parse=bounds), slots=slots, log=log or Log(-1), command=command, room=room)
    try:
        yield made
    finally:
        await made.close()


async def ask(parsers: ParsePool, body: bytes) -> Anatomy:
    message = mail(body)
    try:
        with await parsers.anatomise(message) as dissection:
            return dissection.anatomy
    finally:
        message.close()


def run(deed: Callable[[], Awaitable[None]], *, uv: bool = False) -> None:
    async def main() -> None:
        await deed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if uv else None) as runner:
        runner.run(main())
    gc.collect()


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descriptors(pid: int | str) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def nursery(parsers: ParsePool) -> int:
    assert parsers._nursery is not None
    return parsers._nursery.pid


@pytest.mark.parametrize("uv", [False, True])
def test_a_message_comes_back_as_anatomy_and_bytes(uv: bool) -> None:  # noqa: FBT001
    async def deed() -> None:
        async with pool(bounds=Bounds(depth=7)) as parsers:
            message = mail(b"\r\n--\r\n".join([b"one", b"two", b"x" * 1_500_000, b"one", b"y" * 2_000_000]))
            with await parsers.anatomise(message) as dissection:
                assert [leaf.path for leaf in dissection.anatomy.leaves] == [f"1.{n}" for n in range(1, 6)]
                assert dissection.anatomy.leaves[0].name == "7"
                assert sorted(dissection.contents) == [0, 1, 2, 4]
                got = {n: b"".join(content.pieces()) for n, content in dissection.contents.items()}
                assert got == {0: b"one", 1: b"two", 2: b"x" * 1_500_000, 4: b"y" * 2_000_000}
                assert b"".join(dissection.contents[2].pieces(5)) == b"xxxxx"
                # The small ones lie together; a great one has a descriptor of its own, which nobody can change.
                assert dissection.contents[0].descriptor() is None
                own = dissection.contents[2].descriptor()
                assert own is not None
                assert os.fstat(own).st_size == 1_500_000
                with pytest.raises(PermissionError):
                    os.write(own, b"z")
            message.close()

    run(deed, uv=uv)


@pytest.mark.parametrize("size", [3, border.MAX_INLINE - 20, border.MAX_INLINE + 20])
@pytest.mark.parametrize("names", [1, border.MAX_WHOLE - border.MAX_INLINE, border.MAX_WHOLE])
def test_a_small_message_and_its_answer_need_no_files_and_a_longer_answer_gets_some(
    size: int, names: int
) -> None:
    async def deed() -> None:
        async with pool() as parsers:
            # The child goes on with the next one on the same lane.
            for number in range(3):
                last = (b"%d" % number) * size
                message = mail(b"names %d\r\n--\r\n" % names + last)
                with await parsers.anatomise(message) as dissection:
                    assert len(dissection.anatomy.leaves[1].name) == names
                    assert b"".join(dissection.contents[1].pieces()) == last
                    assert dissection.contents[1].descriptor() is None
                message.close()

    before = descriptors("self")
    run(deed)
    assert descriptors("self") == before


def test_a_message_on_disk_and_one_without_content(tmp_path: Path) -> None:
    async def deed() -> None:
        async with pool() as parsers:
            message = mail(b"z" * 300_000, spool_dir=str(tmp_path), memory=10)
            with await parsers.anatomise(message) as dissection:
                assert dissection.contents[0].size == 300_000
            # The job has not moved the position from which nothing was written yet.
            message.add_body(b"more")
            assert sum(map(len, message.spool.pieces())) == 300_014 + 4
            message.close()
            with await parsers.anatomise(empty := mail(b"")) as dissection:
                assert dissection.contents
            empty.close()

    run(deed)


def test_a_rewrite_comes_back_as_a_spool(tmp_path: Path) -> None:
    async def deed() -> None:
        made = ParsePool(Config(parse=QUICK), slots=1, log=Log(-1), command=DOUBLE)
        made._milter = type(made._milter)(spool_dir=str(tmp_path), spool_memory_bytes=1000)
        message = mail(b"body")
        stamp = "é" * 300_000  # more than a datagram holds
        rewritten, spool = await made.rewrite(message, RewriteOrder(stamp=stamp))
        assert rewritten.stamped
        assert rewritten.headers[0].value == b" 1"
        assert b"".join(spool.pieces()) == b"Subject: x\r\n\r\nbody" + stamp.encode()
        spool.close()
        message.close()
        await made.close()

    run(deed)


def test_half_characters_in_names_are_told_as_escapes() -> None:
    async def deed() -> None:
        async with pool() as parsers:
            assert (await ask(parsers, b"surrogate")).leaves[0].name == "half\\udc80.txt"

    run(deed)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"abort", "ended with -[0-9]"),
        (b"exit 3", "ended with 3"),
        (b"exit 0", "no answer"),
        (b"hang", "more than 0.7 s"),
        (b"sleep 60", "more than 0.7 s"),
        (b"eat", "MemoryError"),
        (b"files 5000", "Too many open files"),
        # Long enough not to go with its job: it is given a file.
        (b"long-file 600000000" + b"\r\n" * border.MAX_INLINE, "File too large"),
    ],
)
def test_a_parser_that_fails_costs_one_message(body: bytes, why: str) -> None:
    async def deed() -> None:
        async with pool() as parsers:
            await parsers.ping()
            begun = time.monotonic()
            with pytest.raises(ScannerDownError, match=why):
                await ask(parsers, body)
            assert time.monotonic() - begun < 3
            assert (await ask(parsers, b"next")).leaves[0].size == 4
            await until(lambda: not children(nursery(parsers)))

    run(deed)


@pytest.mark.parametrize(
    "body",
    [
        b"inet", b"unix", b"pair", b"fork", b"exec /bin/true", b"spawn /bin/true", b"kill", b"kill 1", b"limit", b"timer",
        b"write %s/new", b"write %s/there", b"remove %s/there", b"rename %s/there", b"chmod %s/there", b"mkdir %s/new",
        b"thread", b"memory-file", b"long-content 200000000",
    ],
)  # fmt: skip
def test_what_a_parser_may_not_do(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("before")
    before = (tmp_path / "there").stat().st_mode

    async def deed() -> None:
        async with pool() as parsers:
            with pytest.raises(ScannerDownError, match=r"not permitted|not allowed|can't start new thread"):
                # Long enough to be given files for great contents.
                await ask(parsers, body.replace(b"%s", str(tmp_path).encode()) + b"\r\n" * border.FEW_FROM)
            assert not parsers._nursery or not parsers._nursery.dead

    run(deed)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "before"
    assert (tmp_path / "there").stat().st_mode == before


def test_nothing_leaks_in_two_hundred_messages() -> None:
    async def deed() -> None:
        async with pool() as parsers:
            await ask(parsers, b"first")
            here = descriptors("self")
            await until(lambda: not children(nursery(parsers)))
            there = descriptors(nursery(parsers))
            bodies = [b"x", b"abort", b"exit 0", b"inet"] * 50
            results = await asyncio.gather(*(ask(parsers, body) for body in bodies), return_exceptions=True)
            assert sum(isinstance(one, ScannerError) for one in results) == 150
            assert descriptors("self") == here
            await ask(parsers, b"last")
            await until(lambda: not children(nursery(parsers)))
            await until(lambda: descriptors(nursery(parsers)) == there)

    run(deed)


def test_no_more_jobs_at_a_time_than_there_are_slots() -> None:
    async def deed() -> None:
        async with pool(slots=2) as parsers:
            await parsers.ping()
            jobs = [asyncio.ensure_future(ask(parsers, b"sleep 0.3")) for _ in range(5)]
            await asyncio.sleep(0.2)
            assert len(children(nursery(parsers))) == 2
            await asyncio.gather(*jobs)

    run(deed)


def test_a_job_that_nobody_waits_for_is_ended() -> None:
    async def deed() -> None:
        async with pool(bounds=Bounds(timeout_s=60)) as parsers:
            await parsers.ping()
            job = asyncio.ensure_future(ask(parsers, b"hang"))
            await asyncio.sleep(0.2)
            assert len(children(nursery(parsers))) == 1
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            await until(lambda: not children(nursery(parsers)))

    run(deed)


def test_a_nursery_that_is_killed_costs_the_messages_in_progress(tmp_path: Path) -> None:
    async def deed() -> None:
        with (tmp_path / "log").open("wb") as log:
            async with pool(log=Log(log.fileno()), bounds=Bounds(timeout_s=60)) as parsers:
                await parsers.ping()
                first = nursery(parsers)
                job = asyncio.ensure_future(ask(parsers, b"hang"))
                await asyncio.sleep(0.2)
                (child,) = children(first)
                os.kill(first, signal.SIGKILL)
                with pytest.raises(ScannerDownError, match="went away"):
                    await job
                assert (await ask(parsers, b"next")).leaves
                assert nursery(parsers) != first
                await until(lambda: not alive(child))
        (event,) = map(json.loads, (tmp_path / "log").read_text().splitlines())
        assert (event["event"], event["pid"]) == ("parse_nursery_died", first)

    run(deed)


def test_a_nursery_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.parse.pool._GRACE_S", 0.1)

    async def deed() -> None:
        async with pool() as parsers:
            await parsers.ping()
            os.kill(nursery(parsers), signal.SIGSTOP)
            with pytest.raises(ScannerDownError, match="no parse worker answered"):
                await ask(parsers, b"x")
            assert (await ask(parsers, b"next")).leaves

    run(deed)


def test_a_nursery_ends_with_its_milter_worker_and_takes_its_children_along() -> None:
    async def deed() -> None:
        async with pool(bounds=Bounds(timeout_s=60)) as parsers:
            await parsers.ping()
            pid = nursery(parsers)
            job = asyncio.ensure_future(ask(parsers, b"hang"))
            await asyncio.sleep(0.2)
            (child,) = children(pid)
        with pytest.raises(ScannerDownError):
            await job
        await until(lambda: not alive(child) and not alive(pid))

    run(deed)


def test_parsers_that_cannot_be_imported_are_told_and_not_tried_all_the_time(tmp_path: Path) -> None:
    async def deed() -> None:
        with (tmp_path / "log").open("wb") as log:
            async with pool(log=Log(log.fileno()), command=(*DOUBLE, "no libarchive")) as parsers:
                with pytest.raises(ScannerDownError, match="ImportError: no libarchive"):
                    await parsers.ping()
                with pytest.raises(ScannerDownError, match="cannot be started"):
                    await parsers.ping()
                await asyncio.sleep(0.15)
                with pytest.raises(ScannerDownError, match="ImportError"):
                    await parsers.ping()
        assert len((tmp_path / "log").read_text().splitlines()) == 2

    run(deed)


def test_a_program_that_is_not_there() -> None:
    async def deed() -> None:
        async with pool(command=("/nowhere/python",)) as parsers:
            with pytest.raises(ScannerDownError, match="cannot be started"):
                await parsers.ping()

    run(deed)


def landlock_version() -> int:
    return int(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint(1)))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(250):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")


@pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock")
def test_a_parser_reads_what_python_imports_and_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "mail-of-others"
    secret.write_text("secret")

    async def deed() -> None:
        async with pool() as parsers:
            await ask(parsers, b"read " + os.__file__.encode())
            for path in (secret, "/etc/passwd", f"/proc/{os.getpid()}/maps", "/proc/self/environ"):
                with pytest.raises(ScannerDownError, match="Permission denied"):
                    await ask(parsers, f"read {path}".encode())

    run(deed)
