import asyncio
import errno
import time
from pathlib import Path

import pytest

from filterd.config import ClamdSettings, SpamdSettings
from filterd.errors import ScannerAnswerError, ScannerDownError, ScannerError
from filterd.log import Log
from filterd.message import Envelope, Message, Spool
from filterd.scanners import clamd, spamd
from filterd.scanners.scan import ScanAnswer
from filterd.scanners.wire import Wire
from tests.unit.filterd import engines

QUIET = Log(-1)


# --- codecs


@pytest.mark.parametrize(
    ("answer", "signature", "limit"),
    [
        (b"stream: OK\0", None, None),
        (b"fd[12]: OK\0", None, None),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\0", "Win.Test.EICAR_HDB-1", None),
        (b"fd[9]: Name(44d8:68) FOUND\0", "Name(44d8:68)", None),
        (
            b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0",
            None,
            "Heuristics.Limits.Exceeded.MaxFileSize",
        ),
        (b"INSTREAM size limit exceeded. ERROR\0", None, "StreamMaxLength"),
    ],
)
def test_clamd_answers_and_what_they_mean(answer: bytes, signature: str | None, limit: str | None) -> None:
    assert clamd.parse(answer) == ScanAnswer(signature=signature, limit=limit)


@pytest.mark.parametrize(
    "answer",
    [
        b"stream: OK", b"stream: OK\n", b"OK\0", b"stream: OK \0", b" stream: OK\0", b"stream:  FOUND\0", b"stream: FOUND\0",
        b"stream: a b FOUND\0", b"stream: X FOUND\nstream: OK\0", b"stream: OK\0stream: X FOUND\0", b"fd[]: OK\0", b"fd[x]: OK\0",
        b"stream: Can't open file ERROR\0", b"UNKNOWN COMMAND\0", b"\0", b"stream: X\x01 FOUND\0", b"stream: OK\0\0",
        b"stream: " + b"x" * 600 + b" FOUND\0", b"stream: \xff FOUND\0",
        b"fd[9]: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0",
    ],
)  # fmt: skip
def test_any_other_answer_of_clamd_is_neither_clean_nor_infected(answer: bytes) -> None:
    with pytest.raises(ScannerAnswerError):
        clamd.parse(answer)


def test_a_silent_clamd_is_down() -> None:
    with pytest.raises(ScannerDownError):
        clamd.parse(b"")


def test_an_instream_request() -> None:
    assert b"".join(clamd.stream(iter((b"abc", b"de")))) == b"zINSTREAM\0\0\0\0\3abc\0\0\0\2de\0\0\0\0"


@pytest.mark.parametrize(
    ("answer", "score", "symbols"),
    [
        (engines.scored(1000.0), 1000.0, ("GTUBE", "NO_RECEIVED")),
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -2.3 / 5.0\r\nContent-length: 2\r\n\r\n\r\n", -2.3, ()),
        (b"SPAMD/1.1 0 EX_OK\r\nContent-length: 3\r\nSpam: True ; 6 / 5\r\n\r\nABC,DEF", 6.0, ("ABC",)),
        (b"SPAMD/1.0 0 EX_OK\r\nSPAM: Yes ; 7 / 5\r\n\r\n", 7.0, ()),
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.0 / 5.0\r\n\r\nA,b c,\xff,B_2\r\n", 6.0, ("A", "B_2")),
    ],
)
def test_spamd_answers_and_what_they_mean(answer: bytes, score: float, symbols: tuple[str, ...]) -> None:
    assert spamd.parse(answer) == spamd.SpamdAnswer(score, symbols)


@pytest.mark.parametrize(
    "answer",
    [
        engines.scored(3.0)[:-3], engines.scored(3.0)[:40], b"SPAMD/1.1 0 EX_OK\r\n\r\n",
        b"SPAMD/1.0 76 Bad header line\r\n\r\n", b"SPAMD/1.1 79 Timeout: (30 second timeout)\r\nSpam: False ; 0 / 5\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; nan / 5.0\r\n\r\n", b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 1e9 / 5.0\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: Maybe ; 1 / 5\r\n\r\n", b"SPAMD/1.1 0 EX_OK\r\nSpam: False\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5\r\nSpam: False ; 0 / 5\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nno colon\r\nSpam: False ; 1 / 5\r\n\r\n", b"SPAMD/1.1 0 EX_OK\nSpam: False ; 1 / 5\n\n",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: -1\r\nSpam: False ; 1 / 5\r\n\r\n", b"\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 99999999999\r\nSpam: False ; 1 / 5\r\n\r\n",
    ],
)  # fmt: skip
def test_any_other_answer_of_spamd_is_no_score(answer: bytes) -> None:
    with pytest.raises(ScannerAnswerError):
        spamd.parse(answer)


