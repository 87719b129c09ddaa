"""Virus engines that are commands: real ones, as small scripts."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from filterd.config import ExecScanner
from filterd.errors import ScannerAnswerError, ScannerDownError, ScannerError
from filterd.log import Log
from filterd.message import Spool
from filterd.parse import border
from filterd.parse.border import Place
from filterd.parse.dissection import LeafContent
from filterd.scanners.command import CommandScanner
from filterd.scanners.scan import ScanAnswer, Scannable
from tests.unit.filterd.daemon import alive
from tests.unit.filterd.engines import wait_for

LOOK = """
import sys
data = sys.stdin.buffer.read()
if b"bad" in data:
    print("found:", "Bad\\x1b[31m thing" if b"esc" in data else "Bad.Thing")
    sys.exit(1)
print(len(data))
"""


@contextlib.contextmanager
def spooled(data: bytes) -> Iterator[Spool]:
    with contextlib.closing(Spool(os.devnull, 1_000_000)) as spool:
        spool.write(data)
        yield spool


def scan(
    content: Scannable, script: str, *, signature: str = r"found: (.*)", seconds: float = 5.0
) -> ScanAnswer:
    settings = ExecScanner(
        name="second", command=(sys.executable, "-c", script), signature=signature, timeout_s=seconds
    )

    async def ask() -> ScanAnswer:
        return await CommandScanner(settings, slots=1, log=Log(-1)).scan(content)

    return asyncio.run(ask())


def test_exit_codes_and_the_name_of_what_was_found() -> None:
    # M08
    with spooled(b"fine") as content:
        assert scan(content, LOOK) == ScanAnswer()
        # The next one starts at the beginning of the content again.
        assert scan(content, LOOK) == ScanAnswer()
    with spooled(b"so bad") as content:
        assert scan(content, LOOK) == ScanAnswer(signature="Bad.Thing")
        assert scan(content, LOOK, signature="found") == ScanAnswer(signature="found")
        assert scan(content, LOOK, signature="nothing like it") == ScanAnswer(signature="second")
        assert scan(content, LOOK, signature="") == ScanAnswer(signature="second")
    with spooled(b"bad esc") as content:
        assert scan(content, LOOK) == ScanAnswer(signature="Bad_[31m_thing")


def test_a_content_that_lies_among_others() -> None:
    descriptor = border.memory_file("contents")
    try:
        border.written(descriptor, b"bad|fine|bad")
        content = LeafContent(descriptor, Place(0, 4, 4), own=False)
        assert scan(content, LOOK + "assert data == b'fine'") == ScanAnswer()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("script", "error", "why"),
    [
        ("raise SystemExit(2)", ScannerAnswerError, "ended with 2"),
        ("import os; os.abort()", ScannerAnswerError, "ended with -6"),
        ("import sys; sys.stdout.write('x' * 100_000)", ScannerAnswerError, "more than 65536 bytes"),
        ("import time; time.sleep(60)", ScannerDownError, "no answer in 0.5 s"),
        ("import os, time; os.close(1); time.sleep(60)", ScannerDownError, "no answer in 0.5 s"),
    ],
)
def test_everything_else_is_no_verdict(script: str, error: type[ScannerError], why: str) -> None:
    begun = time.monotonic()
    with spooled(b"fine") as content, pytest.raises(error, match=why):
        scan(content, script, seconds=0.5)
    assert time.monotonic() - begun < 5


def test_what_a_late_command_has_started_ends_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
import subprocess, sys
child = subprocess.Popen(["sleep", "60"])
open({str(pid_file)!r}, "w").write(str(child.pid))
child.wait()
"""
    with spooled(b"fine") as content, pytest.raises(ScannerDownError):
        scan(content, script, seconds=1.0)
    wait_for(lambda: not alive(int(pid_file.read_text())))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("session", [False, True])
def test_what_a_command_leaves_running_is_not_waited_for(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop], *, session: bool
) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
import subprocess
child = subprocess.Popen(["sleep", "20"], start_new_session={session})
open({str(pid_file)!r}, "w").write(str(child.pid))
print("found: left")
raise SystemExit(1)
"""
    settings = ExecScanner(
        name="second", command=(sys.executable, "-c", script), signature="found: (.*)", timeout_s=9
    )
    begun = time.monotonic()
    with spooled(b"fine") as content, asyncio.Runner(loop_factory=loop) as runner:
        answer = runner.run(CommandScanner(settings, slots=1, log=Log(-1)).scan(content))
    assert answer == ScanAnswer(signature="left")
    assert time.monotonic() - begun < 5
    # What is in its process group ends with it; what has left that, only with the service.
    pid = int(pid_file.read_text())
    if session:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))


def test_a_command_that_is_not_there() -> None:
    settings = ExecScanner(name="second", command=("/nowhere/scanner",))

    async def ask() -> None:
        await CommandScanner(settings, slots=1, log=Log(-1)).ping()

    with pytest.raises(ScannerDownError, match="cannot be reached"):
        asyncio.run(ask())


def test_a_command_gets_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    script = "import os, sys; sys.exit(3 if 'SECRET' in os.environ or os.getcwd() != '/' else 0)"
    with spooled(b"x") as content:
        assert scan(content, script) == ScanAnswer()


def test_one_that_finds_something_in_nothing_is_not_up() -> None:
    async def ask(code: str) -> None:
        settings = ExecScanner(name="second", command=(sys.executable, "-c", f"raise SystemExit({code})"))
        await CommandScanner(settings, slots=1, log=Log(-1)).ping()

    asyncio.run(ask("0"))
    with pytest.raises(ScannerAnswerError, match="in an empty content"):
        asyncio.run(ask("1"))
