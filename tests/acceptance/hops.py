"""Next hops on wan of every kind, to send mail to; and one that answers before it was asked.

``python -m tests.acceptance.hops`` is the latter. It is a program of its own so that it can run in wan's namespace.
"""

import asyncio
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.partners import MAIL_SERVER
from lab.plan import LabState
from tests.acceptance.gateway import ROOT

# A client that waits for its reply is waited for so long.
PATIENCE_SECONDS = 2.0
_START_SECONDS = 20.0
INJECTED = "250-mx.open.example\r\n250 AUTH PLAIN\r\n"


@contextmanager
def hop(lab: LabState, spool: Path, pair: Path | None) -> Iterator[None]:
    """Run the mail server of the other domains; ``pair`` is what it offers STARTTLS with. It records as lab/sink.py does."""
    listen = f"25={pair}" if pair else "25"
    words = ["lab.sink", "--host", MAIL_SERVER, "--listen", listen, "--spool", str(spool)]
    with _running(lab, words):
        yield


@contextmanager
def hasty(lab: LabState, log: Path, pair: Path) -> Iterator[None]:
    """Run one that sends replies behind its 220 to STARTTLS; ``log`` gets what came of each session."""
    with _running(lab, ["tests.acceptance.hops", MAIL_SERVER, "25", str(pair), str(log)]):
        yield


@contextmanager
def _running(lab: LabState, words: Sequence[str]) -> Iterator[None]:
    inside = ["ip", "netns", "exec", lab.netns["wan"]]
    with subprocess.Popen([*inside, sys.executable, "-m", *words], cwd=ROOT) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            listening = [*inside, "ss", "-Hltn", "sport = :25"]
            while not subprocess.run(listening, capture_output=True, check=True).stdout:
                assert process.poll() is None, "the next hop did not start"
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


async def hasty_session(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
) -> dict[str, object]:
    """Inject a reply to EHLO behind the 220, and return what the client did with it.

    ``secured``: TLS came about. ``obeyed``: what the client sent within TLS before any reply came from within it, but
    for the EHLO that it is to begin with (RFC 3207 4.2).
    """
    seen: dict[str, object] = {"secured": False, "obeyed": ""}
    writer.write(b"220 mx.open.example ESMTP\r\n")
    while line := (await reader.readline()).strip().upper():
        if line != b"STARTTLS":
            writer.write(b"250-mx.open.example\r\n250 STARTTLS\r\n")
            continue
        writer.write(b"220 2.0.0 Ready\r\n" + INJECTED.encode())
        await writer.drain()
        reader._buffer.clear()  # type: ignore[attr-defined]  # what the client injected is not what is looked for
        await writer.start_tls(context)
        seen["secured"] = True
        await reader.readline()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                seen["obeyed"] = (await reader.readline()).decode("ascii", "replace").strip()
        break
    return seen


async def _serve(address: str, port: int, pair: str, log: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen: dict[str, object] = {"secured": False, "obeyed": ""}
        with suppress(OSError, asyncio.IncompleteReadError):
            seen = await hasty_session(reader, writer, context)
        with log.open("a") as file:
            file.write(json.dumps(seen) + "\n")
        writer.close()

    async with await asyncio.start_server(one, address, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
