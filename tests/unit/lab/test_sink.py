"""The sink: what it accepts it records byte for byte, envelope last."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.sink import Sink, serve


def talk(spool: Path, lines: Sequence[bytes]) -> list[bytes]:
    """Send each piece after the reply to the one before; return the last line of each reply."""

    async def dialogue() -> list[bytes]:
        server = await serve(spool, port=0, host="127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        replies = [await _reply(reader)]
        for line in lines:
            writer.write(line)
            replies.append(await _reply(reader))
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return replies

    return asyncio.run(asyncio.wait_for(dialogue(), 10))


async def _reply(reader: asyncio.StreamReader) -> bytes:
    while True:
        line = await reader.readline()
        if line[3:4] != b"-":
            return line


def test_message_is_recorded_byte_for_byte(tmp_path: Path) -> None:
    body = b"Subject: x\r\n\r\n.dot\r\n" + b"y" * 5000 + b"\r\n\xff\x00\r\n"
    replies = talk(
        tmp_path,
        [
            b"EHLO mx1.bastide.example\r\n",
            b"MAIL FROM:<a@sender.example> BODY=8BITMIME\r\n",
            b"RCPT TO:<b@bastide.example>\r\n",
            b"DATA\r\n",
            body.replace(b"\r\n.", b"\r\n..") + b".\r\n",
            b"QUIT\r\n",
        ],
    )
    assert [reply[:3] for reply in replies] == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    (message,) = tmp_path.glob("*.eml")
    record = json.loads(message.with_suffix(".json").read_text())
    assert message.read_bytes() == body
    assert record["mail_from"] == "a@sender.example"
    assert record["rcpt_tos"] == ["b@bastide.example"]
    assert record["helo"] == "mx1.bastide.example"
    assert record["options"] == ["BODY=8BITMIME"]
    assert record["peer"][0] == "127.0.0.1"
    assert len(list(tmp_path.iterdir())) == 2


def test_unknown_recipient_is_refused_and_nothing_recorded(tmp_path: Path) -> None:
    replies = talk(
        tmp_path,
        [b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<Unknown.user@bastide.example>\r\n", b"DATA\r\n"],
    )
    assert replies[3].startswith(b"550 5.1.1 ")
    assert replies[4].startswith(b"503")
    assert not list(tmp_path.iterdir())


def test_it_offers_what_a_modern_mail_server_offers(tmp_path: Path) -> None:
    async def greeting() -> bytes:
        server = await serve(tmp_path, port=0, host="127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        await _reply(reader)
        writer.write(b"EHLO x\r\n")
        said = b""
        while not said.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].startswith(b"250 "):
            said += await reader.readline()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return said

    said = asyncio.run(asyncio.wait_for(greeting(), 10))
    assert {b"SMTPUTF8", b"8BITMIME", b"SIZE 62914560"} <= {line[4:] for line in said.splitlines()}


def test_what_is_not_whole_is_not_found_by_its_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pathlib's glob also gives names that begin with a dot: a reader met the envelope before its message.
    met = []
    rename = Path.rename

    def late(fresh: Path, to: Path) -> Path:
        met.extend([path.name for ending in ("eml", "json") for path in tmp_path.glob(f"*.{ending}")])
        return rename(fresh, to)

    monkeypatch.setattr(Path, "rename", late)
    Sink(tmp_path)._put("1-1.json", b"{}")
    assert not met
    assert [path.name for path in tmp_path.iterdir()] == ["1-1.json"]
