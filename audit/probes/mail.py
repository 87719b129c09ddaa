"""Whole messages: how the gateway judges them, and how they reach the next hop."""

import asyncio
import contextlib
import json
import secrets
import time
from pathlib import Path

import aiosmtplib

from audit import samples
from audit.errors import NoSightError, UnseenError
from audit.place import Place
from audit.probes.smtp import Talk, talk
from audit.samples import SAMPLES, Letter, Sample
from roles.claims import Arrival, Delivered, FalseEnds, Verdict

# Scanners look at the whole message before the reply to the end of data; RFC 5321 4.5.3.2.6 grants ten minutes, an
# audit does not wait that long.
VERDICT_SECONDS = 60.0
ARRIVAL_SECONDS = 15.0
_POLL_SECONDS = 0.05
# What some server or other has taken for CR LF . CR LF (CVE-2023-51764, -51765, -51766), by what is written so.
FALSE_ENDS = {
    "LF . LF": b"\n.\n",
    "LF . CRLF": b"\n.\r\n",
    "CRLF . LF": b"\r\n.\n",
    "LF . CR": b"\n.\r",
    "CR . CR": b"\r.\r",
    "CR . LF": b"\r.\n",
    "CR . CRLF": b"\r.\r\n",
    "CRLF . CR": b"\r\n.\r",
    "CRLF . CRCRLF": b"\r\n.\r\r\n",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n",
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
    "CRLF . blank CRLF": b"\r\n. \r\n",
    "CRLF .. CRLF": b"\r\n..\r\n",
    "LFCR . LFCR": b"\n\r.\n\r",
}
# The unique id stands in the first headers, behind a few trace headers.
_HEAD = 65536


async def verdict(claim: Verdict, place: Place) -> str:
    """Send one sample and return the reply to the end of data; NoSightError if the envelope was refused."""
    sample = SAMPLES[claim.sample]
    letter = _letter(place)
    async with talk(place, place.smtp_port) as peer:
        await _opened(peer, place, sample, letter)
        return await _content(peer, sample, letter)


async def false_ends(claim: FalseEnds, place: Place) -> frozenset[str]:
    """Return which of FALSE_ENDS end a message; each stands in one of its own that no gateway takes.

    Raises NoSightError where an envelope was refused: then nothing was seen.
    """
    del claim
    return frozenset([name for name, octets in FALSE_ENDS.items() if await _ends(octets, place)])


async def _ends(octets: bytes, place: Place) -> bool:
    """Say whether these octets end a message: the command behind them is answered then, beside the message."""
    sample, letter = SAMPLES["eicar-base64"], _letter(place)
    # Between the header and the first part, where no reader looks.
    head, _, parts = samples.build("eicar-base64", letter).partition(b"\r\n\r\n")
    async with talk(place, place.smtp_port) as peer:
        await _opened(peer, place, sample, letter, octets=len(head + parts) + 1000)
        # Where it hangs up while we send, what it said before that is read below.
        with contextlib.suppress(OSError):
            await peer.send(head + b"\r\n\r\nfirst" + octets + b"RSET\r\n\r\n" + _doubled(parts) + b".\r\n")
        await peer.reply(f"the end of data behind {octets!r}", VERDICT_SECONDS)
        # Answers come in the order of what was asked: what has one line answers that command, or what came behind it, and not
        # this one. It may also say that the server ends the session (RFC 5321 3.8).
        try:
            said = await peer.command(f"EHLO {place.helo}")
        except (NoSightError, OSError):
            return False
        return "\n" not in said and not said.startswith("421")


async def delivered(claim: Delivered, place: Place) -> Arrival:
    """Send one sample by an honest client's library and return it with what reached the next hop.

    The library is another's: a slip in our own dialogue cannot make the gateway look at fault.
    """
    if not place.recorder:
        raise UnseenError("no recorder of the next hop's mail declared (audit_recorder)")
    recorder = Path(place.recorder)
    letter = _letter(place)
    content = samples.build(claim.sample, letter)
    known = _records(recorder)
    said = await _sent(place, content)
    return await _arrival(recorder, known, letter, content, said)


