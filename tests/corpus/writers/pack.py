"""Archives and compressed files as libarchive writes them (libarchive-formats(5))."""

from typing import Final

import libarchive

# 2026-11-21 10:00:00 UTC, so that the same content gives the same archive.
TIME: Final = 1_795_255_200


def pack(
    content: bytes,
    form: str,
    *,
    through: str | None = None,
    options: str = "",
    name: str = "notes.dat",
    password: str | None = None,
) -> bytes:
    """Return an archive of format ``form``, compressed by filter ``through``; "raw" is the filter's output alone."""
    pieces: list[bytes] = []

    def take(piece: object) -> int:
        data = bytes(memoryview(piece))  # type: ignore[arg-type]
        pieces.append(data)
        return len(data)

    with libarchive.custom_writer(take, form, through, options=options, passphrase=password) as archive:
        archive.add_file_from_memory(name, len(content), content, permission=0o644, mtime=TIME)
    return b"".join(pieces)
