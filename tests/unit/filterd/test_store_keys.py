"""Keys of kept contents: several that read, the newest that writes, their change while the daemon runs and through kill -9."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine

from filterd.cli.store import KeysChanged, StoreSeen
from filterd.config import load
from filterd.config.hints import lacking
from filterd.config.ledger import LedgerSettings
from filterd.errors import ConfigError
from filterd.ledger import keys
from filterd.ledger.blobs import BlobError, Blobs
from filterd.ledger.keys import MOST, Keys
from tests.unit.filterd.daemon import ROOT, configuration
from tests.unit.filterd.test_ledger_actors import as_user
from tests.unit.filterd.test_ledger_cli import Shell, actors

OLD, NEW, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))
CHUNK: Final = 256 * 1024


def read(blobs: Blobs, digest: str) -> bytes:
    return b"".join(blobs.pieces(digest))


def written(path: Path, *those: bytes) -> Path:
    path.write_text("".join(f"{key.hex()}\n" for key in those))
    return path


def test_a_file_of_keys(tmp_path: Path) -> None:
    assert Keys("")() == ()
    path = tmp_path / "key"
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys(str(path))
    assert Keys(str(written(path, OLD)))() == (OLD,)
    assert Keys(str(written(path, NEW, OLD)))() == (NEW, OLD)
    path.write_text(OLD.hex())  # as it was made by hand, without an end of the line
    assert Keys(str(path))() == (OLD,)
    many = "\n".join([OLD.hex()] * (MOST + 1))
    for text in (OLD.hex()[:-2], "zz" * 32, "", f"{OLD.hex()}\nzz\n", many, "\xe4"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="openssl rand -hex 32"):
            Keys(str(path))


def test_a_file_that_is_replaced_is_in_use_at_once_and_one_that_is_broken_is_not(tmp_path: Path) -> None:
    path = written(tmp_path / "key", OLD)
    found = Keys(str(path))
    keys.write(path, (NEW, OLD))
    assert found() == (NEW, OLD)
    path.write_text("nothing")
    assert found() == (NEW, OLD)
    path.unlink()
    assert found() == (NEW, OLD)
    assert Keys(str(written(path, THIRD)))() == (THIRD,)
    assert found() == (THIRD,)


def test_writing_keys_keeps_mode_and_owner_and_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "key", OLD)
    path.chmod(0o400)
    (tmp_path / ".key.new").write_text("half")  # of one that was killed
    keys.write(path, (NEW, OLD))
    seen = path.stat()
    assert (seen.st_mode & 0o777, seen.st_uid) == (0o400, os.getuid())

    def full(_descriptor: int) -> None:
        raise OSError(28, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no room"):
            keys.write(path, (THIRD, NEW, OLD))
    assert Keys(str(path))() == (NEW, OLD)
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("size", [0, 1, CHUNK + 1, 3 * CHUNK])
def test_the_newest_writes_and_each_reads(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    plain, old, new = Blobs(tmp_path), Blobs(tmp_path, OLD), Blobs(tmp_path, NEW, OLD)
    digest = plain.put([content])
    assert new.key_of(digest) is None
    assert old.put([content]) == digest
    assert (old.key_of(digest), new.key_of(digest), read(new, digest)) == (0, 1, content)
    assert new.put([content]) == digest
    assert (new.key_of(digest), read(new, digest)) == (0, content)
    for closed in (old, Blobs(tmp_path, THIRD, OLD)):
        with pytest.raises(BlobError, match="another key"):
            read(closed, digest)
        with pytest.raises(BlobError, match="another key"):
            closed.key_of(digest)


def test_sealing_anew_changes_the_key_and_nothing_else(tmp_path: Path) -> None:
    new = Blobs(tmp_path, NEW, OLD)
    contents = {
        Blobs(tmp_path, *those).put([text]): text
        for those, text in (((), b"p"), ((OLD,), b"o"), ((NEW,), b"n"))
    }
    assert [new.resealed(digest) for digest in contents] == [True, True, False]
    alone = Blobs(tmp_path, NEW)
    assert {digest: read(alone, digest) for digest in contents} == contents
    assert not any(new.resealed(digest) for digest in contents)
    with pytest.raises(BlobError, match="is not in the store"):
        new.resealed("0" * 64)


def test_a_damaged_content_is_not_sealed_anew(tmp_path: Path) -> None:
    old = Blobs(tmp_path, OLD)
    digest = old.put([os.urandom(2 * CHUNK)])
    raw = bytearray(old.path(digest).read_bytes())
    raw[-1] ^= 1
    old.path(digest).write_bytes(raw)
    with pytest.raises(BlobError, match="damaged"):
        Blobs(tmp_path, NEW, OLD).resealed(digest)
    assert old.path(digest).read_bytes() == raw
    assert not list(tmp_path.glob(".fresh-*"))


@pytest.fixture
def shell(
    tmp_path: Path,
    ledger_settings: LedgerSettings,
    ledger: Engine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """A gateway whose store is encrypted, and root at its command line."""
    as_user(monkeypatch, 0)
    assert ledger.dialect.name
    (tmp_path / "store").mkdir()
    (tmp_path / "filterd.toml").write_text(
        configuration(
            tmp_path,
            ledger={"url": ledger_settings.url, "socket": ledger_settings.socket},
            store={"directory": str(tmp_path / "store"), "key_file": str(written(tmp_path / "key", OLD))},
        )
    )
    return Shell(tmp_path, capsys)


def settled(shell: Shell) -> None:
    """Let the file of keys be an hour old."""
    before = time.time() - 3601
    os.utime(shell.home / "key", (before, before))


def seen(**changes: Any) -> dict[str, Any]:
    none: dict[str, Any] = dict.fromkeys(
        ("keys", "contents", "newest", "older", "plain", "lost", "resealed"), 0
    )
    return none | {"needed": []} | changes


def test_a_key_is_changed_from_beginning_to_end(shell: Shell, ledger: Engine) -> None:
    daemon = Blobs(shell.home / "store", read=Keys(str(shell.home / "key")))
    first = daemon.put([b"first"])
    Blobs(shell.home / "store").put([b"plain"])
    assert shell.json(StoreSeen, "store", "status") == (0, seen(keys=1, contents=2, newest=1, plain=1))
    assert shell.json(KeysChanged, "store", "new-key") == (0, {"keys": 2})
    second = daemon.put([b"second"])  # it runs on, and was told nothing
    held = Keys(str(shell.home / "key"))()
    assert held[1] == OLD
    assert read(Blobs(shell.home / "store", held[0]), second) == b"second"
    assert shell.json(StoreSeen, "store", "status") == (
        0, seen(keys=2, contents=3, newest=1, older=1, plain=1, needed=[2]),
    )  # fmt: skip
    assert said(shell) == ["[store] key_file: contents still need key 2 of 2: run `filterd store reseal`"]
    code, _, errors = shell("store", "drop-keys")
    assert (code, "changed less than an hour ago" in errors) == (1, True)
    settled(shell)
    code, out, _ = shell("store", "drop-keys")
    assert (code, "1 contents still need an older key" in out) == (1, True)
    assert Keys(str(shell.home / "key"))() == held
    assert shell.json(StoreSeen, "store", "reseal") == (0, seen(keys=2, contents=3, newest=3, resealed=2))
    assert said(shell) == ["[store] key_file: no content needs key 2 of 2: run `filterd store drop-keys`"]
    assert shell.json(KeysChanged, "store", "drop-keys") == (0, {"keys": 1})
    assert Keys(str(shell.home / "key"))() == held[:1]
    assert (read(daemon, first), read(daemon, second)) == (b"first", b"second")
    assert said(shell) == []
    assert [action for _, action in actors(ledger)] == ["new-key", "drop-keys", "reseal", "drop-keys"]


def said(shell: Shell) -> list[str]:
    """Return what `filterd check` notes of keys."""
    return [hint for hint in lacking(load(shell.config)) if "key" in hint]


def test_a_check_does_not_look_for_ever(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("store", "new-key")
    Blobs(shell.home / "store", read=Keys(str(shell.home / "key"))).put([b"x"])
    monkeypatch.setattr("filterd.config.hints._LOOK_S", -1.0)
    assert said(shell) == ["[store] key_file: whether contents need key 2 of 2 says `filterd store status`"]


def test_only_keys_that_nothing_needs_go(shell: Shell) -> None:
    written(shell.home / "key", NEW, THIRD, OLD)
    Blobs(shell.home / "store", OLD).put([b"old"])
    settled(shell)
    assert shell.json(KeysChanged, "store", "drop-keys") == (1, {"keys": 2})
    assert Keys(str(shell.home / "key"))() == (NEW, OLD)


def test_what_no_key_opens_keeps_every_key(shell: Shell) -> None:
    Blobs(shell.home / "store", THIRD).put([b"third"])
    written(shell.home / "key", NEW, OLD)
    settled(shell)
    assert shell.json(StoreSeen, "store", "status") == (1, seen(keys=2, contents=1, lost=1))
    assert shell.json(StoreSeen, "store", "reseal") == (1, seen(keys=2, contents=1, lost=1))
    code, _, errors = shell("store", "drop-keys")
    assert (code, "no key is removed before that is clear" in errors) == (1, True)
    assert Keys(str(shell.home / "key"))() == (NEW, OLD)


def test_there_is_a_most_of_keys_and_without_a_file_none(shell: Shell) -> None:
    written(shell.home / "key", *[OLD] * MOST)
    assert shell("store", "new-key")[0] == 1
    text = shell.config.read_text()
    shell.config.write_text(
        "".join(line for line in text.splitlines(keepends=True) if "key_file" not in line)
    )
    for deed in ("new-key", "reseal", "drop-keys"):
        code, _, errors = shell("store", deed)
        assert (code, "[store] key_file is not set" in errors) == (2, True)
    assert shell.json(StoreSeen, "store", "status")[0] == 0


def test_nobody_else_changes_keys(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 65534)
    for deed in ("new-key", "drop-keys", "reseal", "status"):
        assert shell("store", deed)[0] == 1
    assert Keys(str(shell.home / "key"))() == (OLD,)


def test_killed_at_any_moment_every_content_is_whole_while_others_are_written(shell: Shell) -> None:
    path = shell.home / "key"
    daemon = Blobs(shell.home / "store", read=Keys(str(path)))
    contents = [os.urandom(number * 13_001 + 1) for number in range(60)]
    digests = [daemon.put([content]) for content in contents]
    stop, more = threading.Event(), dict[str, bytes]()

    def comes() -> None:
        while not stop.is_set():
            content = os.urandom(1000)
            more[daemon.put([content])] = content

    mail = threading.Thread(target=comes)
    mail.start()
    killed = 0
    try:
        for turn in range(8):
            for deed in ("new-key", "reseal") if turn % 2 == 0 else ("reseal",):
                command = [sys.executable, "-m", "filterd.cli", "store", deed, "--config", str(shell.config)]
                with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as one:
                    try:
                        one.wait(0.2 + 0.13 * turn)
                    except subprocess.TimeoutExpired:
                        one.kill()
                        killed += 1
            assert all(
                read(daemon, digest) == content for digest, content in zip(digests, contents, strict=True)
            )
    finally:
        stop.set()
        mail.join()
    assert killed
    assert shell("store", "new-key")[0] == 0
    assert shell("store", "reseal")[0] == 0
    newest = Blobs(shell.home / "store", Keys(str(path))()[0])
    assert all(read(newest, digest) == content for digest, content in zip(digests, contents, strict=True))
    assert all(read(newest, digest) == content for digest, content in more.items())
