"""The store: messages that were moved, copied, archived or discarded, as plain files.

``<directory>/<kind>/<id>.eml`` is the message as it came, ``<id>.json`` beside it says whose it is and why it is
there. An entry is there when its JSON file is; it then is on the disk, whole. Files are 0600, directories 0700.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

Kind = Literal["quarantine", "archive", "copy", "discarded"]
KINDS: Final[tuple[Kind, ...]] = ("quarantine", "archive", "copy", "discarded")

_FRESH: Final = ".fresh-"
# Its time is when the store was last tidied.
_TIDIED: Final = ".tidied"
_DAY_S: Final = 86_400
# A write takes seconds; what is older than this was left by a crash.
_LEFT_OVER_S: Final = 86_400


class FoundIn(Struct, frozen=True, kw_only=True):
    """One finding as an entry records it."""

    rule: str
    verdict: str
    path: str = ""
    name: str = ""
    detail: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """Why a message is kept, and for whom exactly: ``recipients`` are those whose fate this is.

    Addresses are as SMTP had them, without angle brackets; what is not UTF-8 in them is written as backslash escapes.
    ``fate`` is theirs, ``wanted`` what they alone would have met. ``header_bytes``: where the body begins.
    """

    id: str = ""
    kind: Kind
    received: str
    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    client_address: str = ""
    client_name: str = ""
    helo: str = ""
    user: str = ""
    size: int = 0
    header_bytes: int = 0
    fate: str = ""
    wanted: str = ""
    verdict: str = ""
    rule: str = ""
    reason: str = ""
    findings: tuple[FoundIn, ...] = ()


class Kept(Struct, frozen=True, kw_only=True):
    """Entries that were made together. ``undo`` takes them back: the message was not accepted after all."""

    paths: tuple[Path, ...]
    ids: tuple[str, ...]

    def undo(self) -> None:
        """Remove what was made; what cannot be removed stays, as a copy too many."""
        for path in reversed(self.paths):
            with contextlib.suppress(OSError):
                path.unlink()


class Store:
    """The store in one directory. Its methods block on the disk: call them in a thread."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def keep(self, pieces: Iterable[bytes], entries: Sequence[Entry]) -> Kept:
        """Write one message under all of ``entries`` and return when it is on the disk.

        Raises OSError when there is no room; nothing is left behind then.
        """
        self._prepare(dict.fromkeys(entry.kind for entry in entries))
        fresh = self._directory / f"{_FRESH}{secrets.token_hex(8)}"
        made: list[Path] = []
        ids: list[str] = []
        try:
            _write(fresh, pieces)
            for entry in entries:
                one = msgspec.structs.replace(entry, id=_new_id())
                place = self._directory / one.kind / one.id
                made.append(place.with_suffix(".eml"))
                # One content for all entries: they are never changed, only removed.
                os.link(fresh, made[-1])
                self._describe(one, place.with_suffix(".json"), made)
                ids.append(one.id)
            for kind in dict.fromkeys(entry.kind for entry in entries):
                _sync(self._directory / kind)
        except BaseException:
            Kept(paths=tuple(made), ids=()).undo()
            raise
        finally:
            fresh.unlink(missing_ok=True)
        return Kept(paths=tuple(made), ids=tuple(ids))

    def _prepare(self, kinds: Iterable[str]) -> None:
        for place in (self._directory, *(self._directory / kind for kind in kinds)):
            if not place.is_dir():
                place.mkdir(mode=0o700, parents=False, exist_ok=True)
                _sync(place.parent)

    def _describe(self, entry: Entry, path: Path, made: list[Path]) -> None:
        fresh = path.with_name(f"{_FRESH}{path.name}")
        try:
            _write(fresh, (msgspec.json.format(msgspec.json.encode(entry)), b"\n"))
            made.append(path)
            fresh.rename(path)
        finally:
            fresh.unlink(missing_ok=True)

    def entries(self, kind: Kind) -> Iterator[Entry]:
        """Return what is kept, the oldest first."""
        for path in sorted((self._directory / kind).glob("*.json")):
            if not path.name.startswith(_FRESH):
                yield msgspec.json.decode(path.read_bytes(), type=Entry)

    def content(self, kind: Kind, entry_id: str) -> Path:
        """Return the file of a message."""
        return self._directory / kind / f"{entry_id}.eml"

    def tidy(self, discard_days: int, *, every_s: float = 0.0) -> int:
        """Remove discarded messages older than ``discard_days``, and what a crash left. Returns how many entries went.

        Of several processes one does it, and none of them before ``every_s`` seconds have passed since one did; the
        others return at once.
        """
        if not self._directory.is_dir():
            return 0
        with self._alone() as alone:
            if not alone:
                return 0
            now = time.time()
            stamp = self._directory / _TIDIED
            # A stamp of the future is one of a clock that was wrong.
            if stamp.exists() and 0 <= now - stamp.stat().st_mtime < every_s:
                return 0
            stamp.touch(mode=0o600)
            self._remove_left_overs(now - _LEFT_OVER_S)
            return self._remove_discarded(now - discard_days * _DAY_S)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(handle)

    def _remove_left_overs(self, before: float) -> None:
        for place in (self._directory, *(self._directory / kind for kind in KINDS)):
            for path in place.glob(f"{_FRESH}*"):
                if _older(path, before):
                    path.unlink(missing_ok=True)
        for kind in KINDS:
            for path in (self._directory / kind).glob("*.eml"):
                if not path.with_suffix(".json").exists() and _older(path, before):
                    path.unlink(missing_ok=True)

    def _remove_discarded(self, before: float) -> int:
        count = 0
        for path in (self._directory / "discarded").glob("*.json"):
            if _older(path, before):
                # The other way round than it was made: what is half gone is no entry.
                path.unlink(missing_ok=True)
                path.with_suffix(".eml").unlink(missing_ok=True)
                count += 1
        return count


def _older(path: Path, than: float) -> bool:
    try:
        return path.stat().st_ctime < than
    except FileNotFoundError:
        return False


def _new_id() -> str:
    """Return an id that sorts by time and is never made twice."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(6)}"


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(handle, view) :]
        os.fsync(handle)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
