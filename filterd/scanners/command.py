"""A virus engine that is a command: the content is its standard input, its exit code the verdict.

The attack it stops: an engine that is confused by a content and ends in any way that was not agreed upon. Only the
exit codes that the configuration lists count; everything else is "no verdict".
"""

import asyncio
import contextlib
import mmap
import os
import re
import signal
from typing import Final

from filterd.config import ExecScanner
from filterd.errors import ScannerAnswerError
from filterd.health import Condition
from filterd.log import Log
from filterd.message import Spool
from filterd.parse import border

from .scan import ScanAnswer, Scannable
from .wire import Gate

_MAX_OUTPUT: Final = 64 * 1024
_MAX_NAME: Final = 200
# No secret of ours, and a known language: the signature is looked for in what it prints.
_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
_UNSAFE: Final = re.compile(r"[^!-~]+")


class CommandScanner:
    """The client of one worker. ``slots`` is its share of ``max_concurrent``."""

    def __init__(self, settings: ExecScanner, *, slots: int, log: Log) -> None:
        self._settings = settings
        self._signature = re.compile(settings.signature) if settings.signature else None
        self._gate = Gate(settings.name, slots=slots, timeout_s=settings.timeout_s, log=log)

    @property
    def name(self) -> str:
        """Return its name in the configuration."""
        return self._settings.name

    @property
    def condition(self) -> Condition:
        """Return how it fares."""
        return self._gate.condition

    async def ping(self) -> None:
        """Return when an empty content is found clean. Raises ScannerError."""
        with contextlib.closing(Spool(os.devnull, 1)) as nothing:
            answer = await self.scan(nothing)
        if answer.signature is not None:
            raise ScannerAnswerError(f"{self.name} finds {answer.signature} in an empty content")

    async def scan(self, content: Scannable) -> ScanAnswer:
        """Return what it says about the content. Raises ScannerError when that cannot be known."""
        return await self._gate.ask(lambda: self._scan(content))

    async def _scan(self, content: Scannable) -> ScanAnswer:
        # A file and no pipe: what the command leaves running cannot keep us waiting for the end of it.
        output = border.memory_file("output", _MAX_OUTPUT + mmap.PAGESIZE)
        try:
            given = await _standard_input(content)
            try:
                code = await self._run(given, output)
            finally:
                os.close(given)
            printed = os.lseek(output, 0, os.SEEK_CUR)  # where the command, which shares it, has left it
            if printed > _MAX_OUTPUT:
                raise ScannerAnswerError(f"{self.name} printed more than {_MAX_OUTPUT} bytes")
            return self._meaning(code, border.read_at(output, 0, printed).decode("utf-8", "replace"))
        finally:
            os.close(output)

    async def _run(self, given: int, output: int) -> int:
        """Run the command on these descriptors. Returns its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._settings.command,
            stdin=given,
            stdout=output,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        try:
            return await process.wait()
        finally:
            await _end(process)

    def _meaning(self, code: int, output: str) -> ScanAnswer:
        """Return what an exit code and output mean. Raises ScannerAnswerError for a code that is not listed."""
        if code in self._settings.infected:
            found = self._signature.search(output) if self._signature else None
            name = next((one for one in (found.groups() or (found.group(),)) if one), "") if found else ""
            return ScanAnswer(signature=_UNSAFE.sub("_", name.strip())[:_MAX_NAME] or self.name)
        if code in self._settings.clean:
            return ScanAnswer()
        raise ScannerAnswerError(f"{self.name} ended with {code}")


async def _standard_input(content: Scannable) -> int:
    """Return a descriptor at the start of the content, for reading only where it is the message itself."""
    if (descriptor := content.descriptor()) is not None:
        return border.reopened(descriptor)
    copy = border.memory_file("content")
    try:
        for piece in content.pieces():
            border.written(copy, piece)
            await asyncio.sleep(0)  # it can be long
        os.lseek(copy, 0, os.SEEK_SET)
    except BaseException:
        os.close(copy)
        raise
    return copy


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a command that is late, and whatever a command has left running, and collect it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
