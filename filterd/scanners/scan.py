"""What a virus engine is, and what it can be given: protocols that clamd and command scanners fill."""

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct


class Scannable(Protocol):
    """Bytes that can be scanned: a message's spool, or a leaf of it. ``size`` in bytes."""

    @property
    def size(self) -> int:
        """Return the number of bytes."""

    def descriptor(self) -> int | None:
        """Return a descriptor of exactly these bytes, owned by this object; None where there is none."""

    def blank(self) -> int:
        """Return a new empty descriptor of the same kind. The caller closes it."""

    def pieces(self, limit: int | None = None) -> Iterator[bytes]:
        """Return the bytes from their start, at most ``limit``, in pieces."""


class ScanAnswer(Struct, frozen=True, kw_only=True):
    """What an engine says: a signature, a limit that kept it from looking, or neither (clean)."""

    signature: str | None = None
    limit: str | None = None


class VirusEngine(Protocol):
    """One engine, behind its bound."""

    @property
    def name(self) -> str:
        """Return what the log calls it."""

    async def ping(self) -> None:
        """Return when it can be asked. Raises ScannerError."""

    async def scan(self, content: Scannable) -> ScanAnswer:
        """Return what it says about the content. Raises ScannerError when that cannot be known."""
