"""Who speaks a dialogue: exact bytes out, replies in."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence

from audit.errors import NoSightError
from audit.probes.smtp import MAX_LINE, Talk
from tests.acceptance.dialogue import CLOSED, SILENCE, Dialogue, Heard, Step
from tests.acceptance.outside import Outside
from tests.acceptance.within import within

# A reply that nothing asked for is there at once: it was made when the one before it was.
SURPLUS_SECONDS = 0.3
# The other side takes its time to answer, however quickly it is spoken to.
LEAST_PACE = 0.1
DIALOGUE_SECONDS = 600


class _Speaker:
    """One connection; ``pace`` times every second that a step names."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: float) -> None:
        self._reader, self._writer, self._pace = reader, writer, pace
        self._talk = Talk(reader, writer)
        self.closed = False

    async def do(self, step: Step) -> str | None:
        """Do one step; a reply is returned."""
        seconds = step.seconds * self._pace
        match step.deed:
            case "reply":
                return await self._reply(seconds)
            case "wait":
                await asyncio.sleep(seconds)
            case "starttls":
                await self._starttls()
            case "send":
                await self._send(step.text)
            case "slow":
                for octet in step.text:
                    if self._reader.at_eof() or self.closed:
                        break
                    await self._send(octet)
                    await asyncio.sleep(seconds)
        return None

    async def _send(self, text: str) -> None:
        try:
            await self._talk.send(text.encode("latin-1"))
        except OSError:
            # What it said before it closed can still be read.
            self.closed = True

    async def _reply(self, seconds: float) -> str:
        try:
            return await self._talk.reply("this step", seconds)
        except NoSightError as error:
            return SILENCE if isinstance(error.__cause__, TimeoutError | None) else CLOSED

    async def _starttls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            await self._writer.start_tls(context)
        except (OSError, ssl.SSLError):
            self.closed = True

    async def surplus(self) -> str:
        """Return what was said beyond what was listened for."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(SURPLUS_SECONDS * max(self._pace, LEAST_PACE)):
                return (await self._reader.read(MAX_LINE)).decode("latin-1")
        return ""


async def spoken(
    steps: Sequence[Step], address: str, port: int, source: str | None = None, *, pace: float = 1.0
) -> Heard:
    """Speak a dialogue, from ``source`` if it is given, and return what was heard; OSError if nobody listens."""
    replies: list[str] = []
    reader, writer = await asyncio.open_connection(
        address, port, limit=MAX_LINE, local_addr=(source, 0) if source else None
    )
    speaker = _Speaker(reader, writer, pace)
    try:
        for step in steps:
            if step.deed == "if" and not any(step.text in reply for reply in replies):
                return Heard(replies=tuple(replies), whole=False)
            said = await speaker.do(step)
            replies += [] if said is None else [said]
            if said in (CLOSED, SILENCE):
                return Heard(replies=tuple(replies))
        return Heard(replies=tuple(replies), surplus=await speaker.surplus())
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(b"QUIT\r\n")
            writer.close()
            async with asyncio.timeout(1):
                await writer.wait_closed()
        # Who does not read what is still to be sent is left.
        writer.transport.abort()


def heard(dialogue: Dialogue, place: Outside) -> Heard:
    """Speak a dialogue in one of the lab's networks, and return what was heard."""
    source = f"{place.source.rpartition('.')[0]}.{dialogue.host}" if dialogue.host else place.source
    said = spoken(dialogue.steps, place.address, 25, source)
    return within(place.netns, said, DIALOGUE_SECONDS)