def test_the_trace_tells_spamd_of_this_session_and_cannot_be_broken_out_of() -> None:
    lines = spamd.trace(
        Envelope(
            client_name=b"evil.example])\r\nX-Spam: no",
            client_address=b"198.51.100.7",
            helo=b"a (b [127.0.0.1]) by x",
            sender=b"<a@x>\n",
            queue_id=b"4X",
            host=b"mx.example",
        ),
        0.0,
    )
    assert lines == (
        b"X-Envelope-From: <a@x__>\r\n"
        b"Received: from a__b__127.0.0.1___by_x (evil.example____X-Spam:_no [198.51.100.7])\r\n"
        b"\tby mx.example with ESMTP id 4X\r\n"
        b"\t(envelope-from <a@x__>); Thu, 01 Jan 1970 00:00:00 +0000\r\n"
    )
    assert spamd.trace(Envelope(), 0.0).count(b"unknown") == 4


@pytest.mark.parametrize("address", [b"", b"unknown", b"/run/x", b"1.2.3.4]) by (x"])
def test_an_address_that_is_none_is_left_out_of_the_trace(address: bytes) -> None:
    (line,) = [
        line
        for line in spamd.trace(Envelope(helo=b"h", client_address=address), 0.0).split(b"\r\n")
        if b" from h" in line
    ]
    assert line == b"Received: from h (unknown)"


# --- clients against engines that may misbehave


def ask_clamd(path: Path, *contents: bytes, **settings: float) -> list[ScanAnswer]:
    async def run() -> list[ScanAnswer]:
        client = clamd.Clamd(ClamdSettings(socket=str(path), **settings), slots=2, log=QUIET)  # type: ignore[arg-type] # any field
        return await asyncio.gather(*(one(client, content) for content in contents))

    async def one(client: clamd.Clamd, content: bytes) -> ScanAnswer:
        spool = Spool("/nonexistent", 10**8)
        try:
            spool.write(content)
            return await client.scan(spool)
        finally:
            spool.close()

    return asyncio.run(run())


@pytest.mark.parametrize("fdpass", [True, False])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_clamd_sees_every_byte(tmp_path: Path, *, fdpass: bool, size: int) -> None:
    content = b"x" * size + engines.EICAR
    with engines.Clamd(tmp_path / "c") as server:
        assert ask_clamd(server.path, content, fdpass=fdpass)[0].signature is not None
        assert ask_clamd(server.path, b"x" * size, fdpass=fdpass) == [ScanAnswer()]
        assert server.requests == [content, b"x" * size]


FILDES, INSTREAM = b"zFILDES\0", b"zINSTREAM\0"


def ask_one_after_the_other(path: Path, spool_dir: Path, *contents: bytes) -> list[str]:
    """What one client, as a worker keeps it, makes of each; memory is short, so that long ones are files."""

    async def run() -> list[str]:
        client = clamd.Clamd(ClamdSettings(socket=str(path)), slots=1, log=QUIET)
        return [await one(client, content) for content in contents]

    async def one(client: clamd.Clamd, content: bytes) -> str:
        spool = Spool(str(spool_dir), 1000)
        try:
            spool.write(content)
            answer = await client.scan(spool)
        except ScannerError as error:
            return type(error).__name__
        finally:
            spool.close()
        return answer.signature or answer.limit or "clean"

    return asyncio.run(run())


@pytest.mark.parametrize(
    "refusal",
    [
        b"UNKNOWN COMMAND\0", b"UNKNOWN COMMAND. ERROR\0", b"No file descriptor received. ERROR\0",
        b"FILDES: didn't receive file descriptor. ERROR\0", b"FILDES support not compiled in. ERROR\0",
        b"fd[9]: Not a regular file. ERROR\0", b"fd[9]: Can't access file ERROR\0",
    ],
)  # fmt: skip
def test_a_clamd_that_refuses_descriptors_gets_the_bytes(tmp_path: Path, refusal: bytes) -> None:
    with engines.Clamd(tmp_path / "c") as server:
        server.refusal = refusal
        assert ask_one_after_the_other(server.path, tmp_path, b"one", b"two") == ["clean"] * 2
        assert server.commands == [FILDES, INSTREAM, INSTREAM]
        assert server.requests == [b"one", b"two"]


