"""Where reports are kept: three files a day, for as long as is declared; and the letter in which one goes out."""

import os
import re
import secrets
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Final

import msgspec

from filterd.carry.inject import Letter
from filterd.carry.letter import quoted, unstructured
from filterd.config import Config
from filterd.config.actions import is_address

from .figures import Figures
from .pages import as_html, as_text, title

_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)\.(json|txt|html|mailed)")


class Shelf:
    """The directory of kept reports. Its methods raise OSError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, day: date) -> Figures | None:
        """Return the kept report of a day, or None; one that another release wrote in another form is none."""
        try:
            return msgspec.json.decode((self._directory / f"{day}.json").read_bytes(), type=Figures)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def keep(self, of: Figures) -> None:
        """Write a report, whole or not at all."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for ending, content in (
            ("txt", as_text(of).encode("utf-8", "backslashreplace")),
            ("html", as_html(of).encode("utf-8", "xmlcharrefreplace")),
            ("json", msgspec.json.encode(of)),  # the last one: where it is there, all are
        ):
            self._put(self._directory / f"{of.day}.{ending}", content)

    def lacking(self, day: date, most: int, *, mailed: bool) -> tuple[date, ...]:
        """Return the days up to one, oldest first, of which there is no report yet, or that was not ``mailed``; always the last.

        They are at most so many, and later than some that was kept: before the first there was nothing to report on.
        """
        named = (_NAME.fullmatch(path.name) for path in self._directory.glob("*.json"))
        kept = [date.fromisoformat(name[1]) for name in named if name is not None]
        before = (day - timedelta(days=back) for back in range(most - 1, 0, -1))
        missed = (one for one in before if kept and one > min(kept) and not self._done(one, mailed=mailed))
        return (*missed, day)

    def _done(self, day: date, *, mailed: bool) -> bool:
        return self.mailed(day) if mailed else (self._directory / f"{day}.json").exists()

    def mailed(self, day: date) -> bool:
        """Whether a day's report has been mailed."""
        return (self._directory / f"{day}.mailed").exists()

    def note_mailed(self, day: date) -> None:
        """Note that a day's report has been mailed."""
        self._put(self._directory / f"{day}.mailed", b"")

    def tidy(self, days: int, today: date) -> int:
        """Remove what is older than so many days; returns how many files that were."""
        gone = 0
        for path in self._directory.glob("*"):
            named = _NAME.fullmatch(path.name)
            if named is not None and date.fromisoformat(named[1]) < today - timedelta(days=days):
                path.unlink(missing_ok=True)
                gone += 1
        return gone

    def _put(self, path: Path, content: bytes) -> None:
        fresh = path.with_name(f".{path.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        fresh.replace(path)


def addressee(config: Config) -> str:
    """Return who gets the report: his address, or ""."""
    return config.report.address or config.notify.admin


def letter_of(of: Figures, config: Config, host: str) -> Letter:
    """Return the report as a message: text, and HTML beside it (RFC 2046 5.1.4), from the null sender (RFC 3834 2)."""
    to, sender = addressee(config), config.notify.sender_address
    boundary = f"=_{secrets.token_hex(16)}"
    host = host if is_address(f"x@{host}") else "localhost"
    fields = (
        ("From", f"Mail gateway <{sender if is_address(sender) else f'postmaster@{host}'}>"),
        ("To", to),
        ("Subject", title(of)[:200]),
        ("Date", format_datetime(datetime.now(UTC))),
        ("Message-ID", make_msgid(domain=host)),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("MIME-Version", "1.0"),
    )
    head = b"".join(name.encode("ascii") + b": " + unstructured(value) + b"\r\n" for name, value in fields)
    mark = boundary.encode("ascii")
    parts = b"".join(
        b"--" + mark + b"\r\nContent-Type: text/" + kind + b"; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted(text) + b"\r\n"
        for kind, text in ((b"plain", as_text(of)), (b"html", as_html(of)))
    )
    content = (
        head
        + b'Content-Type: multipart/alternative; boundary="'
        + mark
        + b'"\r\n\r\n'
        + parts
        + b"--"
        + mark
        + b"--\r\n"
    )
    return Letter(
        sender=b"<>", recipients=(f"<{to}>".encode(),), content=(content,), eight_bit=False, size=len(content)
    )
