"""The little language of ``dialogs/*.smtp``: what is said to the gateway, and what must come of it. No I/O.

The first comment of a file says what must hold, those behind it where that is written. A line each:

``from wan``, ``from lan``  where it is spoken; ``from wan 73``: by the address there whose last octet that is
``to wan``     its messages go to a mail server elsewhere, not to the protected one
``needs mta.x``  where the MTA lacks that defence nobody speaks it: the record says what stands in its place
``> text``     a line is sent; ``>> text``: bytes without a line end
``chunk text``  the bytes as a chunk of their size (RFC 3030), ``last text``: as the last one
``slow S text``  bytes sent one by one, S seconds apart, until all are sent or the other side has closed
``wait S``     S seconds pass
``starttls``   the connection turns to TLS, whatever its certificate
``if WORD``    the dialogue is over unless a reply so far had this word
``< pattern``  the whole next reply, its lines joined by a newline; ``< closed`` is the end of the connection, and
               ``silence`` what comes instead of a reply that does not come in time
``<. pattern``  the same, of the reply to a message's end: 2xx takes the message
``within S``   how long the replies behind it may take; without it REPLY_SECONDS
``times N``    the next thing sent and its reply come N times, ``{n}`` is which time it is, from 1; before a pattern: as
               many replies
``arrives pattern``  what every message that was taken must look like to the next hop, from its first octet to its last

``\\r \\n \\xNN`` are escapes in what is sent and arrives, ``{x*N}`` is N times x, ``{mark}`` one word for each run. As
many messages with that word must arrive as were taken, none of them from a sender that begins with ``forged``.
A dialogue ends where its file ends: a reply beyond that is one too many.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

FILES: Final = sorted((Path(__file__).parent / "dialogs").glob("*.smtp"))
CLOSED: Final = "closed"
# filterd asks two engines, one of them slow on a loaded machine.
REPLY_SECONDS: Final = 90.0

# In the place of a reply that did not come in time, or was none.
SILENCE: Final = "silence"

Side = Literal["wan", "lan"]
Deed = Literal["send", "slow", "wait", "starttls", "reply", "if"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One deed: ``text`` in Latin-1 is what is sent or looked for, ``seconds`` a pause, or how long a reply may take."""

    deed: Deed
    text: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A reply's pattern; ``takes``: a 2xx takes a message."""

    pattern: str
    takes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the other side said: the replies in order, ``closed`` where none came any more, and what was one too many.

    ``whole``: the dialogue was spoken to its end, or to where the other side fell silent.
    """

    replies: tuple[str, ...]
    surplus: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One message at the next hop."""

    sender: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """One file; ``host`` is the last octet of the address that it is spoken by, 0 for the vantage's own.

    ``needs`` is the id of a defence, or empty.
    """

    side: Side
    host: int
    towards: Side
    needs: str
    steps: tuple[Step, ...]
    expected: tuple[Expected, ...]
    arrives: str
    marked: bool

    @property
    def accepting(self) -> bool:
        """Whether every reply that it allows is a good one: it says what the gateway must not refuse."""
        bad = (
            CLOSED,
            SILENCE,
            "421 4.0.0 no",
            "450 4.0.0 no",
            "501 5.0.0 no",
            "550 5.0.0 no",
            "554 5.7.1 no",
        )
        return not any(re.fullmatch(one.pattern, reply, re.DOTALL) for one in self.expected for reply in bad)

    def taken(self, heard: Heard) -> int:
        """Return how many messages the other side took."""
        both = zip(self.expected, heard.replies, strict=False)
        return sum(one.takes and reply.startswith("2") for one, reply in both)

    def problems(self, heard: Heard) -> list[str]:
        """Return what is wrong with the replies, a sentence each."""
        found = []
        expected = self.expected if heard.whole else self.expected[: len(heard.replies)]
        # Who has gone or fallen silent does not answer any more.
        replies = heard.replies + heard.replies[-1:] * (len(expected) - len(heard.replies))
        for number, (one, whole) in enumerate(zip(expected, replies, strict=True), 1):
            # A client that is new gets its greeting in two lines (mta.screened), another in one; files are about neither.
            reply = whole.rpartition("\n")[2] if number == 1 and whole.startswith("220") else whole
            if not re.fullmatch(one.pattern, reply, re.DOTALL):
                found.append(f"reply {number}: {one.pattern} does not match {reply!r}")
        if heard.surplus:
            found.append(f"a reply too many: {heard.surplus!r}")
        return found

    def losses(self, heard: Heard, arrived: Sequence[Arrived]) -> list[str]:
        """Return what is wrong with what arrived of the messages that were taken."""
        taken = self.taken(heard)
        found = [f"{taken} messages were taken, {len(arrived)} arrived"] if len(arrived) != taken else []
        for one in arrived:
            if one.sender.startswith("forged"):
                found.append(f"a message from {one.sender} arrived")
            if self.arrives and not re.fullmatch(self.arrives.encode("latin-1"), one.content, re.DOTALL):
                found.append(f"{self.arrives} does not match what arrived: {one.content!r}")
        return found


