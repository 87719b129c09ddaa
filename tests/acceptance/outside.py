"""A client outside: SMTP dialogues with exact bytes, spoken from one of the lab's networks.

The tests' own process stays where it is; a thread of it enters the network's namespace for the length of a dialogue.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.errors import NoSightError
from audit.place import V4, Place
from audit.probes.smtp import Talk, talk
from lab.plan import LabState
from tests.acceptance.within import within

ROOT = Path(__file__).parents[2]
CLOSED = "closed"
# filterd asks two engines, one of them slow on a loaded machine.
REPLY_SECONDS = 90.0
_DIALOGUE_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Bytes to send as they are (as Latin-1 text), and whether a reply is waited for."""

    send: str
    reply: bool = True


def queue_id(reply: str) -> str:
    """Return the MTA's id of the message that a reply accepts, or an empty text."""
    found = re.fullmatch(r"250 2\.0\.0 (?:.* queued as (\S+)|(\S+) Message accepted .*)", reply)
    return (found[1] or found[2]) if found else ""


def line(text: str) -> Step:
    return Step(send=f"{text}\r\n")


def content(text: bytes) -> Step:
    """Return a whole message's content, dots doubled, with its end (RFC 5321 4.5.2)."""
    doubled = b"".join(
        b"." + part if part.startswith(b".") else part for part in text.splitlines(keepends=True)
    )
    return Step(send=(doubled + b".\r\n").decode("latin-1"))


def envelope(recipient: str, sender: str = "alice@sender.example") -> list[Step]:
    return [line(f"EHLO {HELO}"), line(f"MAIL FROM:<{sender}>"), line(f"RCPT TO:<{recipient}>"), line("DATA")]


HELO = "client.sender.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """One vantage: the namespace, the gateway's address as seen from there, our own address."""

    netns: str
    address: str
    source: str

    def dialogue(self, *steps: Step, persist: bool = True) -> list[str]:
        """Return the greeting and the reply to each step that waits for one; ``closed`` where none came any more.

        Without ``persist`` the dialogue ends at the first refusal.
        """
        said = _spoken(self.address, self.source, steps, persist=persist)
        return within(self.netns, said, _DIALOGUE_SECONDS)

    def sent(self, message: bytes, recipient: str = "bob@bastide.example") -> str:
        """Send one message and return the last reply: to the end of data, or to what was refused before."""
        replies = self.dialogue(*envelope(recipient), content(message), persist=False)
        return replies[-1]


def seen_from(lab: LabState, side: str, gateway: str = "gw1") -> Outside:
    host = lab.hosts[gateway]
    address = host.wan4 if side == "wan" else host.lan4
    return Outside(
        netns=lab.netns[side],
        address=str(address),
        source="198.51.100.10" if side == "wan" else "198.18.0.10",
    )


async def _spoken(address: str, source: str, steps: Sequence[Step], *, persist: bool) -> list[str]:
    place = Place(
        vantage="test",
        hostname="",
        domain="",
        size_limit=0,
        recipient="",
        helo="",
        addresses={V4: address},
        sources={V4: source},
    )
    replies: list[str] = []
    async with talk(place, 25) as peer:
        replies.append(await _answer(peer))
        for step in steps:
            try:
                await peer.send(step.send.encode("latin-1"))
            except OSError:
                replies.append(CLOSED)
                break
            if step.reply:
                replies.append(await _answer(peer))
                if replies[-1] == CLOSED or not (persist or replies[-1].startswith(("2", "3"))):
                    break
    return replies


async def _answer(peer: Talk) -> str:
    try:
        return await peer.reply("this step", REPLY_SECONDS)
    except NoSightError:
        return CLOSED