@pytest.mark.parametrize("size", [10, 100_000], ids=["memory", "file"])
def test_a_clamd_that_hangs_up_on_every_descriptor_gets_the_bytes(tmp_path: Path, size: int) -> None:
    with engines.Clamd(tmp_path / "c") as server:
        server.refusal = b""
        assert ask_one_after_the_other(server.path, tmp_path, b"x" * size, b"two") == ["clean"] * 2
        assert server.commands == [FILDES, FILDES, INSTREAM, INSTREAM]


@pytest.mark.parametrize(
    "answer",
    [
        b"fd[9]: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0", b"fd[9]: Time limit reached ERROR\0", b"nonsense\0",
        b"fd[9]: Can't allocate memory ERROR\0", b"fd[9]: UNKNOWN COMMAND FOUND\0", b"fd[9]: OK",
    ],
)  # fmt: skip
def test_any_other_answer_is_no_reason_to_scan_twice(tmp_path: Path, answer: bytes) -> None:
    with engines.Clamd(tmp_path / "c") as server:
        server.answer = answer
        assert ask_one_after_the_other(server.path, tmp_path, b"one", b"two") == ["ScannerAnswerError"] * 2
        assert server.commands == [FILDES, FILDES]


@pytest.mark.parametrize("size", [0, 100_000], ids=["memory", "file"])
def test_a_clamd_that_dies_of_a_content_does_not_get_it_again(tmp_path: Path, size: int) -> None:
    deadly = b"x" * size + b"bomb"
    with engines.Clamd(tmp_path / "c") as server:
        server.fatal = b"bomb"
        assert ask_one_after_the_other(server.path, tmp_path, deadly, b"two") == ["ScannerDownError", "clean"]
        assert server.requests == [deadly, b"", b"two"]
        assert INSTREAM not in server.commands


def test_a_descriptor_that_cannot_be_sent_makes_it_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ETOOMANYREFS, "Too many references")

    with engines.Clamd(tmp_path / "c") as server:
        monkeypatch.setattr(Wire, "send_descriptor", refused)
        assert ask_one_after_the_other(server.path, tmp_path, b"one") == ["clean"]
        assert server.requests == [b"one"]


@pytest.mark.parametrize("fdpass", [True, False])
@pytest.mark.parametrize("answer", [b"", b"stream: OK", b"nonsense\0", b"x" * 100_000, b"stream: OK\0more"])
def test_what_clamd_garbles_is_an_error(tmp_path: Path, *, fdpass: bool, answer: bytes) -> None:
    with engines.Clamd(tmp_path / "c") as server:
        server.answer = answer
        with pytest.raises(ScannerError):
            ask_clamd(server.path, b"hello", fdpass=fdpass)


def test_a_clamd_that_is_not_there_or_hangs_is_down(tmp_path: Path) -> None:
    with pytest.raises(ScannerDownError, match="cannot be reached"):
        ask_clamd(tmp_path / "nobody", b"hello")
    with engines.Clamd(tmp_path / "c") as server:
        server.gate.clear()
        with pytest.raises(ScannerDownError, match="no answer in"):
            ask_clamd(server.path, b"hello", timeout_s=0.2)


def test_an_engine_gets_no_more_than_its_places_at_once(tmp_path: Path) -> None:
    with engines.Clamd(tmp_path / "c") as server:
        assert len(ask_clamd(server.path, *(b"x" for _ in range(20)))) == 20
        assert server.most_at_once <= 2


def ask_spamd(
    path: Path, content: bytes, *, timeout_s: float = 5, start_bytes: int = 4096
) -> spamd.SpamdAnswer:
    async def run() -> spamd.SpamdAnswer:
        settings = SpamdSettings(
            socket=str(path), user="filterd", timeout_s=timeout_s, max_bytes=8192, start_bytes=start_bytes
        )
        message = Message(Envelope(helo=b"h"), Spool("/nonexistent", 10**8), max_bytes=10**8)
        try:
            message.add_body(content)
            return await spamd.Spamd(settings, slots=1, log=QUIET).score(message)
        finally:
            message.close()

    return asyncio.run(run())


