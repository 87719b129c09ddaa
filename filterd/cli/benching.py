"""``filterd bench``: what a message costs on this host, with the engines and the configuration that it has.

Messages go through the stages as the gateway's do, and to a decision; nobody gets them, and nothing is written down.
"""

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from filterd import pipeline, processes
from filterd.config import Config, load
from filterd.errors import ConfigError, ScannerDownError
from filterd.findings import Verdict
from filterd.live import answers
from filterd.log import Log
from filterd.message import Envelope, Message
from filterd.pipeline import Report
from filterd.refill import refill
from filterd.service import Service
from filterd.stages import parse, spam, virus

from .codes import GOOD, UNREACHABLE
from .mix import Mix
from .output import Progress, say, table
from .scanning import fill, memory

_NO_LOG: Final = -1
_MS: Final = 1000.0
Fill = Callable[[Message, int], None]


class Cost(Struct, frozen=True, kw_only=True):
    """What one stage takes of a message, or all of them ("message"), in ms; waits for a place at the engine included.

    ``processor_ms``: processor time a message of the processes behind it, null where that cannot be told: of the
    engines' only root can. What others have them do meanwhile counts as well.
    """

    stage: str
    messages: int
    p50_ms: float
    p95_ms: float
    processor_ms: float | None


class Pace(Struct, frozen=True, kw_only=True):
    """How fast it went."""

    seconds: float
    per_second: float


class Benched(Struct, frozen=True, kw_only=True):
    """One run. ``floor``: the same messages taken apart and nothing more; ``ratio``: how many times as long all takes.

    ``own_processor_ms``: of filterd's process alone, without the parse workers, a message. ``not_inspected``: messages
    that an engine did not look at, the first one's reason in ``why``: the figures then say little.
    """

    messages: int
    bytes: int
    concurrency: int
    whole: Pace
    floor: Pace
    ratio: float
    own_processor_ms: float
    costs: tuple[Cost, ...]
    not_inspected: int
    why: str


def run(options: argparse.Namespace) -> int:
    """Measure and print. Returns the exit code."""
    made = asyncio.run(_benched(load(options.config), options))
    say(made, _text(made), as_json=options.json)
    if made.not_inspected:
        print(
            f"filterd: {made.not_inspected} of {made.messages} messages were not inspected ({made.why}): look with "
            "`filterd check --live`, or give a smaller --concurrency",
            file=sys.stderr,
        )
    return UNREACHABLE if made.not_inspected else GOOD


async def _benched(config: Config, options: argparse.Namespace) -> Benched:
    source, count = _source(config, options)
    service = Service(config, Log(_NO_LOG), workers=1)
    try:
        down = [f"{name}: {problem}" for name, problem in await answers(config, service.engines) if problem]
        if down:
            raise ScannerDownError("; ".join(down) + ": nothing can be measured; start it first")
        return await _Run(service, source, options.concurrency, count).measured()
    finally:
        await service.close()


def _source(config: Config, options: argparse.Namespace) -> tuple[Fill, int]:
    """Return what fills the message of a number, and how many there are to be. Raises ConfigError."""
    if not options.messages:
        mix = Mix()
        return lambda message, number: refill(message, [mix.message(number)]), options.count or 60
    files = [file for path in options.messages for file in _files(Path(path))]
    if not files:
        raise ConfigError(
            f"{' '.join(options.messages)}: there is no message; give files, or directories of them"
        )

    def read(message: Message, number: int) -> None:
        name = str(files[number % len(files)])
        try:
            fill(name, message, config.milter.max_message_bytes)
        except OSError as error:
            raise ConfigError(
                f"{name} cannot be read ({error.strerror}): check the name and its permissions"
            ) from error

    return read, options.count or len(files)


def _files(path: Path) -> list[Path]:
    try:
        return sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its permissions") from error


