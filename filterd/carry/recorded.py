"""What the ledger is told of a message: a record from the message, what was found, and what becomes of it. Pure."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from filterd import actions
from filterd.config import Config
from filterd.config.conditions import unwrapped
from filterd.disposition import Disposition
from filterd.findings import Finding
from filterd.ledger.expiry import expiry
from filterd.ledger.records import FoundIn, Kept, MessageRecord, Outcome, ToRecipient, new_id
from filterd.log import shown
from filterd.message import Envelope, Message
from filterd.milter.replies import Reply
from filterd.pipeline import Report
from filterd.policy.groups import direction

from .heading import Heading
from .inject import of_recipient, of_sender
from .plan import Plan, ToKeep

_MAX_FINDINGS: Final = 100
_MAX_TEXT: Final = 300  # characters of one text of a finding
_MAX_SYMBOLS: Final = 4000  # of the spam engine's rules, which are counted one by one
_MAX_FIELD: Final = 512  # characters of a name
MAX_ADDRESS: Final = 512  # characters; RFC 5321 4.5.3.1.3 has 256 octets
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "deliver": "passed", "reject": "refused", "tempfail": "deferred", "move": "quarantined", "discard": "discarded",
}  # fmt: skip


class Known(Struct, frozen=True, kw_only=True):
    """What is known when a message has been judged."""

    message: Message
    report: Report
    heading: Heading
    config: Config
    host: str


def recorded(
    known: Known, dispositions: Sequence[Disposition], plan: Plan, reply: Reply, *, digest: str = ""
) -> MessageRecord:
    """Return the record of a message that is about to be answered with ``reply``. ``digest``: where it is kept."""
    message, envelope = known.message, known.message.envelope
    first = dispositions[0]
    now_ms = time.time_ns() // 1_000_000
    scores = (found.score for found in known.report.findings if found.score is not None)
    return MessageRecord(
        id=new_id(now_ms),
        gateway=known.host,
        received_ms=now_ms,
        queue_id=actions.text_id(envelope.queue_id),
        message_id=_field(known.heading.message_id),
        sender=_address(envelope.sender),
        client_address=_field(envelope.client_address),
        client_name=_field(envelope.client_name),
        helo=_field(envelope.helo),
        user=_field(envelope.user),
        direction=direction(envelope, known.config),
        size=message.size,
        header_bytes=message.size_of_headers + 2,
        verdict=first.verdict,
        rule=first.rule,
        score=next(scores, None),
        reply=actions.reply_text(reply),
        ms=round((time.monotonic() - message.started) * 1000, 1),
        digest=digest,
        recipients=tuple(_recipients(envelope, dispositions, plan)),
        findings=_findings(known.report.findings, dispositions),
        kept=tuple(_kept(one, known.config, message.size, now_ms) for one in plan.kept) if digest else (),
        stage_ms={result.stage: result.milliseconds for result in known.report.results},
        sender_parameters=b" ".join(of_sender(envelope.sender_parameters)).decode("ascii"),
    )


def _recipients(envelope: Envelope, dispositions: Sequence[Disposition], plan: Plan) -> list[ToRecipient]:
    injected = {who for share in plan.injected for who in share.recipients}
    found = []
    for one in dispositions:
        for who in one.recipients:
            outcome = _OUTCOMES[one.fate]
            if one.fate == "deliver" and who in injected:
                outcome = "injected"
            found.append(
                ToRecipient(
                    address=_address(who), fate=one.fate, wanted=one.wanted, verdict=one.verdict, rule=one.rule,
                    outcome=outcome, changed=one.rewritten or bool(one.tags or one.subject),
                    parameters=b" ".join(of_recipient(envelope.parameters.get(who, ()))).decode("ascii"),
                )
            )  # fmt: skip
    return found


def _findings(findings: Sequence[Finding], dispositions: Sequence[Disposition]) -> tuple[FoundIn, ...]:
    counted = {(found.rule, found.path, found.part) for one in dispositions for found in one.findings}
    return tuple(
        FoundIn(
            stage=found.stage,
            rule=found.rule,
            verdict=found.verdict,
            path=found.path or found.part,
            name=text(found.name, _MAX_TEXT),
            detail=text(found.detail, _MAX_SYMBOLS if found.score is not None else _MAX_TEXT),
            score=found.score,
            counted=(found.rule, found.path, found.part) in counted,
        )
        for found in findings[:_MAX_FINDINGS]
    )


def _kept(kept: ToKeep, config: Config, size: int, now_ms: int) -> Kept:
    one = kept.disposition
    return Kept(
        id=new_id(now_ms),
        kind=kept.kind,
        reason=kept.reason,
        verdict=one.verdict,
        rule=one.rule,
        recipients=tuple(_address(who) for who in one.recipients),
        expires_ms=expiry(config.store, kept.kind, one.verdict, size, now_ms),
    )


def fingerprint(envelope: Envelope, digest: bytes) -> bytes:
    """Return by what a message is known when it comes again: its sender and content."""
    return hashlib.sha256(digest + envelope.sender).digest()


def _address(address: bytes) -> str:
    return text(unwrapped(address), MAX_ADDRESS)


def _field(value: bytes | None) -> str:
    return text(shown(value) or "", _MAX_FIELD)


def text(value: str, most: int) -> str:
    """Return a text as a database takes it: neither NUL nor half of a character, so long at most."""
    return value[:most].encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
