import os
from pathlib import Path

import pytest

from filterd.message import Envelope, Message, Spool
from tests.unit.filterd import dialogue


@pytest.mark.parametrize("memory", [0, 1000, 200_000, 10**6])
@pytest.mark.parametrize("piece", [1000, 65536, 300_000])
def test_what_is_written_is_what_is_read(tmp_path: Path, memory: int, piece: int) -> None:
    data = os.urandom(300_000)
    spool = Spool(str(tmp_path), memory)
    for at in range(0, len(data), piece):
        spool.write(data[at : at + piece])
    assert b"".join(spool.pieces()) == data
    assert b"".join(spool.pieces(70_000)) == data[:70_000]
    assert os.pread(spool.descriptor(), len(data) + 1, 0) == data
    assert os.path.realpath(f"/proc/self/fd/{spool.descriptor()}").startswith("/memfd") is (
        memory >= len(data)
    )
    assert list(tmp_path.iterdir()) == []
    spool.close()
    spool.close()


def test_the_spool_gives_its_descriptors_back(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for memory in (0, 10**6):
        spool = Spool(str(tmp_path), memory)
        spool.write(b"x" * 100_000)
        spool.descriptor()
        spool.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_room_is_an_error_of_the_system(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "missing"), 0)
    with pytest.raises(FileNotFoundError):
        spool.write(b"x" * 100_000)
    spool.close()


def told(*, exact: bool, max_bytes: int = 10_000) -> Message:
    message = Message(Envelope(), Spool("/nonexistent", 10**6), max_bytes=max_bytes, exact=exact)
    for name, value in dialogue.HEADERS:
        message.add_header(name, value)
    message.end_headers()
    message.add_body(dialogue.BODY)
    return message


def test_the_bytes_are_those_of_the_wire() -> None:
    message = told(exact=True)
    assert b"".join(message.spool.pieces()) == dialogue.as_sent()
    assert message.size == len(dialogue.as_sent())
    assert not message.oversize
    message.close()


def test_without_the_leading_space_one_is_put_there() -> None:
    message = Message(Envelope(), Spool("/nonexistent", 10**6), max_bytes=1000, exact=False)
    message.add_header(b"A", b"one\r\n\ttwo\n three")
    assert b"".join(message.spool.pieces()) == b"A: one\r\n\ttwo\r\n three\r\n"
    message.close()


def test_what_is_beyond_the_limit_is_counted_and_not_kept() -> None:
    message = Message(Envelope(), Spool("/nonexistent", 10**6), max_bytes=1000)
    for _ in range(100):
        message.add_body(b"x" * 600)
    assert message.oversize
    assert message.size == 60_000
    assert message.spool.size == 600
    message.close()
