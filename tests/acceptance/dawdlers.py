"""Clients that send a command octet by octet, some at once from one address.

``python -m tests.acceptance.dawdlers ADDRESS SOURCE COUNT SECONDS`` prints ``greeted N`` once all are connected, and at
the end how many seconds each was let, as JSON: null for one that was still heard when SECONDS had passed.
"""

import asyncio
import contextlib
import json
import sys
import time

PAUSE_SECONDS = 1.0
GREETING_SECONDS = 60.0


async def _greeted(address: str, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(address, 25, local_addr=(source, 0))
    async with asyncio.timeout(GREETING_SECONDS):
        while not (line := await reader.readline()).startswith(b"220 "):
            if not line.startswith(b"220-"):
                raise ConnectionError(f"greeted with {line!r}")
    return reader, writer


async def _let(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> float | None:
    """Dawdle until the other side has said or ended something; return when that was."""
    begun = time.monotonic()
    said = asyncio.create_task(reader.read(1))
    try:
        while (passed := time.monotonic() - begun) < seconds:
            with contextlib.suppress(OSError):
                writer.write(b"x")
            await asyncio.wait([said], timeout=PAUSE_SECONDS)
            if said.done():
                return passed
        return None
    finally:
        said.cancel()
        writer.transport.abort()


async def _dawdled(address: str, source: str, count: int, seconds: float) -> list[float | None]:
    peers = [await _greeted(address, source) for _ in range(count)]
    print(f"greeted {count}", flush=True)
    return await asyncio.gather(*(_let(reader, writer, seconds) for reader, writer in peers))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_dawdled(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))))
