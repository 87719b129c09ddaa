"""Servers on loopback that behave well or badly on purpose: what each probe must tell apart."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from audit.place import Place
from audit.samples import EICAR, GTUBE

LIMIT = 200_000


@dataclass(kw_only=True)
class Manners:
    """How a stub SMTP server behaves; the defaults are good manners."""

    greeting: bytes = b"220 mx1.bastide.example ESMTP\r\n"
    ehlo: bytes = b"250-mx1.bastide.example\r\n250-SIZE 200000\r\n250 8BITMIME\r\n"
    vrfy: bytes = b"502 5.5.1 VRFY command is disabled\r\n"
    relays: bool = False
    cuts_early: bool = True
    farewell: bytes = b"554 5.5.0 Error: SMTP protocol synchronization\r\n"
    enforces_size: bool = True
    ends: tuple[bytes, ...] = (b"\r\n.\r\n",)
    judge: Callable[[bytes], bytes] = field(default_factory=lambda: judged)
    spool: Path | None = None
    rewrite: Callable[[bytes], bytes] = field(default=lambda content: content)
    sender: str | None = None


def judged(content: bytes) -> bytes:
    """Refuse what the real gateway refuses, by the crudest means that tell it apart."""
    if EICAR in content or b"WDVPIVAlQEFQ" in content or b"papers.zip" in content:
        return b"550 5.7.1 Refused [virus.found]\r\n"
    if GTUBE in content:
        return b"550 5.7.1 Refused [spam.score]\r\n"
    if len(content) > LIMIT:
        return b"552 5.3.4 Too large\r\n"
    return b"250 2.0.0 Ok: queued\r\n"


class Stub:
    """One SMTP session by the given manners."""

    def __init__(self, manners: Manners, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.manners, self.reader, self.writer = manners, reader, writer
        self.sender, self.recipients = "", [""]

    async def serve(self) -> None:
        await self._session()
        await self.writer.drain()
        self.writer.close()
        await self.writer.wait_closed()

    async def _session(self) -> None:
        if self.manners.cuts_early:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self.reader.readexactly(1)
                    self.writer.write(self.manners.farewell)
                    return
        self.writer.write(self.manners.greeting)
        while line := (await self.reader.readuntil(b"\n")).strip():
            if line == b"QUIT":
                return
            self.writer.write(await self._reply(line))

    async def _reply(self, line: bytes) -> bytes:
        verb, _, rest = line.partition(b" ")
        address = rest.partition(b"<")[2].partition(b">")[0].decode()
        if verb == b"EHLO":
            return self.manners.ehlo
        if verb in {b"VRFY", b"EXPN"}:
            return self.manners.vrfy
        if verb == b"MAIL":
            over = b"SIZE=" in rest and int(rest.rpartition(b"SIZE=")[2]) > LIMIT
            self.sender = address
            return b"552 5.3.4 Too large\r\n" if over and self.manners.enforces_size else b"250 Ok\r\n"
        if verb == b"RCPT":
            self.recipients = [address]
            ours = address.endswith("@bastide.example")
            return b"250 Ok\r\n" if ours or self.manners.relays else b"554 5.7.1 Relay access denied\r\n"
        if verb == b"DATA":
            self.writer.write(b"354 Go on\r\n")
            return await self._content()
        return b"250 2.0.0 Ok\r\n" if verb == b"RSET" else b"500 5.5.2 What?\r\n"

    async def _content(self) -> bytes:
        lines = [b"\r\n"]
        while not b"".join(lines[-2:]).endswith(self.manners.ends):
            lines.append(await self.reader.readuntil(b"\n"))
        content = b"".join(line.removeprefix(b".") for line in lines[1:-1])
        reply = self.manners.judge(content)
        if reply.startswith(b"2") and self.manners.spool:
            self._keep(self.manners.spool, content)
        return reply

    def _keep(self, spool: Path, content: bytes) -> None:
        name = f"{len(list(spool.iterdir())):04}-{id(self)}"
        received = b"Received: from client by mx1.bastide.example\r\n\twith ESMTP; today\r\n"
        (spool / f"{name}.eml").write_bytes(received + self.manners.rewrite(content))
        sender = self.sender if self.manners.sender is None else self.manners.sender
        record = {"mail_from": sender, "rcpt_tos": self.recipients, "peer": "x", "helo": "x"}
        (spool / f"{name}.json").write_text(json.dumps(record))


def place(port: int = 25, **changes: object) -> Place:
    """Return a place on loopback that looks at a server on loopback."""
    facts = {
        "vantage": "wan",
        "hostname": "mx1.bastide.example",
        "domain": "bastide.example",
        "size_limit": LIMIT,
        "addresses": {4: "127.0.0.1"},
        "sources": {4: "127.0.0.1"},
        "declared": {4: (25,)},
        "sender": "audit@sender.example",
        "recipient": "postmaster@bastide.example",
        "helo": "client.sender.example",
        "smtp_port": port,
        "ssh_port": port,
    }
    return Place(**{**facts, **changes})  # type: ignore[arg-type]  # a test may give any field


@contextlib.asynccontextmanager
async def served(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve connections and give the port; at the end no connection and no task is left."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(one, "127.0.0.1", 0, limit=1_000_000)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def smtp(manners: Manners) -> AbstractAsyncContextManager[int]:
    """Serve SMTP by the given manners and give the port."""
    return served(lambda reader, writer: Stub(manners, reader, writer).serve())


def silent() -> AbstractAsyncContextManager[int]:
    """Accept connections and say nothing; give the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    return served(serve)


def raw(content: bytes) -> AbstractAsyncContextManager[int]:
    """Serve fixed bytes to whoever connects, then hang up; give the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        writer.write_eof()
        await reader.read(1000)

    return served(serve)


def ssh_offer(
    kex: str = "curve25519-sha256,kex-strict-s-v00@openssh.com", cipher: str = "aes256-ctr"
) -> bytes:
    """Return what an sshd sends first: its version and its key exchange offer."""
    lists = [kex, "ssh-ed25519", cipher, cipher, "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""]
    body = b"".join(struct.pack("!I", len(names)) + names.encode() for names in lists)
    payload = b"\x14" + bytes(16) + body + bytes(5)
    padding = 8 - (len(payload) + 5) % 8 + 4
    packet = struct.pack("!IB", len(payload) + padding + 1, padding) + payload + bytes(padding)
    return b"a line before the version\r\nSSH-2.0-OpenSSH_9.2\r\n" + packet
