"""Carries out a judgement, in an order in which nothing can be lost.

Variants are made, the content is kept, the record is written, variants are injected, notices go out, the MTA is
answered. What fails before the answer is taken back, and answered 451.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Protocol

from msgspec import Struct, structs

from filterd import actions
from filterd.anatomy import RewriteOrder
from filterd.config import Config
from filterd.disposition import Disposition
from filterd.errors import ReplyError, ScannerError
from filterd.fields import edited
from filterd.health import Health
from filterd.ledger.blobs import Blobs
from filterd.ledger.client import LedgerDownError
from filterd.ledger.keys import Keys
from filterd.ledger.records import MessageRecord
from filterd.log import Log
from filterd.message import Message, Spool
from filterd.milter.replies import (
    AddRecipientWithParameters,
    Continue,
    DeleteRecipient,
    Discard,
    ReplaceBody,
    Reply,
    check,
)
from filterd.pipeline import Report

from .heading import Heading, as_replies, edits
from .hiding import hidden
from .inject import InjectError, Letter, NeverInjectedError, inject, queue_ids, unwell
from .notices import Facts, Notices
from .plan import Plan, Share, planned, variant
from .recorded import Known, recorded
from .variants import Made, Variants, Workshop, worded

# RFC 3461 4.1: the sender, who may be forged, knows nothing of those to whom his message is forwarded.
_NO_BOUNCE: Final = b"NOTIFY=NEVER"


class Carried(Struct, frozen=True, kw_only=True):
    """What was done: the milter's replies, the settling one last, and the dispositions as they came to be.

    ``record`` is the id of the message's record, "" if there is none.
    """

    replies: tuple[Reply, ...]
    dispositions: tuple[Disposition, ...]
    record: str = ""


class Ledger(Protocol):
    """What a carrier needs of the ledger; each raises LedgerDownError."""

    async def record(self, message: MessageRecord) -> None:
        """Return when a record is on the disk."""

    async def take_back(self, message_id: str, reply: str) -> None:
        """Say that a recorded message was answered 451 after all."""

    async def injected(self, message_id: str, queue_ids: tuple[str, ...]) -> None:
        """Note what was handed to the MTA anew."""


class Carrier:
    """Carries out judgements for one worker. Needs a running event loop."""

    def __init__(
        self, config: Config, log: Log, workshop: Workshop, ledger: Ledger, health: Health | None = None
    ) -> None:
        self._config = config
        self._log = log
        self._workshop = workshop
        self.ledger = ledger
        self._health = health or Health()
        self._blobs = Blobs(config.store.directory, read=Keys(config.store.key_file))
        self._notices = Notices(config)
        self._late: set[asyncio.Task[None]] = set()

    async def carry_out(
        self, message: Message, report: Report, dispositions: Sequence[Disposition], heading: Heading
    ) -> Carried:
        """Do all that the dispositions say. What cannot be done is answered 451 (5xx if never), with nothing done."""
        queue_id = message.envelope.queue_id
        milter = self._config.milter
        with Variants(
            self._workshop, message, report, max_bytes=milter.max_message_bytes, seconds=milter.scan_timeout_s
        ) as variants:
            carriage = _Carriage(self, message, report, heading, variants)
            try:
                return await carriage.done(dispositions)
            except (ScannerError, InjectError, ReplyError, LedgerDownError, OSError) as error:
                why = str(error) or type(error).__name__
                self._log.event("carry_failed", id=actions.text_id(queue_id), why=why[:500])
                answer = (
                    actions.never_carried_out(error.obstacle, queue_id)
                    if isinstance(error, NeverInjectedError)
                    else actions.not_carried_out(queue_id)
                )
                if isinstance(error, LedgerDownError):
                    # The sender has waited for it long enough.
                    return Carried(replies=(answer,), dispositions=tuple(dispositions))
            record = await carriage.record_failure(dispositions, answer)
        return Carried(replies=(answer,), dispositions=tuple(dispositions), record=record)

    async def not_answered(self, record: str, why: str = "the MTA left before the answer") -> None:
        """Take a record back: the MTA went away before it was answered, and has told its client to come again."""
        if record:
            with contextlib.suppress(LedgerDownError):
                await self.ledger.take_back(record, why)

    def take_back_later(self, record: str) -> None:
        """Take back what may yet be written: a ledger that did not answer in time still reads what it was sent."""
        self._late.add(task := asyncio.ensure_future(self.not_answered(record, "451: the ledger was late")))
        task.add_done_callback(self._late.discard)

    @property
    def config(self) -> Config:
        """Return the configuration."""
        return self._config

    @property
    def notices(self) -> Notices:
        """Return what writes notices."""
        return self._notices

    async def keep(self, message: Message) -> str:
        """Put a content into the store, in a thread, and return its digest. Raises OSError.

        What has no record goes by itself after a while.
        """
        task = asyncio.ensure_future(asyncio.to_thread(self._blobs.put, message.spool.pieces()))
        try:
            digest = await asyncio.shield(task)
        except OSError as error:
            self._health.store.failed(error)
            raise
        except asyncio.CancelledError:
            # The thread still reads the message.
            await task
            raise
        self._health.store.worked()
        return digest

    async def hand_over(self, host: bytes, letters: Sequence[Letter]) -> list[str]:
        """Inject letters, all or none. Raises InjectError."""
        try:
            said = await inject(self._config.inject, host, letters)
        except InjectError as error:
            if unwell(error):
                self._health.inject.failed(error)
            raise
        self._health.inject.worked()
        return said

    def log(self, event: str, **fields: object) -> None:
        """Write one line."""
        self._log.event(event, **fields)


class _Carriage:
    """One message on its way."""

    def __init__(
        self, carrier: Carrier, message: Message, report: Report, heading: Heading, variants: Variants
    ) -> None:
        envelope = message.envelope
        self._carrier = carrier
        self._message = message
        self._report = report
        self._heading = heading
        self._variants = variants
        self._host = envelope.host or b"localhost"
        self._recorded = ""
        self._facts = Facts(
            envelope=envelope,
            anatomy=report.anatomy,
            findings=report.findings,
            host=self._host.decode("ascii", "replace"),
            queue_id=actions.text_id(envelope.queue_id),
        )

    async def done(self, dispositions: Sequence[Disposition]) -> Carried:
        """Do everything. Raises ScannerError, InjectError, ReplyError or OSError; nothing has then been done."""
        final, orders = await self._variants.fitted(dispositions, self._worded)
        plan = planned(self._shares(final, orders), final)
        if self._message.oversize and (plan.kept or plan.injected or orders):
            raise NeverInjectedError(
                "the message is longer than max_message_bytes, so there is no whole copy of it", "size"
            )
        replies = self._replies(plan, final)
        # Else the same message would be injected again each time that it comes.
        check(replies)
        letters = [self._letter(share) for share in plan.injected]
        digest = await self._carrier.keep(self._message) if plan.kept else ""
        record = recorded(self._known(), final, plan, replies[-1], digest=digest)
        await self._record(record, final)
        said: list[str] = []
        try:
            if letters:
                said = await self._carrier.hand_over(self._host, letters)
        except BaseException:
            await asyncio.shield(self._take_back())
            raise
        await self._note_injected(said)
        notified = await self._notify(final)
        if record.kept or said or notified:
            self._carrier.log(
                "carried",
                id=self._facts.queue_id,
                stored=[one.id for one in record.kept],
                injected=said,
                notices=notified,
            )
        return Carried(replies=replies, dispositions=final, record=self._recorded)

    def _known(self) -> Known:
        return Known(
            message=self._message,
            report=self._report,
            heading=self._heading,
            config=self._carrier.config,
            host=self._facts.host,
        )

    async def _record(self, record: MessageRecord, final: Sequence[Disposition]) -> None:
        """Write the record. Raises LedgerDownError, unless nobody gets the message: a refusal loses nothing."""
        try:
            await self._carrier.ledger.record(record)
        except LedgerDownError as error:
            if actions.refusal(final, self._message.envelope.queue_id) is None:
                self._carrier.take_back_later(record.id)
                raise
            self._carrier.log("not_recorded", id=self._facts.queue_id, why=str(error)[:500])
        except BaseException:
            # Whether it is there is not known.
            self._recorded = record.id
            await asyncio.shield(self._take_back())
            raise
        else:
            self._recorded = record.id

    async def record_failure(self, dispositions: Sequence[Disposition], answer: Reply) -> str:
        """Record that a message could not be dealt with, if that can be done; return the record's id."""
        if self._recorded:
            return ""  # and was taken back
        later = [structs.replace(one, fate="tempfail") for one in dispositions]
        if actions.reply_text(answer).startswith("5"):
            later = [structs.replace(one, fate="reject") for one in dispositions]
        record = recorded(self._known(), later, Plan(carried=None), answer)
        try:
            await self._carrier.ledger.record(record)
        except LedgerDownError:
            return ""
        return record.id

    async def _take_back(self) -> None:
        if self._recorded:
            await self._carrier.not_answered(self._recorded)

    async def _note_injected(self, said: Sequence[str]) -> None:
        """Note the queue ids; they only help to find things later, so no mail is put off for want of them."""
        if (found := queue_ids(said)) and self._recorded:
            with contextlib.suppress(LedgerDownError):
                await self._carrier.ledger.injected(self._recorded, found)

    def _worded(self, one: Disposition) -> RewriteOrder:
        return worded(one.order, lambda part: self._carrier.notices.deleted(one, (part,), self._facts))

    def _shares(
        self, dispositions: Sequence[Disposition], orders: dict[Disposition, RewriteOrder]
    ) -> list[Share]:
        config = self._carrier.config
        add_header = config.policy.add_header
        inner = hidden(self._heading, self._message.envelope, config)
        return [
            Share(
                variant=variant(one, orders.get(one, RewriteOrder()), add_header=add_header, hidden=inner),
                recipients=one.recipients,
            )
            for one in dispositions
            if one.fate == "deliver"
        ]

    def _letter(self, share: Share) -> Letter:
        content, envelope = self._content(share), self._message.envelope
        return Letter(
            sender=envelope.sender,
            recipients=share.recipients,
            content=content,
            eight_bit=not all(piece.isascii() for piece in content),
            size=content.size,
            sender_parameters=envelope.sender_parameters,
            parameters=dict.fromkeys(share.recipients, (_NO_BOUNCE,))
            if share.forwarded
            else envelope.parameters,
        )

    def _content(self, share: Share) -> "_Content":
        """Return a variant whole, below the trace of how the message came: the MTA's own is not shown to milters."""
        made = self._made(share)
        spool = made.spool if made else self._message.spool
        body = made.rewritten.body_offset if made else self._message.size_of_headers + 2
        head = b"".join(spool.pieces(body - 2))
        marks = edits(share.variant.marks, self._heading)
        return _Content(self._trace() + (edited(head, marks) if marks else head), spool, body - 2)

    def _trace(self) -> bytes:
        """Return a Received field (RFC 5321 4.4) for a message that goes out on a new way."""
        envelope = self._message.envelope
        words = {
            name: _atom(value)
            for name, value in (
                ("helo", envelope.helo), ("client", envelope.client_name), ("address", envelope.client_address),
                ("host", self._host),
            )
        }  # fmt: skip
        return (
            f"Received: from {words['helo']} ({words['client']} [{words['address']}])\r\n"
            f"\tby {words['host']} with ESMTP id {self._facts.queue_id};\r\n"
            f"\t{format_datetime(datetime.now(UTC).astimezone())}\r\n"
        ).encode("ascii")

    def _made(self, share: Share) -> Made | None:
        return self._variants.made[share.variant.order] if share.variant.rewritten else None

    async def _notify(self, dispositions: Sequence[Disposition]) -> int:
        """Send the notices and return their number. One that cannot be sent is logged: no mail waits for it."""
        letters, left_out = self._carrier.notices.letters(dispositions, self._facts)
        sent = 0
        for letter in letters:
            try:
                await self._carrier.hand_over(self._host, (letter,))
                sent += 1
            except InjectError as error:
                self._carrier.log("notice_failed", id=self._facts.queue_id, why=str(error)[:500])
                break
        if left_out:
            self._carrier.log("notice_left_out", id=self._facts.queue_id, why=left_out)
        return sent

    def _replies(self, plan: Plan, dispositions: Sequence[Disposition]) -> tuple[Reply, ...]:
        refused = actions.refusal(dispositions, self._message.envelope.queue_id)
        if refused is not None:
            return (refused,)
        if plan.carried is None:
            return (Discard(),)
        replies: list[Reply] = [DeleteRecipient(one) for one in plan.deleted]
        replies += [AddRecipientWithParameters(one, _NO_BOUNCE) for one in plan.added]
        made = self._made(plan.carried)
        if made is not None:
            replies += as_replies(made.rewritten.headers)
            replies += self._new_body(made)
        replies += as_replies(edits(plan.carried.variant.marks, self._heading))
        return (*replies, Continue())

    def _new_body(self, made: Made) -> tuple[Reply, ...]:
        """Return the reply that replaces the body, unless only header fields were changed."""
        old = b"".join(self._message.spool.pieces())[self._message.size_of_headers + 2 :]
        new = b"".join(made.spool.pieces())[made.rewritten.body_offset :]
        return () if old == new else (ReplaceBody(new),)


class _Content:
    """A header of our making and the rest of a spool, as often as it is asked for."""

    def __init__(self, head: bytes, spool: Spool, offset: int) -> None:
        self._head = head
        self._spool = spool
        self._offset = offset
        self.size = len(head) + spool.size - offset

    def __iter__(self) -> Iterator[bytes]:
        """Return the pieces."""
        yield self._head
        skip = self._offset
        for piece in self._spool.pieces():
            if skip < len(piece):
                yield piece[skip:]
            skip = max(0, skip - len(piece))


def _atom(value: bytes) -> str:
    """Return a peer's name as it may stand in a Received field: nothing that ends a word, comment or field."""
    text = value[:255].decode("ascii", "replace")
    seen = "".join(
        one if one.isascii() and one.isprintable() and one not in ' ()[];\\<>"' else "?" for one in text
    )
    return seen or "unknown"
