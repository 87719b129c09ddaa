"""One connection of the MTA: reads frames, spools messages, has them judged, answers, logs.

The attack it stops: a peer that holds a worker for ever. Every wait has an end, and a reply is never guessed: a
connection that fails before its verdict is closed, which the MTA takes for "try again later".
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from . import actions
from .carry.carrier import Carried
from .carry.heading import Heading
from .carry.plan import needed
from .config import Config
from .errors import ProtocolError, ReplyError
from .log import shown
from .message import Envelope, Message, Spool
from .milter import commands as c
from .milter.negotiation import MacroStage, Step, Wish
from .milter.replies import Continue, Progress, Reply
from .milter.session import Session
from .service import Judgement, Service
from .streams import Patience, put

_READ: Final = 64 * 1024
# Replies are a few bytes each: an MTA that does not take them in this time takes nothing any more.
_SEND_S: Final = 30.0
_CLOSE_S: Final = 5.0
# What is judged in this time is judged before it matters whether the MTA is still there.
_PROMPT_S: Final = 0.05
# What is said of a client whose address the MTA does not know (family U of SMFIC_CONNECT).
_NO_ADDRESS: Final = b"unknown"

_CONTINUE: Final = Continue()

# Replies are only needed for recipients (their number is bounded) and for the verdict; all else may come in one go.
_STEPS: Final = (
    Step.NO_UNKNOWN | Step.NO_DATA | Step.LEADING_SPACE | Step.QUIET_CONNECT | Step.QUIET_HELO | Step.QUIET_MAIL
    | Step.QUIET_DATA | Step.QUIET_HEADER | Step.QUIET_END_OF_HEADERS | Step.QUIET_BODY | Step.QUIET_UNKNOWN
)  # fmt: skip
_MACROS: Final = {
    MacroStage.CONNECT: b"j",
    MacroStage.MAIL: b"i {auth_authen}",
    MacroStage.END_OF_MESSAGE: b"i",
}


def wish(config: Config) -> Wish:
    """Return what this filter asks of an MTA: the right to change mail only where the configuration may want it."""
    return Wish(needs=needed(config), steps=_STEPS, macros=_MACROS)


class PeerGoneError(Exception):
    """The MTA closed the connection, or takes no more replies; the text says which."""


class Connection:
    """One connection. ``busy`` while a message is between MAIL and its verdict."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service = service
        self._reader = reader
        self._writer = writer
        self._settings = service.config.milter
        self._session = Session(wish(service.config))
        self._client = Envelope()
        self._message: Message | None = None
        self._heading = Heading()
        self._carried: Carried | None = None  # what was done and not answered yet
        self._answering = False  # from the moment at which the first byte of its answer may be sent
        self._patience = Patience(reader)
        self._handlers: Mapping[type[c.Command], Callable[..., Reply | None]] = {
            c.Connect: self._on_connect,
            c.Helo: self._on_helo,
            c.Mail: self._on_mail,
            c.Rcpt: self._on_rcpt,
            c.Header: self._on_header,
            c.EndOfHeaders: self._on_end_of_headers,
            c.Body: self._on_body,
            c.Abort: self._on_abort,
            c.QuitNewConnection: self._on_new_client,
        }

    @property
    def busy(self) -> bool:
        """Whether a message is in progress."""
        return self._message is not None

    async def run(self) -> None:
        """Serve until the MTA leaves, errs or stays silent too long, or the worker stops between messages."""
        try:
            while not (self._service.stopping and not self.busy):
                command = self._session.next_event()
                if command is None:
                    self._session.receive(await self._read())
                elif (handler := self._handlers.get(type(command))) is not None:
                    reply = handler(command)
                    if self._session.owed is not None:
                        await self._send(self._session.reply(reply or _CONTINUE))
                elif isinstance(command, c.Quit):
                    return
                else:
                    await self._answer(command)
        except PeerGoneError as error:
            self._unfinished(str(error))
        except TimeoutError:
            self._unfinished("the MTA was silent for too long")
        except ProtocolError as error:
            self._service.log.event("protocol_error", why=str(error)[:500])
            self._unfinished("protocol error")
        except ConnectionError:
            self._unfinished("the connection broke")
        finally:
            self._patience.end()
            self._drop_message()
            await self._hang_up()

    async def _hang_up(self) -> None:
        """Close, once the MTA has taken what was sent, or without that."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()
        except (ConnectionError, TimeoutError):
            self._writer.transport.abort()

    async def _read(self) -> bytes:
        """Return what comes next, within the time that is left for this message, or for none."""
        if self._message is None:
            seconds = self._settings.idle_timeout_s
        else:
            seconds = self._settings.message_timeout_s - (time.monotonic() - self._message.started)
        with self._patience.of(seconds):
            data = await self._reader.read(_READ)
        if not data:
            raise PeerGoneError("the MTA closed the connection")
        return data

    async def _answer(self, command: c.Command) -> None:
        if isinstance(command, c.Offer):
            await self._send(self._session.agree(command))
        elif isinstance(command, c.EndOfMessage):
            await self._end_of_message(command)
        elif self._session.owed is not None:
            await self._send(self._session.reply(_CONTINUE))

    async def _send(self, data: bytes) -> None:
        put(self._writer, data)
        if not self._writer.transport.get_write_buffer_size() and not self._writer.is_closing():
            return  # the kernel has it
        try:
            async with asyncio.timeout(_SEND_S):
                await self._writer.drain()
        except TimeoutError as error:
            raise PeerGoneError("the MTA takes no replies") from error

    def _on_connect(self, command: c.Connect) -> None:
        self._client = Envelope(
            client_name=command.hostname,
            client_address=command.address or _NO_ADDRESS,
            host=self._session.macro(b"j"),
        )

    def _on_helo(self, command: c.Helo) -> None:
        self._drop_message()
        self._client.helo = command.text

    def _on_mail(self, command: c.Mail) -> None:
        self._drop_message()
        client, session, settings = self._client, self._session, self._settings
        envelope = Envelope(
            client_name=client.client_name,
            client_address=client.client_address,
            helo=client.helo,
            host=client.host,
            sender=command.address,
            sender_parameters=command.parameters,
            recipients=[],
            user=session.macro(b"auth_authen"),
        )
        agreed = session.agreed
        self._heading = Heading()
        self._message = Message(
            envelope,
            Spool(settings.spool_dir, settings.spool_memory_bytes),
            max_bytes=settings.max_message_bytes,
            exact=agreed is not None and Step.LEADING_SPACE in agreed.steps,
        )

    def _on_rcpt(self, command: c.Rcpt) -> Reply | None:
        envelope = self._current().envelope
        if len(envelope.recipients) >= self._settings.max_recipients:
            return actions.TOO_MANY_RECIPIENTS
        envelope.recipients.append(command.address)
        envelope.parameters.setdefault(command.address, command.parameters)
        return None

    def _on_header(self, command: c.Header) -> None:
        message = self._current()
        try:
            message.add_header(command.name, command.value)
        except OSError as error:
            self._no_room(error)
        else:
            self._heading.note(command.name, command.value)

    def _on_end_of_headers(self, _: c.EndOfHeaders) -> None:
        message = self._current()
        try:
            message.end_headers()
        except OSError as error:
            self._no_room(error)

    def _on_body(self, command: c.Body) -> None:
        message = self._current()
        try:
            message.add_body(command.content)
        except OSError as error:
            self._no_room(error)

    def _on_abort(self, _: c.Abort) -> None:
        self._drop_message()

    def _on_new_client(self, _: c.QuitNewConnection) -> None:
        self._drop_message()
        self._client = Envelope()

    def _current(self) -> Message:
        """Return the message in progress; the state table has seen to it that there is one."""
        if self._message is None:
            raise ProtocolError("there is no message")
        return self._message

    def _no_room(self, error: OSError) -> None:
        """Note a full disk, once a message; the answer is given at the end, where every MTA waits for one."""
        self._service.log.event("spool_failed", why=str(error)[:500])
        self._service.health.spool.failed(error)

    async def _end_of_message(self, command: c.EndOfMessage) -> None:
        message = self._current()
        if command.content:
            self._on_body(c.Body(command.content))
        try:
            message.complete()
        except OSError as error:
            self._no_room(error)
        message.envelope.queue_id = self._session.macro(b"i")
        if message.lost:
            await self._send(self._session.reply(actions.NO_ROOM))
            self._unfinished("no room to spool it")
            self._drop_message()
            return
        self._carried, self._answering = None, False
        try:
            judgement, carried = await self._settle(message)
            settling = await self._reply(message, carried.replies)
        except BaseException as error:
            if self._unheard(error):
                await asyncio.shield(self._take_back())
            else:
                # What is kept or injected may come twice; taken back, it might be nowhere.
                self._service.log.event("answer_uncertain", id=actions.text_id(message.envelope.queue_id))
            raise
        final = Judgement(report=judgement.report, dispositions=carried.dispositions)
        self._service.log_message(message, final, actions.reply_text(settling))
        self._drop_message()

    def _unheard(self, error: BaseException) -> bool:
        """Whether it is certain that the MTA cannot have the whole answer; nothing more of it is sent from here on.

        What the kernel has taken the MTA may still read. The settling reply comes last: as long as a byte is left here,
        and none can go, it has not been given.
        """
        if not self._answering or isinstance(error, ConnectionError):
            return True  # a connection breaks only under what is still to be sent
        transport = self._writer.transport
        left = 0
        with contextlib.suppress(OSError, ValueError):
            # uvloop's abort leaves the socket open for one more turn of the loop, in which it would be written to.
            descriptor = os.dup(transport.get_extra_info("socket").fileno())
            with socket.socket(fileno=descriptor) as same:
                same.shutdown(socket.SHUT_RDWR)
            left = transport.get_write_buffer_size()
        transport.abort()
        return left > 0

    async def _take_back(self) -> None:
        """Have it recorded that the MTA did not hear what was done."""
        if self._carried is not None:
            await self._service.carrier.not_answered(self._carried.record)

    async def _reply(self, message: Message, replies: Sequence[Reply]) -> Reply:
        """Send the replies to the end of a message; return the one that settles it."""
        try:
            frames = [self._session.reply(reply) for reply in replies[:-1]]
            frames.append(self._session.reply(replies[-1]))
        except ReplyError as error:
            # The sender comes again; what was stored or injected comes twice, and nothing is lost.
            self._service.log.event("reply_not_possible", why=str(error)[:500])
            refusal = actions.not_carried_out(message.envelope.queue_id)
            await self._send(self._session.reply(refusal))
            return refusal
        self._answering = True
        await self._send(b"".join(frames))
        return replies[-1]

    async def _judged(self, message: Message) -> tuple[Judgement, Carried]:
        judgement = await self._service.judge(message)
        carried = await self._service.carrier.carry_out(
            message, judgement.report, judgement.dispositions, self._heading
        )
        self._carried = carried
        return judgement, carried

    async def _settle(self, message: Message) -> tuple[Judgement, Carried]:
        """Judge and carry out; meanwhile tell the MTA that we are at work, and notice if it leaves."""
        scan = asyncio.ensure_future(self._judged(message))
        heard: asyncio.Future[bytes] | None = None
        waited: set[asyncio.Future[Any]] = {scan}
        try:
            done, _ = await asyncio.wait(waited, timeout=_PROMPT_S)
            if done:
                return scan.result()
            heard = asyncio.ensure_future(self._reader.read(_READ))
            while True:
                waited = {scan} if heard is None else {scan, heard}
                done, _ = await asyncio.wait(
                    waited, timeout=self._settings.progress_s, return_when=asyncio.FIRST_COMPLETED
                )
                if heard is not None and heard in done:
                    if not (data := heard.result()):
                        raise PeerGoneError("the MTA closed the connection")
                    # What is sent ahead waits for its turn; the transport holds back the rest.
                    self._session.receive(data)
                    heard = None
                if scan in done:
                    return scan.result()
                if not done:
                    await self._send(self._session.reply(Progress()))
        finally:
            # Wait until they have let go of the message; what went wrong with them then is nobody's any more.
            tasks = [task for task in (scan, heard) if task is not None]
            for task in tasks:
                task.cancel()
            if heard is not None or not scan.done():
                await asyncio.gather(*tasks, return_exceptions=True)
            elif not scan.cancelled():
                scan.exception()

    def _drop_message(self) -> None:
        if self._message is not None:
            self._message.close()
            self._message = None

    def _unfinished(self, why: str) -> None:
        if self._message is not None:
            envelope = self._message.envelope
            limit = self._service.config.log.max_field
            self._service.log.event(
                "message_unfinished",
                why=why,
                client=shown(envelope.client_address, limit),
                sender=shown(envelope.sender, limit),
                size=self._message.size,
            )
