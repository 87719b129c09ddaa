"""Contents of kept messages, by their digest: compressed, and encrypted where there is a key.

The attacks it stops: a content that is said to be kept and is not on the disk, and a disk that is read by others.

A file is MAGIC, one byte of flags, then chunks: the length (4 bytes, big-endian; its highest bit marks the last), the
bytes. Each is a piece of the content, deflated (RFC 1950), then sealed with AES-256-GCM where the flag says so: the
nonce is 8 random bytes of the file and the chunk's number, the associated data are flags and last-mark, so that
chunks can be neither swapped, left out nor cut off.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from filterd.errors import FilterdError

from .keys import Keys

MAGIC: Final = b"FB1"
_SEALED: Final = 1
_CHUNK: Final = 256 * 1024  # bytes of content
_LAST: Final = 1 << 31
_LENGTH: Final = struct.Struct("!I")
_NUMBER: Final = struct.Struct("!I")
_SALT: Final = 8
# zlib and GCM add a few bytes to a chunk; what is longer was not written by us.
_MOST: Final = _CHUNK + 1024
_FRESH: Final = ".fresh-"
_OWNER: Final = "ledger"
_LEVEL: Final = 1
# From the moment a content is written until its record is committed a message waits; it takes seconds.
_GRACE_S: Final = 3600.0


class BlobError(FilterdError):
    """A content is not there, damaged, or sealed with another key."""


class Blobs:
    """The contents in one directory. Its methods block on the disk: call them in a thread."""

    def __init__(self, directory: str | Path, *keys: bytes, read: Keys | None = None) -> None:
        """Take a store. The first of ``keys``, or of those that ``read`` gives at the time, writes; all of them read."""
        self._directory = Path(directory)
        self._keys: Callable[[], tuple[bytes, ...]] = read if read is not None else lambda: keys

    def path(self, digest: str) -> Path:
        """Return where a content is."""
        return self._directory / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether a content is there; what it is, only its reader says."""
        return self.path(digest).is_file()

    def put(self, pieces: Iterable[bytes]) -> str:
        """Write a content, and return its digest when it is on the disk. Raises OSError; nothing stays then."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        fresh = self._directory / f"{_FRESH}{secrets.token_hex(8)}"
        try:
            digest = self._write(fresh, pieces)
            place = self.path(digest)
            if not place.parent.is_dir():
                place.parent.mkdir(mode=0o700, exist_ok=True)
                _sync(self._directory)
            # Also over one that is there: it may be damaged, or about to be swept.
            with self._locked(fcntl.LOCK_SH):
                fresh.rename(place)
            _sync(place.parent)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        return digest

    def _remove(self, digest: str, before: float) -> bool:
        """Remove one, unless it was written anew meanwhile."""
        path = self.path(digest)
        with self._locked(fcntl.LOCK_EX):
            if not path.exists() or path.stat().st_mtime >= before:
                return False
            path.unlink()
        return True

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _write(self, path: Path, pieces: Iterable[bytes]) -> str:
        digest = hashlib.sha256()
        salt = os.urandom(_SALT)
        key = next(iter(self._keys()), None)
        flags = _SEALED if key else 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(MAGIC + bytes((flags,)) + salt)
            for number, (chunk, last) in enumerate(_chunks(pieces)):
                digest.update(chunk)
                data = zlib.compress(chunk, _LEVEL)
                if key:
                    data = AESGCM(key).encrypt(salt + _NUMBER.pack(number), data, bytes((flags, last)))
                target.write(_LENGTH.pack(len(data) | (_LAST if last else 0)) + data)
            target.flush()
            os.fsync(target.fileno())
        return digest.hexdigest()

    def pieces(self, digest: str) -> Iterator[bytes]:
        """Return a content in pieces. Raises BlobError, at the latest behind the last piece if the digest is wrong."""
        seen = hashlib.sha256()
        with self._open(digest) as (head, source):
            for chunk in self._opened(digest, head, source):
                seen.update(chunk)
                yield chunk
        if seen.hexdigest() != digest:
            raise BlobError(f"{digest} is damaged: it holds something else")

    @contextlib.contextmanager
    def _open(self, digest: str) -> Iterator[tuple[bytes, BufferedReader]]:
        try:
            source = self.path(digest).open("rb")
        except FileNotFoundError:
            raise BlobError(f"{digest} is not in the store") from None
        with source:
            head = source.read(len(MAGIC) + 1 + _SALT)
            if len(head) != len(MAGIC) + 1 + _SALT or not head.startswith(MAGIC):
                raise BlobError(f"{digest} is damaged: it has no head")
            yield head, source

    def _opened(self, digest: str, head: bytes, source: BufferedReader) -> Iterator[bytes]:
        flags, salt = head[len(MAGIC)], head[-_SALT:]
        keys = self._keys() if flags & _SEALED else ()
        if flags & _SEALED and not keys:
            raise BlobError(f"{digest} is encrypted, and [store] key_file is not set")
        number, last = 0, False
        while not last:
            data, last = _chunk(digest, source)
            if keys:
                data, key = _unsealed(digest, keys, salt + _NUMBER.pack(number), data, bytes((flags, last)))
                # Every chunk of a file is sealed with the key of the first one.
                keys = (key,)
            try:
                yield zlib.decompressobj().decompress(data, _CHUNK)
            except zlib.error as error:
                raise BlobError(f"{digest} is damaged: {error}") from None
            number += 1

    def key_of(self, digest: str) -> int | None:
        """Return which of the keys a content is sealed with, by its place among them; None: it is not sealed.

        Only its first piece is looked at. Raises BlobError, OSError.
        """
        with self._open(digest) as (head, source):
            flags, salt = head[len(MAGIC)], head[-_SALT:]
            if not flags & _SEALED:
                return None
            keys = self._keys()
            data, last = _chunk(digest, source)
            _, key = _unsealed(digest, keys, salt + _NUMBER.pack(0), data, bytes((flags, last)))
            return keys.index(key)

    def resealed(self, digest: str) -> bool:
        """Seal a content with the newest key if it is not; returns whether it was written anew. Raises BlobError, OSError.

        At every moment the whole content is there, under one key or the other. One that is removed meanwhile comes back, and
        is swept like any that no record wants.
        """
        if self.key_of(digest) == 0:
            return False
        if self.put(self.pieces(digest)) != digest:
            raise BlobError(f"{digest} is damaged: it holds something else")
        return True

    def belongs_to(self, ledger: str) -> bool:
        """Return whether the contents are those of the ledger of that name; a store without a name gets this one.

        Else a new or restored database, which knows none of them, would have them all swept. Raises OSError.
        """
        if owner := self.owner():
            return owner == ledger
        self.give_to(ledger)
        return True

    def owner(self) -> str:
        """Return the name of the ledger whose contents these are; "" for none yet. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            # An empty one was begun when there was no room for it.
            return (self._directory / _OWNER).read_text(encoding="ascii").strip()
        return ""

    def give_to(self, ledger: str) -> None:
        """Make the contents those of the ledger of that name. Raises OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        fresh = self._directory / f"{_FRESH}{_OWNER}"
        fresh.write_text(ledger + "\n", encoding="ascii")
        fresh.rename(self._directory / _OWNER)

    def digests(self) -> Iterator[tuple[str, float]]:
        """Return all contents that are there, and when they were last written (seconds since 1970)."""
        for path in self._directory.glob("[0-9a-f][0-9a-f]/*"):
            with contextlib.suppress(FileNotFoundError):
                yield path.name, path.stat().st_mtime

    def sweep(self, wanted: Callable[[str], bool], now: float | None = None) -> int:
        """Remove contents that no record wants, and what a crash left; not what is being written. Returns how many."""
        before = (time.time() if now is None else now) - _GRACE_S
        removed = 0
        for digest, written in list(self.digests()):
            if written < before and not wanted(digest):
                removed += self._remove(digest, before)
        for path in self._directory.glob(f"{_FRESH}*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
        return removed


def _chunk(digest: str, source: BufferedReader) -> tuple[bytes, bool]:
    """Return the next chunk as it is on the disk, and whether it is the last."""
    length = source.read(_LENGTH.size)
    size = _LENGTH.unpack(length)[0] if len(length) == _LENGTH.size else 0
    last, size = bool(size & _LAST), size & ~_LAST
    data = source.read(size) if 0 < size <= _MOST else b""
    if not data or len(data) != size:
        raise BlobError(f"{digest} is damaged: it is cut off")
    return data, last


def _unsealed(
    digest: str, keys: tuple[bytes, ...], nonce: bytes, data: bytes, about: bytes
) -> tuple[bytes, bytes]:
    """Return what was sealed, and the key that opened it."""
    for key in keys:
        with contextlib.suppress(InvalidTag):
            return AESGCM(key).decrypt(nonce, data, about), key
    raise BlobError(f"{digest} is damaged, or [store] key_file holds another key")


def _chunks(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Return the content in chunks of one size, each with whether it is the last; at least one."""
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while len(pending) > _CHUNK:
            yield bytes(pending[:_CHUNK]), False
            del pending[:_CHUNK]
    yield bytes(pending), True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
