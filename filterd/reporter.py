"""Tells the ledger's process how the parts fare that this worker depends on, and asks those that nobody has asked.

A part that fails is asked every few seconds, so that its recovery is seen without a message that has to fail first.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from .beats import resident
from .config import Config
from .errors import FilterdError
from .health import Condition
from .ledger.client import LedgerClient
from .log import Log
from .service import Service
from .streams import put

_LOOK_S: Final = 1.0
_TELL_EVERY_S: Final = 5.0
_ASK_FAILING_EVERY_S: Final = 5.0
# Of all workers together.
_ASK_EVERY_S: Final = 30.0
_VERSION_EVERY_S: Final = 30.0
_PATIENCE_S: Final = 10.0
_PROBE: Final = b"\0" * 65536


class _Part(Struct, kw_only=True):
    """One part. ``always``: it is asked while it works, too."""

    name: str
    condition: Condition
    ask: Callable[[], Awaitable[None]]
    always: bool
    asked: float = 0.0
    asking: asyncio.Task[None] | None = None
    told: str = ""
    failures: int = 0


class Reporter:
    """One worker's reports. Needs a running event loop. ``sessions`` says how many connections there are."""

    def __init__(self, service: Service, sessions: Callable[[], int], log: Log, *, workers: int) -> None:
        self._service = service
        self._sessions = sessions
        self._workers = workers
        self._ledger = LedgerClient(service.config.ledger, log)
        self._parts = self._all(service)
        self._version_asked = 0.0
        self._signatures: dict[str, float] = {}

    def _all(self, service: Service) -> list[_Part]:
        config, health, engines = service.config, service.health, service.engines
        parts = [
            _Part(name="clamd", condition=engines.clamd.condition, ask=engines.clamd.ping, always=True),
            _Part(name="spamd", condition=engines.spamd.condition, ask=engines.spamd.ping, always=True),
            _Part(name="parse", condition=engines.parse.condition, ask=engines.parse.ping, always=True),
            # What is a command is asked for its own price: it starts a process.
            *(
                _Part(name=f"scanner-{one.name}", condition=one.condition, ask=one.ping, always=False)
                for one in engines.commands
            ),
            _Part(name="outbound", condition=health.outbound, ask=service.outflow.calm, always=False),
            _Part(name="inject", condition=health.inject, ask=_inject(config, health.inject), always=False),
        ]
        for name, directory, condition in (
            ("spool", config.milter.spool_dir, health.spool),
            ("store", config.store.directory, health.store),
        ):
            parts.append(
                _Part(name=name, condition=condition, ask=_volume(directory, condition), always=False)
            )
        return parts

    async def run(self) -> None:
        """Ask and tell until cancelled."""
        loop = asyncio.get_running_loop()
        told = -_TELL_EVERY_S
        try:
            while True:
                now = loop.time()
                self._ask_when_due(now)
                changed = any(
                    part.failures != part.condition.failures or part.told != part.condition.problem
                    for part in self._parts
                )
                if changed or now - told >= _TELL_EVERY_S:
                    told = now
                    await self._tell()
                await asyncio.sleep(_LOOK_S)
        finally:
            for part in self._parts:
                if part.asking is not None:
                    part.asking.cancel()
            await self._ledger.close()

    def _ask_when_due(self, now: float) -> None:
        for part in self._parts:
            problem = bool(part.condition.problem)
            every = _ASK_FAILING_EVERY_S if problem else _ASK_EVERY_S * self._workers
            due = (problem or part.always) and (not part.asked or now - part.asked >= every)
            if due and (part.asking is None or part.asking.done()):
                part.asked = now
                part.asking = asyncio.ensure_future(self._ask(part))

    async def _ask(self, part: _Part) -> None:
        """Ask one part. What is wrong with an engine it notes itself, but for one that keeps us waiting for a place."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(FilterdError):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await part.ask()
            except TimeoutError:
                if not part.condition.running:
                    part.condition.failed(f"{part.name} gave no answer in {_PATIENCE_S:g} s")
                return
            if part.name == "clamd" and self._version_due(loop.time()):
                version = await self._service.engines.clamd.version()
                self._signatures = {"database": float(version.database), "built_seconds": version.built}
                self._version_asked = loop.time()
                self._service.memory.database = float(version.database)

    def _version_due(self, now: float) -> bool:
        return not self._version_asked or now - self._version_asked >= _VERSION_EVERY_S * self._workers

    async def _tell(self) -> None:
        """Tell everything; a failure that is over already is told first."""
        if not await self._ledger.reached():
            return
        for part in self._parts:
            condition = part.condition
            gauges = {"waiting": float(condition.waiting), "running": float(condition.running)}
            if condition.failures != part.failures and not condition.problem:
                self._ledger.noted(part.name, condition.last, gauges)
            # What was never asked is not known to work.
            if part.asked or condition.failures:
                self._ledger.noted(part.name, condition.problem, gauges)
            part.failures, part.told = condition.failures, condition.problem
        if self._signatures:
            self._ledger.noted("signatures", gauges=self._signatures)
        own = {
            "sessions": float(self._sessions()),
            "messages": float(self._service.health.messages),
            "rss_bytes": float(resident()),
        }
        self._ledger.noted("worker", gauges=own)


def _inject(config: Config, condition: Condition) -> Callable[[], Awaitable[None]]:
    """Return what asks whether the MTA greets us."""

    async def ask() -> None:
        writer = None
        try:
            reader, writer = await asyncio.open_unix_connection(config.inject.socket)
            greeting = await reader.readline()
            if greeting.startswith(b"220"):
                condition.worked()
                put(writer, b"QUIT\r\n")
            else:
                condition.failed(f"the MTA at {config.inject.socket} does not greet")
        except OSError as error:
            condition.failed(error)
        finally:
            if writer is not None:
                writer.close()

    return ask


def _volume(directory: str, condition: Condition) -> Callable[[], Awaitable[None]]:
    """Return what asks whether a file can be written in a directory."""

    def write() -> None:
        handle = os.open(_there(directory), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, _PROBE)
            os.fsync(handle)
        finally:
            os.close(handle)

    async def ask() -> None:
        try:
            await asyncio.to_thread(write)
        except OSError as error:
            condition.failed(error)
        else:
            condition.worked()

    return ask


def _there(directory: str) -> Path:
    """Return a directory, or the one in which it will be made."""
    path = Path(directory)
    return path if path.is_dir() else path.parent
