"""The letters that are sent: one of each fate in turn, each with a body of its own, and what must become of each."""

from typing import Final

from msgspec import Struct

from tests.unit.filterd.dialogue import as_sent
from tests.unit.filterd.engines import EICAR, GTUBE

# What the daemon is told, behind the sections that ``configuration`` writes.
POLICY: Final = """
[policy.chains]
infected = ["move"]
spam = ["tag", "ignore"]
banned = ["discard"]
[[group]]
name = "trusting"
recipients = ["b@rcpt.example"]
[group.chains]
spam = ["ignore"]
[[group]]
name = "careful"
recipients = ["c@rcpt.example"]
[group.chains]
spam = ["move"]
"""
A, B, C = "a@rcpt.example", "b@rcpt.example", "c@rcpt.example"
_PROGRAM: Final = (
    b"--b\r\nContent-Type: application/octet-stream; name=x.exe\r\n"
    b"Content-Disposition: attachment; filename=x.exe\r\n\r\nno program\r\n--b--\r\n"
)


class Fate(Struct, frozen=True, kw_only=True):
    """What a letter of a kind comes to: the milter's last word, an outcome a recipient, and for whom it is kept."""

    word: bytes
    outcomes: dict[str, str]
    kept: tuple[str, ...] = ()
    kind: str = "quarantine"
    special: bytes = b""


FATES: Final = {
    "clean": Fate(word=b"c", outcomes={A: "passed"}),
    "infected": Fate(word=b"d", outcomes={A: "quarantined", B: "quarantined"}, kept=(A, B), special=EICAR),
    "tagged": Fate(word=b"c", outcomes={A: "passed"}, special=GTUBE),
    "discarded": Fate(word=b"d", outcomes={A: "discarded"}, kept=(A,), kind="discarded"),
    "split": Fate(
        word=b"c", outcomes={A: "injected", B: "passed", C: "quarantined"}, kept=(C,), special=GTUBE
    ),
}
_NAMES: Final = tuple(FATES)


class LetterSent(Struct, frozen=True, kw_only=True):
    """One letter, the same however often it is sent."""

    number: int
    kind: str

    @property
    def fate(self) -> Fate:
        return FATES[self.kind]

    @property
    def token(self) -> bytes:
        return b"letter-%07d-" % self.number

    @property
    def recipients(self) -> list[bytes]:
        return [f"<{one}>".encode() for one in self.fate.outcomes]

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        kind = b' multipart/mixed; boundary="b"' if self.kind == "discarded" else b" text/plain"
        return (
            (b"From", b" a@sender.example"), (b"To", b" a@rcpt.example"), (b"Subject", b" " + self.token),
            (b"Date", b" Tue, 06 Jan 2026 10:00:00 +0000"), (b"Message-ID", b" <%d@sender.example>" % self.number),
            (b"MIME-Version", b" 1.0"), (b"Content-Type", kind),
        )  # fmt: skip

    @property
    def body(self) -> bytes:
        text = b"%s some words, and a line that is not ended twice \r\n" % self.token * (1 + self.number % 40)
        if self.kind == "discarded":
            return b"--b\r\nContent-Type: text/plain\r\n\r\n" + text + _PROGRAM
        return text + self.fate.special + b"\r\n"

    @property
    def content(self) -> bytes:
        """Return the message as it was on the wire, which is what the store must give back."""
        return as_sent(self.headers, self.body)


def letter(number: int, kinds: tuple[str, ...] = _NAMES) -> LetterSent:
    """Return the letter of that number; its kind goes round."""
    return LetterSent(number=number, kind=kinds[number % len(kinds)])
