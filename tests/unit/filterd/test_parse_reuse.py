"""Parse workers that take more than one message: which go on, which end, and what an idle one may cost."""

import asyncio
import base64
import contextlib
import gzip
import io
import os
import signal
import sys
import zipfile
from pathlib import Path

import pytest

from filterd.anatomy import RewriteOrder
from filterd.config.inspection import Bounds
from filterd.errors import ScannerDownError
from filterd.message import Envelope, Message, Spool
from filterd.parse import border
from filterd.parse.lane import Lane
from filterd.parse.pool import COMMAND
from tests.corpus.writers.pdf import enciphered_with_file, with_file
from tests.unit.filterd.daemon import alive
from tests.unit.filterd.test_parse_pool import ask, children, mail, nursery, pool, run, until


def test_text_is_taken_apart_by_one_worker_and_what_opens_more_ends_it() -> None:
    async def deed() -> None:
        async with pool() as parsers:
            workers = []
            for body in (b"kind text", b"kind html", b"kind zip", b"kind rar", b"kind text", b"kind text"):
                assert (await ask(parsers, body)).leaves
                if body != b"kind rar":
                    (worker,) = children(nursery(parsers))
                    workers.append(worker)
                else:
                    await until(lambda: not children(nursery(parsers)))
            assert len(set(workers[:3])) == 1
            assert len(set(workers[3:])) == 1
            assert workers[0] != workers[3]

    run(deed)


@pytest.mark.parametrize("body", [b"slow", b"grow 100000000", b"abort", b"exit 0", b"decoder"])
def test_a_worker_that_was_slow_has_grown_failed_or_met_a_decoder_is_not_used_again(body: bytes) -> None:
    async def deed() -> None:
        async with pool() as parsers:
            await ask(parsers, b"kind text")
            (worker,) = children(nursery(parsers))
            with contextlib.suppress(ScannerDownError):
                await ask(parsers, body)
            await until(lambda: not alive(worker))
            assert (await ask(parsers, b"kind text")).leaves

    run(deed)


# A parse worker that says what its attacker wishes: beside the double, which imports as a script.
TAKEN_OVER = (sys.executable, "-I", "-B", str(Path(__file__).with_name("double_taken_over.py")))


def _attached(kind: str, content: bytes) -> bytes:
    head = (
        f"MIME-Version: 1.0\r\nContent-Type: application/{kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")


