"""Runs messages through `anatomise` for the tests of what stands in mail."""

from filterd.anatomy import Anatomy
from filterd.config.inspection import Inspection
from filterd.parse.anatomise import anatomise
from filterd.stages import CONTENT

MODES = {rule.id: rule.mode for stage in CONTENT for rule in stage.rules}
HEAD = (
    b"From: Anna <anna@sender.example>\r\nTo: <reader@bastide.example>\r\nSubject: Order\r\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\nMIME-Version: 1.0\r\n"
)


def read(raw: bytes) -> tuple[Anatomy, list[bytes]]:
    return anatomise(raw, Inspection())


def rules_of(raw: bytes, mode: str = "on") -> set[str]:
    """Return the ids of the rules of that mode that match."""
    return {found.rule for found in read(raw)[0].findings if MODES.get(found.rule, "on") == mode}


def mixed(*parts: bytes, boundary: bytes = b"=_part") -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    head = HEAD + b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n'
    return head + body + b"--" + boundary + b"--\r\n"