class _Run:
    """The messages of one run, each through the stages, so many at a time."""

    def __init__(self, service: Service, fill: Fill, concurrency: int, count: int) -> None:
        self._service = service
        self._fill = fill
        self._concurrency = concurrency
        self._count = count
        self._bytes = 0
        self._whole: list[float] = []
        self._reports: list[Report] = []

    async def measured(self) -> Benched:
        """Return what it comes to."""
        config = self._service.config
        behind = {
            virus.STAGE.id: processes.listeners(config.clamd.socket),
            spam.STAGE.id: processes.listeners(config.spamd.socket),
        }
        floor = await self._paced("messages taken apart", self._taken_apart)
        before = {stage: processes.spent(pids) for stage, pids in behind.items()}
        ours, alone = processes.spent(processes.this()), processes.own()
        whole = await self._paced("messages examined", self._examined)
        own = processes.own() - alone
        spent: dict[str, float | None] = {
            stage: processes.spent(pids) - before[stage] if pids else None for stage, pids in behind.items()
        }
        spent[parse.STAGE.id] = processes.spent(processes.this()) - ours - own
        missed = [why for report in self._reports if (why := _missed(report))]
        return Benched(
            messages=self._count,
            bytes=self._bytes,
            concurrency=self._concurrency,
            whole=whole,
            floor=floor,
            ratio=round(whole.seconds / floor.seconds, 2),
            own_processor_ms=round(own / self._count * _MS, 2),
            costs=self._costs(spent, own),
            not_inspected=len(missed),
            why=missed[0] if missed else "",
        )

    def _costs(self, spent: dict[str, float | None], own: float) -> tuple[Cost, ...]:
        took: dict[str, list[float]] = {}
        for result in (one for report in self._reports for one in report.results):
            # What content stages find while a message is taken apart takes its time under "parse".
            if result.stage in spent:
                took.setdefault(result.stage, []).append(result.milliseconds)
        known = [one for one in spent.values() if one is not None]
        everything = own + sum(known) if len(known) == len(spent) else None
        rows = [(stage, took[stage], spent[stage]) for stage in took]
        return tuple(
            _cost(stage, times, total, self._count)
            for stage, times, total in (*rows, ("message", self._whole, everything))
        )

    async def _paced(self, what: str, one: Callable[[Message], Awaitable[None]]) -> Pace:
        progress = Progress(what)
        numbers: Iterator[int] = iter(range(self._count))
        done = itertools.count(1)

        async def work() -> None:
            for number in numbers:
                message = memory(self._service.config, Envelope(client_address=b"unknown", sender=b"<>"))
                try:
                    self._fill(message, number)
                    await one(message)
                finally:
                    message.close()
                progress(next(done))

        begun = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(work())
        except ExceptionGroup as errors:
            # Those of the others are its echo.
            raise errors.exceptions[0] from errors
        finally:
            progress.end()
        seconds = time.perf_counter() - begun
        return Pace(seconds=round(seconds, 3), per_second=round(self._count / seconds, 1))

    async def _taken_apart(self, message: Message) -> None:
        milter = self._service.config.milter
        await pipeline.examine(
            message, self._service.engines, seconds=milter.scan_timeout_s, bounds=milter, stages=()
        )

    async def _examined(self, message: Message) -> None:
        begun = time.perf_counter()
        report = await self._service.examine(message)
        self._service.decide(report, message.envelope)
        self._whole.append((time.perf_counter() - begun) * _MS)
        self._bytes += message.size
        self._reports.append(report)


def _missed(report: Report) -> str:
    return next(
        (one.detail or one.rule for one in report.findings if one.verdict is Verdict.NOT_INSPECTED), ""
    )


def _cost(stage: str, times: Sequence[float], processor_s: float | None, messages: int) -> Cost:
    return Cost(
        stage=stage,
        messages=len(times),
        p50_ms=_percentile(times, 50),
        p95_ms=_percentile(times, 95),
        processor_ms=None if processor_s is None else round(processor_s / messages * _MS, 2),
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    """Return the least value that so many per cent do not exceed (nearest rank)."""
    return round(sorted(values)[max(0, -(-len(values) * percent // 100) - 1)], 2)


def _text(made: Benched) -> str:
    rows = [
        (
            one.stage,
            one.messages,
            one.p50_ms,
            one.p95_ms,
            "?" if one.processor_ms is None else one.processor_ms,
        )
        for one in made.costs
    ]
    lines = [
        f"{made.messages} messages of {made.bytes} bytes, {made.concurrency} at a time; no delivery, no ledger entry",
        table(("STAGE", "MESSAGES", "P50 MS", "P95 MS", "PROCESSOR MS"), rows),
        f"all stages: {made.whole.per_second:g} messages/s; filterd's own process {made.own_processor_ms:g} ms a message",
        f"floor (taken apart, no engine): {made.floor.per_second:g} messages/s; ratio {made.ratio:g}",
    ]
    if any(one.processor_ms is None for one in made.costs):
        lines.append("?: only root can see what the engines' processes spend")
    return "\n".join(lines)