def _letter(place: Place) -> Letter:
    return Letter(
        sender=place.sender,
        recipient=place.recipient,
        unique=f"{time.time_ns():x}.{secrets.token_hex(8)}",
        size_limit=place.size_limit,
    )


async def _opened(
    peer: Talk, place: Place, sample: Sample, letter: Letter, octets: int | None = None
) -> None:
    """Go through the dialogue up to the 354 that asks for content; ``octets``: its size, where it is not the sample's."""
    await _accepted(await peer.reply("the connection"), "the connection", "2")
    offered = await peer.command(f"EHLO {place.helo}")
    await _accepted(offered, "EHLO", "2")
    mail = f"MAIL FROM:<{letter.sender}>"
    if (
        sample.declared
        and "\n" in offered
        and any(line[4:].upper().startswith("SIZE") for line in offered.splitlines())
    ):
        mail += f" SIZE={octets or sum(len(piece) for piece in sample.pieces(letter))}"
    for line, code in ((mail, "2"), (f"RCPT TO:<{letter.recipient}>", "2"), ("DATA", "354")):
        await _accepted(await peer.command(line), line, code)


async def _accepted(said: str, about: str, code: str) -> None:
    if not said.startswith(code):
        raise NoSightError(f"{about} was answered with {said}")


async def _content(peer: Talk, sample: Sample, letter: Letter) -> str:
    """Send the content, dots doubled (RFC 5321 4.5.2), and return the reply, which may come before the end."""
    answer = asyncio.ensure_future(peer.reply(f"the end of data of {sample.about}", VERDICT_SECONDS))
    try:
        for piece in sample.pieces(letter):
            if answer.done():
                break
            await peer.send(_doubled(piece))
        else:
            await peer.send(b".\r\n")
    except OSError:
        pass  # The server hung up while we sent; what it said before that, if anything, is in `answer`.
    return await answer


def _doubled(piece: bytes) -> bytes:
    """Return whole lines with each leading dot doubled."""
    doubled = piece.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled


async def _sent(place: Place, content: bytes) -> str:
    source = place.source()
    client = aiosmtplib.SMTP(
        hostname=place.address(),
        port=place.smtp_port,
        local_hostname=place.helo,
        source_address=(source, 0) if source else None,
        start_tls=False,
        timeout=VERDICT_SECONDS,
    )
    try:
        async with client:
            refused, said = await client.sendmail(place.sender, [place.recipient], content)
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise NoSightError(f"the recipient was refused: {error.recipients[0]}") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NoSightError(f"not accepted: {error}") from error
    del refused  # One recipient: refused means SMTPRecipientsRefused.
    return said


async def _arrival(recorder: Path, known: set[str], letter: Letter, content: bytes, said: str) -> Arrival:
    """Wait until the next hop's record of our message is there; the record's JSON is written last."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        new = _records(recorder) - known
        known |= new
        for name in new:
            if _is_ours(recorder / name, letter):
                return _recorded(recorder / name, letter, content)
        await asyncio.sleep(_POLL_SECONDS)
    raise NoSightError(f"accepted with {said!r}, but not at the next hop within {ARRIVAL_SECONDS:g} s")


def _records(recorder: Path) -> set[str]:
    """Return the names of all records that are complete."""
    try:
        return {path.name for path in recorder.iterdir() if path.suffix == ".json"}
    except OSError as error:
        raise UnseenError(f"the recorder's directory {recorder}: {error.strerror}") from error


def _is_ours(record: Path, letter: Letter) -> bool:
    try:
        with record.with_suffix(".eml").open("rb") as file:
            return letter.unique.encode() in file.read(_HEAD)
    except OSError as error:
        raise UnseenError(f"the recorder's file {error.filename}: {error.strerror}") from error


def _recorded(path: Path, letter: Letter, content: bytes) -> Arrival:
    envelope = json.loads(path.read_bytes())
    sender, recipients = envelope["mail_from"] or "", tuple(envelope["rcpt_tos"])
    if (sender, recipients) != (letter.sender, (letter.recipient,)):
        raise NoSightError(f"arrived with another envelope: from {sender!r} to {recipients!r}")
    return Arrival(
        sent=content, arrived=path.with_suffix(".eml").read_bytes(), sender=sender, recipients=recipients
    )
