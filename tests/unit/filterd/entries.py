"""Records for tests of the ledger, written as the daemon writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from filterd.ledger.blobs import Blobs
from filterd.ledger.records import FoundIn, Kept, MessageRecord, Outcome, Record, ToRecipient, new_id
from filterd.ledger.roles import Actor
from filterd.ledger.writer import Writer

START: Final = 1_790_000_000_000  # ms; a day in 2026
CONTENT: Final = b"From: a@sender.example\r\nTo: b@example.org\r\nSubject: x\r\n\r\nhello\r\n"
ALICE: Final = Actor(name="alice", role="admin")
BOB: Final = Actor(name="bob", role="admin")
OTTO: Final = Actor(name="otto", role="operator")


def record(
    number: int = 0,
    *recipients: str,
    outcome: Outcome = "passed",
    verdict: str = "clean",
    rule: str = "",
    findings: Sequence[FoundIn] = (),
    kept: Sequence[Kept] = (),
    **more: Any,
) -> MessageRecord:
    """Return the record of the message number so and so, each a minute after the one before."""
    at = START + number * 60_000
    values: dict[str, Any] = {
        "id": new_id(at), "gateway": "mx1.example.org", "received_ms": at, "queue_id": f"4Q{number:010}",
        "message_id": f"<{number}@sender.example>", "sender": "s@sender.example", "client_address": "198.51.100.9",
        "client_name": "mail.sender.example", "helo": "mail.sender.example", "user": "", "direction": "in",
        "size": len(CONTENT), "header_bytes": 60, "score": None, "reply": "continue", "ms": 1.5,
        "stage_ms": {"parse": 1.0}, **more,
    }  # fmt: skip
    fate = {"passed": "deliver", "quarantined": "move", "refused": "reject", "discarded": "discard"}.get(
        outcome, "deliver"
    )
    return MessageRecord(
        verdict=verdict, rule=rule, findings=tuple(findings), kept=tuple(kept),
        recipients=tuple(
            ToRecipient(address=one, fate=fate, wanted=fate, verdict=verdict, rule=rule, outcome=outcome)
            for one in recipients or ("b@example.org",)
        ),
        **values,
    )  # fmt: skip


def kept(**changes: Any) -> Kept:
    """Return an entry of the store."""
    one = Kept(
        id=new_id(), kind="quarantine", reason="move: spam", verdict="spam", rule="spam.score",
        recipients=("b@example.org",),
    )  # fmt: skip
    return msgspec.structs.replace(one, **changes)


def quarantined(
    home: Path,
    *recipients: str,
    number: int = 0,
    verdict: str = "spam",
    rule: str = "spam.score",
    content: bytes = CONTENT,
    findings: Sequence[FoundIn] | None = None,
    **more: Any,
) -> MessageRecord:
    """Return the record of a quarantined message whose content is in ``home``/store."""
    who = recipients or ("b@example.org",)
    at = START + number * 60_000
    one = Kept(
        id=new_id(at), kind="quarantine", reason=f"move: {verdict}", verdict=verdict, rule=rule, recipients=who,
        expires_ms=at + 86_400_000,
    )  # fmt: skip
    found = FoundIn(stage=rule.partition(".")[0], rule=rule, verdict=verdict)
    return record(
        number, *who, outcome="quarantined", verdict=verdict, rule=rule, kept=[one], reply="discard",
        findings=[found] if findings is None else findings, digest=Blobs(home / "store").put([content]),
        size=len(content), **more,
    )  # fmt: skip


def write(ledger: Engine, *records: MessageRecord) -> None:
    answers = Writer(ledger).write([Record(number=number, message=one) for number, one in enumerate(records)])
    assert [one.error for one in answers] == [""] * len(records)
