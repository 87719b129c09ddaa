"""The worker: looks at claims from the network that it was started in.

One line of JSON in is one question, one line out its observation; they are answered as they come, in any order. The
audit starts one worker a vantage, inside that vantage's network namespace, and keeps it for all claims.
"""

import asyncio
import sys

import msgspec

from audit.errors import AuditError
from audit.probes import observe
from audit.vantage import Request, Response

# A request is a claim and a place: a few kB.
LINE_LIMIT = 1_000_000


async def serve() -> None:
    """Answer requests until standard input ends."""
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with asyncio.TaskGroup() as group:
        while line := await reader.readline():
            group.create_task(_answer(msgspec.json.decode(line, type=Request)))


async def _answer(request: Request) -> None:
    try:
        response = Response(number=request.number, observation=await observe(request.asked(), request.place))
    except AuditError as error:
        response = Response(number=request.number, error=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(response) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(serve())
