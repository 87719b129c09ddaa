"""The store: what is kept is whole, exact and private, or not there at all."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from filterd.carry import store as module
from filterd.carry.store import Entry, FoundIn, Store

CONTENT = b"Subject: x\r\n\r\nbody \xff\r\n"


def entry(kind: module.Kind = "quarantine", **more: object) -> Entry:
    values: dict[str, object] = {
        "kind": kind, "received": "2026-01-01T00:00:00+00:00", "queue_id": "4XyZ", "sender": "a@sender.example",
        "recipients": ("b@rcpt.example", "c@rcpt.example"), **more,
    }  # fmt: skip
    return msgspec.convert(values, Entry)


def pieces() -> Iterator[bytes]:
    yield CONTENT[:7]
    yield CONTENT[7:]


def test_entry_says_exactly_whose_it_is_and_why(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    found = FoundIn(rule="attachment.extension", verdict="banned", path="1.2", name="x.exe")
    kept = store.keep(pieces(), [entry(findings=(found,), rule="attachment.extension", verdict="banned")])
    (read,) = store.entries("quarantine")
    assert read.id == kept.ids[0]
    assert read.recipients == ("b@rcpt.example", "c@rcpt.example")
    assert read.findings == (found,)
    assert store.content("quarantine", read.id).read_bytes() == CONTENT


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        kept = Store(str(tmp_path / "store")).keep(pieces(), [entry()])
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in kept.paths} == {0o600}
    assert {(tmp_path / "store" / name).stat().st_mode & 0o777 for name in (".", "quarantine")} == {0o700}


def test_one_content_serves_several_entries_and_each_can_go(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    kept = store.keep(pieces(), [entry("archive"), entry("copy"), entry("quarantine")])
    assert len({path.stat().st_ino for path in kept.paths if path.suffix == ".eml"}) == 1
    store.content("archive", kept.ids[0]).unlink()
    assert store.content("copy", kept.ids[1]).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_undo_takes_all_of_it_back(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.keep(pieces(), [entry("archive"), entry("quarantine")]).undo()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# The content, two descriptions, two directories.
@pytest.mark.parametrize("at", range(5))
def test_full_disk_leaves_nothing_half(tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    store = Store(str(tmp_path))
    store.keep(pieces(), [entry("archive"), entry("quarantine")]).undo()
    monkeypatch.setattr("filterd.carry.store.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.keep(pieces(), [entry("archive"), entry("quarantine")])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.EIO, "the spool cannot be read")

    with pytest.raises(OSError, match="spool"):
        Store(str(tmp_path)).keep(broken(), [entry()])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="directory"):
        Store(str(tmp_path / "file" / "store")).keep(pieces(), [entry()])


def test_tidy_removes_old_discarded_messages_and_left_overs_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    kept = store.keep(pieces(), [entry("discarded"), entry("quarantine"), entry("archive"), entry("copy")])
    (tmp_path / ".fresh-crashed").write_bytes(b"x")
    (tmp_path / "copy" / "no-entry.eml").write_bytes(b"x")
    assert store.tidy(30) == 0
    assert (tmp_path / ".fresh-crashed").exists()
    later = time.time() + 31 * 86_400
    monkeypatch.setattr("filterd.carry.store.time.time", lambda: later)
    assert store.tidy(30) == 1
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted([".tidied", *(path.name for path in kept.paths if path.parent.name != "discarded")])


def test_store_is_tidied_once_in_a_while_by_whoever_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Store(str(tmp_path)), Store(str(tmp_path))
    one.keep(pieces(), [entry("discarded")])
    now = time.time() + 60
    monkeypatch.setattr("filterd.carry.store.time.time", lambda: now)
    assert one.tidy(0, every_s=3600) == 1
    one.keep(pieces(), [entry("discarded")])
    assert one.tidy(0, every_s=3600) == other.tidy(0, every_s=3600) == 0
    now += 3600
    assert other.tidy(0, every_s=3600) == 1
    # A clock that was set back does not put it off for good.
    one.keep(pieces(), [entry("discarded")])
    now -= 1800
    os.utime(tmp_path / ".tidied", (now + 7200, now + 7200))
    assert one.tidy(0, every_s=3600) == 1


def test_one_process_tidies_at_a_time(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.keep(pieces(), [entry("discarded")])
    with store._alone() as alone, Store(str(tmp_path))._alone() as other:
        assert (alone, other) == (True, False)
        assert store.tidy(0) == 0
    time.sleep(0.05)
    assert store.tidy(0) == 1
    assert Store(str(tmp_path / "none")).tidy(0) == 0
