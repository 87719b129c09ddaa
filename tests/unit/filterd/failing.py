"""A worker whose parts can be made to fail, for the tests of the failure table."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from filterd import failures
from filterd.alerts import Alerts
from filterd.config import load
from filterd.connection import Connection
from filterd.ledger.records import HEAD, Answer, Noted, Request, framed
from filterd.log import Log
from filterd.parse.pool import ParsePool
from filterd.reporter import Reporter
from filterd.service import Service
from tests.unit.filterd import engines
from tests.unit.filterd.daemon import configuration
from tests.unit.filterd.dialogue import Client
from tests.unit.filterd.engines import GTUBE, Engine, wait_for
from tests.unit.filterd.test_parse_pool import DOUBLE

_REQUEST = msgspec.msgpack.Decoder(Request)
SCANNER = "#!/bin/sh\n{}\n"


class LedgerDouble(Engine):
    """A ledger that takes all, or misbehaves in a mode of the table."""

    mode = ""

    def __init__(self, path: Path) -> None:
        self.noted: list[Noted] = []
        super().__init__(path)

    def serve(self, peer: socket.socket) -> None:
        peer.settimeout(30)
        with peer.makefile("rb") as source:
            while head := source.read(HEAD.size):
                request: Any = _REQUEST.decode(source.read(*HEAD.unpack(head)))
                number = getattr(request, "number", None)
                if isinstance(request, Noted):
                    self.noted.append(request)
                if number is None:
                    continue
                if self.mode == "dying":
                    return
                if self.mode == "hanging":
                    self.gate.wait(10)
                peer.sendall(b"\0\0\0\4zzzz" if self.mode == "garbage" else framed(Answer(number=number)))


class Bench:
    """One worker in this process, with doubles of all it asks. ``mended`` is called before the last message."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home = home
        self.stack = stack
        self.body = b"first line\r\n"
        self.command = DOUBLE
        self.parts: list[tuple[str, Any]] = []
        self.ledger: Any = None
        self.clamd = stack.enter_context(engines.Clamd(home / "clamd.sock"))
        self.spamd = stack.enter_context(engines.Spamd(home / "spamd.sock"))
        self.script = home / "scan.sh"
        self.scans("cat >/dev/null; exit 0")

    def scans(self, deed: str) -> None:
        self.script.write_text(SCANNER.format(deed))
        self.script.chmod(0o755)

    def config(self) -> str:
        chains = {
            "spam": ["forward b@rcpt.example", "move"] if self.body == GTUBE and self.injects else ["move"]
        }
        text = configuration(
            self.home,
            clamd={"timeout_s": 1.5}, spamd={"timeout_s": 1.5}, parse={"seconds": 0.4, "timeout_s": 1.5},
            ledger={"timeout_s": 2.0}, inject={"socket": str(self.home / "inject.sock"), "timeout_s": 0.5},
        )  # fmt: skip
        text += f"[policy.chains]\nspam = {chains['spam']}\n".replace("'", '"')
        return text + f'[[scanner]]\nname = "second"\ncommand = ["{self.script}"]\ntimeout_s = 2.0\n'

    injects = False


def raised(bench: Bench) -> list[str]:
    """The alerts that the ledger opens by what the worker has told it, however often."""
    alerts = Alerts()
    opened = (alerts.noted("worker", one.component, one.problem, 0.0) for one in bench.ledger.noted)
    return [one.component for one in opened if one is not None]


def sent(bench: Bench, mend: Callable[[], object]) -> tuple[str, str]:
    """Send a message to a worker in this process, mend what fails, and send again to the same worker: it recovers.

    Returns what the MTA was answered, both times; the second time it asks again as long as it is told to.
    """
    path = bench.home / "milter.sock"
    config = load(bench.home / "filterd.toml")

    async def run() -> tuple[str, str]:
        service = Service(config, Log(-1), workers=1)
        pool = ParsePool(config, slots=2, log=Log(-1), command=bench.command)
        service.engines = msgspec.structs.replace(service.engines, parse=pool)
        reporter = Reporter(service, lambda: 0, Log(-1), workers=1)
        bench.parts += [(part.name, part.condition) for part in reporter._parts]
        reporting = asyncio.ensure_future(reporter.run())

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await Connection(service, reader, writer).run()

        server = await asyncio.start_unix_server(serve, path)
        try:
            first = await asyncio.to_thread(_said, path, bench.body)
            mend()
            for _ in range(20):
                then = await asyncio.to_thread(_said, path, bench.body)
                if "451" not in then:
                    break
                await asyncio.sleep(0.5)
            if any(condition.failures for _, condition in bench.parts):
                with contextlib.suppress(AssertionError):
                    await asyncio.to_thread(wait_for, lambda: bool(raised(bench)), 10.0)
            return first, then
        finally:
            reporting.cancel()
            server.close()
            await asyncio.gather(reporting, return_exceptions=True)
            await service.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def _said(path: Path, body: bytes) -> str:
    with Client(path) as client:
        answer = client.message(body)
    return answer.payload.rstrip(b"\0").decode() if answer.code == b"y" else failures.JUDGED