def _zipped(method: int, tail: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("notes.txt", "the figures of this week, line by line\r\n" * 50)
    return _attached("zip", file.getvalue() + tail)


@pytest.mark.parametrize(
    ("content", "kind", "goes_on"),
    [
        (_zipped(zipfile.ZIP_DEFLATED), "zip", True),
        (_zipped(zipfile.ZIP_STORED), "zip", True),
        (_zipped(zipfile.ZIP_BZIP2), "zip", False),
        (_zipped(zipfile.ZIP_LZMA), "zip", False),
        # Bytes behind the end of an archive: libarchive is asked as well.
        (_zipped(zipfile.ZIP_DEFLATED, b"x" * 30), "zip", False),
        (_attached("pdf", with_file(b"notes")), "pdf", True),
        (_attached("pdf", enciphered_with_file(b"notes", b"")), "pdf", False),
        (_attached("gzip", gzip.compress(b"notes")), "gz", False),
    ],
    ids=["deflated", "stored", "bzip2", "lzma", "odd", "pdf", "pdf-enciphered", "gzip"],
)
def test_a_content_that_needs_common_readers_only_does_not_end_its_worker(
    content: bytes, kind: str, *, goes_on: bool
) -> None:
    async def deed() -> None:
        async with pool(bounds=Bounds(), command=COMMAND) as parsers:
            await ask(parsers, b"text")
            before = children(nursery(parsers))
            message = Message(Envelope(), Spool("/tmp", 100_000), max_bytes=100_000)  # noqa: S108
            message.add_body(content)
            with contextlib.closing(message), await parsers.anatomise(message) as dissection:
                assert kind in {leaf.kind for leaf in dissection.anatomy.leaves}
                assert "text" in {leaf.kind for leaf in dissection.anatomy.leaves}
            await ask(parsers, b"text")
            await until(lambda: len(children(nursery(parsers))) == 1)
            assert (children(nursery(parsers)) == before) is goes_on

    run(deed)


def test_a_worker_ends_after_its_last_job() -> None:
    async def deed() -> None:
        async with pool() as parsers:
            seen = set()
            for _ in range(border.JOBS + 1):
                await ask(parsers, b"kind text")
                seen.update(children(nursery(parsers)))
            assert len(seen) == 2

    run(deed)


@pytest.mark.parametrize("first", ["decoder", "kind text"])
def test_a_worker_that_was_taken_over_is_not_asked_whether_it_goes_on(first: str) -> None:
    """It says that it does, for ever: after a decoder had its first byte no other message comes to it."""

    async def deed() -> None:
        async with pool(command=TAKEN_OVER) as parsers:
            await ask(parsers, b"take-over " + first.encode())
            seen = set()
            for _ in range(border.JOBS + 1):
                names = {name for leaf in (await ask(parsers, b"kind text")).leaves for name in leaf.names}
                seen.add("owned" in names)
            # Where nothing was noted it is lexbor, zlib or Python that was taken over: the milter worker's count ends it.
            assert seen == ({False} if first == "decoder" else {False, True})

    run(deed)


def test_a_rewrite_has_a_worker_to_itself() -> None:
    async def deed() -> None:
        async with pool(command=TAKEN_OVER) as parsers:
            await ask(parsers, b"take-over kind text")
            before = children(nursery(parsers))
            message = mail(b"Dear Bob")
            with contextlib.closing(message):
                _, spool = await parsers.rewrite(message, RewriteOrder())
                with contextlib.closing(spool):
                    assert b"".join(spool.pieces()).endswith(b"Dear Bob")
            await until(lambda: children(nursery(parsers)) == before)

    run(deed)


def test_a_second_word_that_a_worker_is_spent_ends_it() -> None:
    async def deed() -> None:
        lane = Lane()
        with lane.far as far:
            far.sendmsg([border.SPENT])
            far.sendmsg([border.SPENT])
            assert await lane.ask(border.ANATOMISE, []) == border.SPENT  # told() takes it for no answer
            assert lane.spent
            assert not lane.may_go_on()
            lane.close()

    run(deed)


def test_idle_workers_end_but_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.parse.pool._IDLE_S", 0.2)

    async def deed() -> None:
        async with pool() as parsers:
            await asyncio.gather(*(ask(parsers, b"kind text") for _ in range(4)))
            assert len(children(nursery(parsers))) > 1
            await until(lambda: len(children(nursery(parsers))) == 1)
            (last,) = children(nursery(parsers))
            await asyncio.sleep(0.5)
            assert (await ask(parsers, b"kind text")).leaves
            assert children(nursery(parsers)) == [last]

    run(deed)


def test_a_worker_that_says_more_than_it_was_asked_gets_no_job() -> None:
    async def deed() -> None:
        lane = Lane()
        with lane.far as far:
            far.sendmsg([b"one"])
            far.sendmsg([b"two"])
            lane._at_work = True  # both come before the task that waits for the first goes on
            lane._heard()
            lane._heard()
            assert lane.open
            assert await lane._next() == b"one"
            with pytest.raises(ScannerDownError, match="more than it was asked"):
                await lane.ask(border.ANATOMISE, [])
            lane.close()

    run(deed)


def test_an_idle_worker_that_dies_costs_nothing() -> None:
    async def deed() -> None:
        async with pool() as parsers:
            bodies = [b"kind text"] * 2
            await asyncio.gather(*(ask(parsers, body) for body in bodies))
            for worker in children(nursery(parsers)):
                os.kill(worker, signal.SIGKILL)
            results = await asyncio.gather(*(ask(parsers, body) for body in bodies))
            assert all(anatomy.leaves for anatomy in results)

    run(deed)


def test_what_ends_a_used_worker_is_tried_once_more_and_no_oftener(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Lane] = []

    def lane() -> Lane:
        made.append(Lane())
        return made[-1]

    monkeypatch.setattr("filterd.parse.pool.Lane", lane)

    async def deed() -> None:
        async with pool() as parsers:
            await ask(parsers, b"kind text")
            for lanes in (2, 3):
                with pytest.raises(ScannerDownError, match="it ended with"):
                    await ask(parsers, b"abort")
                assert len(made) == lanes

    run(deed)


def test_an_idle_worker_has_its_time_again_with_each_job() -> None:
    async def deed() -> None:
        async with pool() as parsers:
            for _ in range(4):
                assert (await ask(parsers, b"kind text")).leaves
                await asyncio.sleep(0.4)  # longer in all than one job may take

    run(deed)
