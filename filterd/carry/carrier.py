"""Carries out a judgement, in an order in which nothing can be lost: variants, store, injection, notices, replies."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, NoReturn

from msgspec import Struct

from filterd import actions
from filterd.anatomy import RewriteOrder
from filterd.config import Config
from filterd.disposition import Disposition
from filterd.errors import ReplyError, ScannerError
from filterd.fields import edited
from filterd.log import Log, shown
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
from .inject import InjectError, Letter, NeverInjectedError, inject
from .notices import Facts, Notices, bare
from .plan import Plan, Share, ToKeep, planned, variant
from .store import Entry, FoundIn, Kept, Store
from .variants import Made, Variants, Workshop, worded

_TIDY_EVERY_S: Final = 3600.0
# All workers look whether it is time: the one that finds so first does it.
_LOOK_EVERY_S: Final = 600.0
_MAX_FINDINGS: Final = 100
_MAX_DETAIL: Final = 300
# RFC 3461 4.1: the sender, who may be forged, knows nothing of those to whom his message is forwarded.
_NO_BOUNCE: Final = b"NOTIFY=NEVER"


class Carried(Struct, frozen=True, kw_only=True):
    """What was done: the milter's replies, the settling one last, and the dispositions as they came to be."""

    replies: tuple[Reply, ...]
    dispositions: tuple[Disposition, ...]


class Carrier:
    """Carries out judgements for one worker. Needs a running event loop."""

    def __init__(self, config: Config, log: Log, workshop: Workshop) -> None:
        self._config = config
        self._log = log
        self._workshop = workshop
        self._store = Store(config.store.directory)
        self._notices = Notices(config)

    async def carry_out(
        self, message: Message, report: Report, dispositions: Sequence[Disposition], heading: Heading
    ) -> Carried:
        """Do all that the dispositions say. What cannot be done is answered 451 (5xx if never), with nothing done."""
        queue_id = message.envelope.queue_id
        milter = self._config.milter
        with Variants(
            self._workshop, message, report, max_bytes=milter.max_message_bytes, seconds=milter.scan_timeout_s
        ) as variants:
            try:
                return await _Carriage(self, message, report, heading, variants).done(dispositions)
            except (ScannerError, InjectError, ReplyError, OSError) as error:
                why = str(error) or type(error).__name__
                self._log.event("carry_failed", id=actions.text_id(queue_id), why=why[:500])
                answer = (
                    actions.never_carried_out(error.obstacle, queue_id)
                    if isinstance(error, NeverInjectedError)
                    else actions.not_carried_out(queue_id)
                )
        return Carried(replies=(answer,), dispositions=tuple(dispositions))

    async def keep_tidy(self) -> NoReturn:
        """Tidy the store whenever it is time, for ever; also where no mail comes."""
        while True:
            await self._tidy()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _tidy(self) -> None:
        days = self._config.store.discard_days
        try:
            removed = await asyncio.to_thread(self._store.tidy, days, every_s=_TIDY_EVERY_S)
        except OSError as error:
            self._log.event("store_not_tidied", why=str(error)[:500])
        else:
            if removed:
                self._log.event("store_tidied", removed=removed)

    @property
    def config(self) -> Config:
        """Return the configuration."""
        return self._config

    @property
    def notices(self) -> Notices:
        """Return what writes notices."""
        return self._notices

    async def keep(self, message: Message, entries: Sequence[Entry]) -> Kept:
        """Put a message into the store, in a thread; undone if nobody waits for it any more. Raises OSError."""
        task = asyncio.ensure_future(asyncio.to_thread(self._store.keep, message.spool.pieces(), entries))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # The thread still reads the message: wait for it, then take back what it made.
            (await task).undo()
            raise

    async def hand_over(self, host: bytes, letters: Sequence[Letter]) -> list[str]:
        """Inject letters, all or none. Raises InjectError."""
        return await inject(self._config.inject, host, letters)

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
        kept = await self._keep(plan)
        said: list[str] = []
        try:
            if letters:
                said = await self._carrier.hand_over(self._host, letters)
        except BaseException:
            if kept is not None:
                await asyncio.shield(asyncio.to_thread(kept.undo))
            raise
        notified = await self._notify(final)
        if kept is not None or said or notified:
            self._carrier.log(
                "carried",
                id=self._facts.queue_id,
                stored=kept.ids if kept else (),
                injected=said,
                notices=notified,
            )
        return Carried(replies=replies, dispositions=final)

    def _worded(self, one: Disposition) -> RewriteOrder:
        return worded(one.order, lambda part: self._carrier.notices.deleted(one, (part,), self._facts))

    def _shares(
        self, dispositions: Sequence[Disposition], orders: dict[Disposition, RewriteOrder]
    ) -> list[Share]:
        add_header = self._carrier.config.policy.add_header
        return [
            Share(
                variant=variant(one, orders.get(one, RewriteOrder()), add_header=add_header),
                recipients=one.recipients,
            )
            for one in dispositions
            if one.fate == "deliver"
        ]

    async def _keep(self, plan: Plan) -> Kept | None:
        if not plan.kept:
            return None
        return await self._carrier.keep(self._message, [self._entry(one) for one in plan.kept])

    def _entry(self, kept: ToKeep) -> Entry:
        envelope, one = self._message.envelope, kept.disposition
        return Entry(
            kind=kept.kind,
            received=datetime.now(UTC).isoformat(),
            queue_id=self._facts.queue_id,
            sender=bare(envelope.sender),
            recipients=tuple(bare(recipient) for recipient in one.recipients),
            client_address=shown(envelope.client_address) or "",
            client_name=shown(envelope.client_name) or "",
            helo=shown(envelope.helo) or "",
            user=shown(envelope.user) or "",
            size=self._message.size,
            header_bytes=self._message.size_of_headers + 2,
            fate=one.fate,
            wanted=one.wanted,
            verdict=one.verdict,
            rule=one.rule,
            reason=kept.reason,
            findings=tuple(
                FoundIn(
                    rule=found.rule,
                    verdict=found.verdict,
                    path=found.path or found.part,
                    name=_text(found.name),
                    detail=_text(found.detail),
                )
                for found in one.findings[:_MAX_FINDINGS]
            ),
        )

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


def _text(value: str) -> str:
    """Return a finding's text as it can be written in JSON."""
    return value[:_MAX_DETAIL].encode("utf-8", "backslashreplace").decode("utf-8")


def _atom(value: bytes) -> str:
    """Return a peer's name as it may stand in a Received field: nothing that ends a word, comment or field."""
    text = value[:255].decode("ascii", "replace")
    seen = "".join(
        one if one.isascii() and one.isprintable() and one not in ' ()[];\\<>"' else "?" for one in text
    )
    return seen or "unknown"
