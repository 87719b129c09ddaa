"""The house's log server: what it keeps of frames of RFC 5425."""

import asyncio
from pathlib import Path

import pytest

from lab.logs import LONGEST, Receiver


def kept(file: Path, sent: bytes) -> list[str]:
    """Return the lines that are kept of what one sender sent."""

    async def run() -> None:
        server = await asyncio.start_server(Receiver(file).take, host="127.0.0.1", port=0)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    asyncio.run(run())
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("sent", "lines"),
    [
        (b"5 first6 second", ["first", "second"]),
        (b"7 a\nb\nc\nd", ["a b c d"]),
        (b"5 first9 cut", ["first"]),
        (b"5 first0 5 third", ["first"]),
        (b"5 first-6 second", ["first"]),
        (b"5 first%d x" % (LONGEST + 1), ["first"]),
        (b"", []),
    ],
)
def test_each_frame_is_a_line_until_one_is_none(tmp_path: Path, sent: bytes, lines: list[str]) -> None:
    assert kept(tmp_path / "log", sent) == lines