def test_spamd_gets_the_trace_and_the_start_of_a_long_message(tmp_path: Path) -> None:
    with engines.Spamd(tmp_path / "s") as server:
        assert ask_spamd(server.path, engines.GTUBE + b"x" * 100_000).score == 1000.0
        head, _, content = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"SYMBOLS SPAMC/1.5\r\nUser: filterd\r\nContent-length: ")
        assert content.startswith(b"X-Envelope-From: <>\r\nReceived: from h (unknown)\r\n")
        assert content.endswith(engines.GTUBE + b"x" * (4096 - len(engines.GTUBE)))
        for size, seen in ((4096, 4096), (8192, 8192), (8193, 4096)):
            ask_spamd(server.path, b"y" * size)
            assert (
                server.requests[-1].count(b"y") - server.requests[-1].partition(b"yyy")[0].count(b"y") == seen
            )
        ask_spamd(server.path, b"z" * 9000, start_bytes=20_000)
        assert server.requests[-1].endswith(b"\n" + b"z" * 8192)


@pytest.mark.parametrize("answer", [b"", b"SPAMD/1.1 0 EX_OK\r\n", b"x" * 100_000])
def test_what_spamd_garbles_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with engines.Spamd(tmp_path / "s") as server:
        server.answer = answer
        with pytest.raises(ScannerError):
            ask_spamd(server.path, b"hello")


def test_a_spamd_that_is_not_there_or_hangs_is_down(tmp_path: Path) -> None:
    with pytest.raises(ScannerDownError):
        ask_spamd(tmp_path / "nobody", b"hello")
    with engines.Spamd(tmp_path / "s") as server:
        server.gate.clear()
        with pytest.raises(ScannerDownError):
            ask_spamd(server.path, b"hello", timeout_s=0.2)


def test_pings(tmp_path: Path) -> None:
    async def both(clam: Path, spam: Path) -> None:
        await clamd.Clamd(ClamdSettings(socket=str(clam), timeout_s=0.3), slots=1, log=QUIET).ping()
        await spamd.Spamd(SpamdSettings(socket=str(spam), timeout_s=0.3), slots=1, log=QUIET).ping()

    with engines.Clamd(tmp_path / "c") as one, engines.Spamd(tmp_path / "s") as two:
        asyncio.run(both(one.path, two.path))
        with pytest.raises(ScannerError):
            asyncio.run(both(two.path, one.path))


@pytest.mark.parametrize(
    ("answer", "database", "built"),
    [
        (b"ClamAV 1.4.3/27800/Mon Nov 16 08:26:11 2026\0", 27800, True),
        (b"ClamAV 1.0.7/1/Thu Jan  1 12:00:00 2026\0", 1, True),
        (b"ClamAV 1.4.3\0", 0, False),
    ],
)
def test_clamd_says_how_old_its_database_is(answer: bytes, database: int, *, built: bool) -> None:
    version = clamd.parse_version(answer)
    assert version.database == database
    assert bool(version.built) == built
    if built:
        assert time.strftime("%Y", time.localtime(version.built)) == "2026"


@pytest.mark.parametrize(
    "answer",
    [b"", b"ClamAV 1.4.3", b"ClamAV 1.4.3/27800/soon\0", b"ClamAV 1.4.3/x/Mon Nov 16 08:26:11 2026\0", b"PONG\0", b"ClamAV 1\0x"],
)  # fmt: skip
def test_what_is_no_version_of_clamd_is_an_error(answer: bytes) -> None:
    with pytest.raises(ScannerAnswerError):
        clamd.parse_version(answer)


def test_a_gate_knows_who_waits_and_what_is_wrong(tmp_path: Path) -> None:
    async def run() -> None:
        client = clamd.Clamd(ClamdSettings(socket=str(tmp_path / "c"), timeout_s=2.0), slots=1, log=QUIET)
        condition = client.condition
        spool = Spool("/nonexistent", 10**8)
        with engines.Clamd(tmp_path / "c") as server:
            server.gate.clear()
            asked = [asyncio.ensure_future(client.scan(spool)) for _ in range(3)]
            await asyncio.sleep(0.2)
            assert (condition.running, condition.waiting, condition.problem) == (1, 2, "")
            server.gate.set()
            await asyncio.gather(*asked)
        with pytest.raises(ScannerError):
            await client.scan(spool)
        assert (condition.running, condition.waiting, condition.failures) == (0, 0, 1)
        assert "cannot be reached" in condition.problem
        with engines.Clamd(tmp_path / "c"):
            await client.ping()
            assert (condition.problem, condition.failures) == ("", 1)
        spool.close()

    asyncio.run(run())