def sent(text: str) -> str:
    """Return the bytes that a line of a file stands for, as Latin-1 text."""
    repeated = re.sub(r"\{(.+?)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    return repeated.encode("latin-1").decode("unicode_escape")


def _side(text: str) -> Side:
    match text:
        case "wan" | "lan":
            return text
    raise ValueError(f"{text!r} is neither wan nor lan")


class _Reader:
    """What was read of a file so far."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.side: Side | None = None
        self.towards: Side = "lan"
        self.host, self.needs, self.arrives = 0, "", ""
        self.steps: list[Step] = []
        self.expected: list[Expected] = []
        self.within, self.marked = REPLY_SECONDS, False
        self.times = 1
        # What was sent since the last reply, to be sent again.
        self.again: Step | None = None

    def line(self, word: str, rest: str) -> None:
        """Take one line; ValueError when it is none of the language."""
        if word == "from":
            side, _, number = rest.partition(" ")
            self.side, self.host = _side(side), int(number or 0)
        elif word == "to":
            self.towards = _side(rest)
        elif word == "needs":
            self.needs = rest
        elif word in ("<", "<."):
            self._expect(Expected(pattern=rest, takes=word == "<."))
        elif word == "within":
            self.within = float(rest)
        elif word == "times":
            self.times = int(rest)
        elif word == "arrives":
            self.arrives = rest.replace("{mark}", re.escape(self.mark))
        else:
            self._do(word, rest)

    def _do(self, word: str, rest: str) -> None:
        match word:
            case ">" | ">>":
                self._add(Step(deed="send", text=rest + ("\\r\\n" if word == ">" else "")))
            case "chunk" | "last":
                size = len(sent(rest.replace("{mark}", self.mark)))
                self._add(Step(deed="send", text=f"BDAT {size}{' LAST' * (word == 'last')}\\r\\n{rest}"))
            case "slow":
                seconds, _, text = rest.partition(" ")
                self._add(Step(deed="slow", text=text, seconds=float(seconds)))
            case "if":
                self.steps.append(Step(deed="if", text=rest))
            case "wait":
                self.steps.append(Step(deed="wait", seconds=float(rest)))
            case "starttls":
                self.steps.append(Step(deed="starttls"))
            case _:
                raise ValueError(f"{word!r} is none of the language's words")

    def _add(self, step: Step) -> None:
        self.marked = self.marked or "{mark}" in step.text
        self.again = step
        self._send(step, 1)

    def _send(self, step: Step, number: int) -> None:
        text = step.text.replace("{mark}", self.mark)
        if self.times > 1:
            text = text.replace("{n}", str(number))
        self.steps.append(replace(step, text=sent(text)))

    def _expect(self, one: Expected) -> None:
        for number in range(1, self.times + 1):
            if number > 1 and self.again:
                self._send(self.again, number)
            self.steps.append(Step(deed="reply", seconds=self.within))
            self.expected.append(one)
        self.times, self.again = 1, None


def parsed(text: str, mark: str) -> Dialogue:
    """Return one file's dialogue, with ``mark`` for its word; ValueError names the line that is wrong."""
    reader = _Reader(mark)
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.partition(" ")
        if not line or word == "#":
            continue
        try:
            reader.line(word, rest)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if reader.side is None:
        raise ValueError("no line says `from wan` or `from lan`")
    return Dialogue(
        side=reader.side,
        host=reader.host,
        towards=reader.towards,
        needs=reader.needs,
        steps=tuple(reader.steps),
        expected=tuple(reader.expected),
        arrives=reader.arrives,
        marked=reader.marked,
    )
