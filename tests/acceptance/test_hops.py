"""The next hop that answers before it was asked, at a client that falls for it and at one that does not. Needs no lab."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from lab import ca
from lab.plan import plan_lab
from tests.acceptance.hops import hasty_session


async def _client(port: int, *, forgets: bool) -> None:
    """Speak as asyncio's reader makes one do, which keeps what it read before TLS, or as one that forgets it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await _reply(reader)
    for command in (b"EHLO a.example\r\n", b"STARTTLS\r\n"):
        writer.write(command)
        await _reply(reader)
    await asyncio.sleep(0.2)
    if forgets:
        reader._buffer.clear()  # type: ignore[attr-defined]  # there is no public way
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    await writer.start_tls(context)
    writer.write(b"EHLO a.example\r\n")
    await _reply(reader)
    writer.write(b"MAIL FROM:<a@a.example>\r\n")
    await _reply(reader)


async def _reply(reader: asyncio.StreamReader) -> None:
    while (line := await reader.readuntil(b"\n"))[3:4] == b"-":
        del line


@pytest.mark.parametrize(("forgets", "obeyed"), [(False, "MAIL FROM:<a@a.example>"), (True, "")])
def test_who_believes_an_injected_reply_is_told_from_who_does_not(
    forgets: bool,  # noqa: FBT001 - a parameter of the test
    obeyed: str,
    tmp_path: Path,
) -> None:
    lab = plan_lab(name="u1", index=0, gateways=1, directory=tmp_path)
    ca.make(lab)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.partners_pair(lab))

    async def both() -> dict[str, object]:
        seen: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.set_result(await hasty_session(reader, writer, context))
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            client = asyncio.create_task(_client(server.sockets[0].getsockname()[1], forgets=forgets))
            found = await seen
            client.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
                await client
        return found

    assert asyncio.run(asyncio.wait_for(both(), 30)) == {"secured": True, "obeyed": obeyed}
