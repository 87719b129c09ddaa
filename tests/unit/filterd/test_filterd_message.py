import contextlib
import errno
import os
import subprocess
import tracemalloc
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


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def write_all(spool: Spool, piece: bytes, times: int) -> None:
    for _ in range(times):
        spool.write(piece)


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing to a file finds no room; a memfd still has some."""
    write = os.write

    def limited(fd: int, data: memoryview | bytes) -> int:
        if not os.path.realpath(f"/proc/self/fd/{fd}").startswith("/memfd"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    monkeypatch.setattr(os, "write", limited)


def test_a_full_disk_costs_no_descriptor_and_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch)
    before = descriptors()
    spools = [Spool(str(tmp_path), 100_000) for _ in range(20)]
    for spool in spools:
        with pytest.raises(OSError, match="No space"):
            write_all(spool, b"x" * 65536, 10)
        assert spool.closed
        spool.close()
    assert descriptors() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
def test_a_small_file_system_that_is_full_costs_no_descriptor(tmp_path: Path) -> None:
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "bastide-test", str(tmp_path)],
        check=False,
        capture_output=True,
    )
    if mount.returncode:
        pytest.skip(f"no file system can be mounted here: {mount.stderr.decode()}")
    try:
        with contextlib.suppress(OSError), (tmp_path / "other").open("wb", buffering=0) as other:
            while other.write(b"x" * 4096):
                pass
        before = descriptors()
        for _ in range(20):
            spool = Spool(str(tmp_path), 100_000)
            with pytest.raises(OSError, match="No space"):
                write_all(spool, b"x" * 65536, 64)
            spool.close()
        assert descriptors() == before
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("directory", ["missing", "."])
def test_without_room_bytes_are_counted_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    full_disk(monkeypatch)
    message = Message(Envelope(), Spool(str(tmp_path / directory), 0), max_bytes=10**9)
    piece, failures = b"x" * 65536, 0
    tracemalloc.start()
    for _ in range(400):
        try:
            message.add_body(piece)
        except OSError:
            failures += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (message.lost, message.size, failures) == (True, 400 * 65536, 1)
    assert peak < 10**6
    message.close()


def test_what_is_left_to_write_fails_before_the_engines_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch)
    message = Message(Envelope(), Spool(str(tmp_path), 0), max_bytes=10**9)
    message.add_body(b"short")
    with pytest.raises(OSError, match="No space"):
        message.complete()
    message.complete()
    assert message.lost


@pytest.mark.parametrize("memory", [0, 1000])
def test_a_blank_is_of_the_contents_kind_and_empty(tmp_path: Path, memory: int) -> None:
    spool = Spool(str(tmp_path), memory)
    spool.write(b"x" * 500)
    content, blank = spool.descriptor(), spool.blank()
    places = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in (content, blank)]
    assert [place.startswith("/memfd") for place in places] == [memory > 0] * 2
    assert os.fstat(blank).st_size == 0
    os.close(blank)
    spool.close()


def test_headers_are_measured_as_they_were_on_the_wire() -> None:
    message = Message(Envelope(), Spool("/nonexistent", 10**6), max_bytes=10)
    for value in (b" 1", b" 12345\n 6", b""):
        message.add_header(b"A", value)
    assert (message.longest_header, message.size_of_headers) == (len(b"A: 12345\r\n 6\r\n"), 6 + 14 + 4)
    message.close()


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
