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

from filterd.errors import ConfigError, FilterdError

MAGIC: Final = b"FB1"
_SEALED: Final = 1
_CHUNK: Final = 256 * 1024  # bytes of content
_LAST: Final = 1 << 31
_LENGTH: Final = struct.Struct("!I")
_NUMBER: Final = struct.Struct("!I")
_SALT: Final = 8
_KEY: Final = 32
# zlib and GCM add a few bytes to a chunk; what is longer was not written by us.
_MOST: Final = _CHUNK + 1024
_FRESH: Final = ".fresh-"
_OWNER: Final = "ledger"
_LEVEL: Final = 1
# From the moment a content is written until its record is committed a message waits; it takes seconds.
_GRACE_S: Final = 3600.0


class BlobError(FilterdError):
    """A content is not there, damaged, or sealed with another key."""


def key_from(path: str) -> bytes | None:
    """Return the key in a file (64 hexadecimal digits); None for no file. Raises ConfigError with the remedy."""
    if not path:
        return None
    try:
        text = Path(path).read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise ConfigError(
            f"[store] key_file: {path} cannot be read ({error.strerror}): let filterd's user read it, or run this as root"
            " (sudo)"
        ) from error
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise ConfigError(
            f"[store] key_file: {path} holds no key: write 64 hexadecimal digits (openssl rand -hex 32)"
        )
    return key


class Blobs:
    """The contents in one directory. Its methods block on the disk: call them in a thread."""

    def __init__(self, directory: str | Path, key: bytes | None = None) -> None:
        self._directory = Path(directory)
        self._key = key

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
        flags = _SEALED if self._key else 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(MAGIC + bytes((flags,)) + salt)
            for number, (chunk, last) in enumerate(_chunks(pieces)):
                digest.update(chunk)
                data = zlib.compress(chunk, _LEVEL)
                if self._key:
                    data = AESGCM(self._key).encrypt(salt + _NUMBER.pack(number), data, bytes((flags, last)))
                target.write(_LENGTH.pack(len(data) | (_LAST if last else 0)) + data)
            target.flush()
            os.fsync(target.fileno())
        return digest.hexdigest()

    def pieces(self, digest: str) -> Iterator[bytes]:
        """Return a content in pieces. Raises BlobError, at the latest behind the last piece if the digest is wrong."""
        seen = hashlib.sha256()
        try:
            with self.path(digest).open("rb") as source:
                head = source.read(len(MAGIC) + 1 + _SALT)
                if len(head) != len(MAGIC) + 1 + _SALT or not head.startswith(MAGIC):
                    raise BlobError(f"{digest} is damaged: it has no head")
                for chunk in self._opened(digest, head, source):
                    seen.update(chunk)
                    yield chunk
        except FileNotFoundError:
            raise BlobError(f"{digest} is not in the store") from None
        if seen.hexdigest() != digest:
            raise BlobError(f"{digest} is damaged: it holds something else")

    def _opened(self, digest: str, head: bytes, source: BufferedReader) -> Iterator[bytes]:
        flags, salt = head[len(MAGIC)], head[-_SALT:]
        if flags & _SEALED and self._key is None:
            raise BlobError(f"{digest} is encrypted, and [store] key_file is not set")
        number, last = 0, False
        while not last:
            length = source.read(_LENGTH.size)
            size = _LENGTH.unpack(length)[0] if len(length) == _LENGTH.size else 0
            last, size = bool(size & _LAST), size & ~_LAST
            data = source.read(size) if 0 < size <= _MOST else b""
            if not data or len(data) != size:
                raise BlobError(f"{digest} is damaged: it is cut off")
            try:
                if flags & _SEALED and self._key is not None:
                    nonce = salt + _NUMBER.pack(number)
                    data = AESGCM(self._key).decrypt(nonce, data, bytes((flags, last)))
                inflater = zlib.decompressobj()
                yield inflater.decompress(data, _CHUNK)
            except InvalidTag:
                raise BlobError(f"{digest} is damaged, or [store] key_file holds another key") from None
            except zlib.error as error:
                raise BlobError(f"{digest} is damaged: {error}") from None
            number += 1

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
