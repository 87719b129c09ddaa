"""One milter connection seen from the filter: the state table, the replies owed, the macros known."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from filterd.errors import ProtocolError, ReplyError

from . import commands as c
from . import replies as r
from .frames import FrameReader
from .negotiation import Agreement, Step, Wish, agree


class State(Enum):
    """Where a connection stands: named for the last thing that was said."""

    # There is one object of each; by its name it would cost a call of Python's for each command.
    __hash__ = object.__hash__

    START = auto()
    NEGOTIATED = auto()
    CONNECTED = auto()  # between messages; whether HELO was said does not matter
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    HEADERS = auto()
    BODY = auto()
    CLOSED = auto()


_Row = Mapping[type[c.Command], State]

_LEAVE: Final[_Row] = {c.Abort: State.CONNECTED, c.Quit: State.CLOSED, c.QuitNewConnection: State.NEGOTIATED}
# A MAIL that the MTA itself refused is not always followed by ABORT: a new HELO or MAIL ends the old one.
_AGAIN: Final[_Row] = {c.Helo: State.CONNECTED, c.Mail: State.MAIL, **_LEAVE}
_CONTENT: Final[_Row] = {c.Header: State.HEADERS, c.EndOfHeaders: State.BODY, **_LEAVE}

TABLE: Final[Mapping[State, _Row]] = {
    State.START: {c.Offer: State.NEGOTIATED, c.Quit: State.CLOSED},
    State.NEGOTIATED: {**_LEAVE, c.Connect: State.CONNECTED, c.Abort: State.NEGOTIATED},
    State.CONNECTED: {**_AGAIN, c.Unknown: State.CONNECTED},
    State.MAIL: {**_AGAIN, c.Rcpt: State.RCPT, c.Unknown: State.MAIL},
    State.RCPT: {**_AGAIN, **_CONTENT, c.Rcpt: State.RCPT, c.Data: State.DATA, c.Unknown: State.RCPT},
    State.DATA: _CONTENT,
    State.HEADERS: _CONTENT,
    State.BODY: {**_LEAVE, c.Body: State.BODY, c.EndOfMessage: State.CONNECTED},
    State.CLOSED: {},
}

_CLIENT: Final = frozenset(
    {r.Continue, r.Accept, r.Reject, r.TempFail, r.ReplyCode, r.ConnectionFail, r.Shutdown}
)
_MESSAGE: Final = r.VERDICTS | {r.ConnectionFail, r.Shutdown}

# The replies that each command may get. Those that are missing get none.
ANSWERS: Final[Mapping[type[c.Command], frozenset[type[r.Reply]]]] = {
    c.Connect: _CLIENT,
    c.Helo: _CLIENT,
    c.Mail: _MESSAGE,
    c.Rcpt: _MESSAGE,
    c.Data: _MESSAGE,
    c.Header: _MESSAGE,
    c.EndOfHeaders: _MESSAGE,
    c.Body: _MESSAGE | {r.Skip},
    c.EndOfMessage: _MESSAGE | r.EDITS | {r.Progress},
    c.Unknown: frozenset({r.Continue, r.Reject, r.TempFail, r.ReplyCode, r.ConnectionFail, r.Shutdown}),
}

QUIET: Final[Mapping[type[c.Command], Step]] = {
    c.Connect: Step.QUIET_CONNECT,
    c.Helo: Step.QUIET_HELO,
    c.Mail: Step.QUIET_MAIL,
    c.Rcpt: Step.QUIET_RCPT,
    c.Data: Step.QUIET_DATA,
    c.Header: Step.QUIET_HEADER,
    c.EndOfHeaders: Step.QUIET_END_OF_HEADERS,
    c.Body: Step.QUIET_BODY,
    c.Unknown: Step.QUIET_UNKNOWN,
}

# Replies behind which the question stays open.
_OPEN: Final = r.EDITS | {r.Progress}
# A refused recipient does not end its message; any other refusal does, and the MTA then sends no more of it.
_ENDING: Final = frozenset({r.Accept, r.Discard})
_REFUSING: Final = frozenset({r.Reject, r.TempFail, r.ReplyCode})
_TRANSACTION: Final = frozenset({c.Mail, c.Data, c.Header, c.EndOfHeaders, c.Body})
_AFTER_CLIENT_GONE: Final = frozenset({r.Shutdown, r.ConnectionFail})


class Session:
    """The filter's side of one connection. No I/O, no clock; memory is bounded by the frame reader.

    Take turns: ``receive`` bytes, then ``next_event`` until it is None; an event for which ``owed`` is set
    gets its ``reply`` before the next is asked for. Only ProtocolError comes of the peer's bytes.
    """

    __slots__ = (
        "_connection_macros",
        "_message_macros",
        "_quiet",
        "_reader",
        "_wish",
        "agreed",
        "owed",
        "state",
    )

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._reader = FrameReader(c.LONGEST)
        self._connection_macros: dict[bytes, bytes] = {}
        self._message_macros: dict[bytes, bytes] = {}
        self._quiet: frozenset[type[c.Command]] = frozenset()
        self.agreed: Agreement | None = None
        self.owed: type[c.Command] | None = None
        self.state = State.START

    @property
    def unread(self) -> int:
        """Return how many received bytes have not become events yet."""
        return len(self._reader)

    def receive(self, data: bytes) -> None:
        """Take bytes from the MTA. Raises ProtocolError when it sends on and on without waiting."""
        self._reader.feed(data)

    def macro(self, name: bytes) -> bytes | None:
        """Return what the MTA said about a macro (name without braces), or None."""
        return self._message_macros.get(name, self._connection_macros.get(name))

    def next_event(self) -> c.Command | None:
        """Return the next command, or None when more bytes are needed.

        Raises ProtocolError for a malformed command or one out of turn, ReplyError when a reply is still owed.
        """
        if self.owed is not None:
            raise ReplyError(f"{self.owed.__name__} has not been answered")
        got = self._reader.next_frame()
        if got is None:
            return None
        code, payload = got
        kind = c.COMMANDS[code]
        command = kind.parse(payload)
        if isinstance(command, c.Macros):
            self._remember(command)
            return command
        following = TABLE[self.state].get(kind)
        if following is None:
            raise ProtocolError(f"{kind.__name__} does not belong behind {self.state.name}")
        self._enter(kind, following)
        if kind is c.Offer or (kind in ANSWERS and kind not in self._quiet):
            self.owed = kind
        return command

    def _enter(self, kind: type[c.Command], following: State) -> None:
        if following in (State.NEGOTIATED, State.CLOSED):
            self._connection_macros.clear()
        if kind in _LEAVE or kind is c.Helo:
            self._message_macros.clear()
        self.state = following

    def _remember(self, macros: c.Macros) -> None:
        """Keep macros. They come before their command, also when that command itself was waived."""
        about = c.COMMANDS.get(macros.about)
        if about is None or about not in TABLE[self.state] or about not in ANSWERS:
            raise ProtocolError(f"macros for {macros.about:#04x} do not belong behind {self.state.name}")
        if about in (c.Connect, c.Helo):
            self._connection_macros.update(macros.values)
        elif about is c.Mail:
            self._message_macros = dict(macros.values)
        else:
            self._message_macros.update(macros.values)

    def agree(self, offer: c.Offer) -> bytes:
        """Answer an offer: return the bytes to send. Raises ProtocolError when the offer is too small."""
        if self.owed is not c.Offer:
            raise ReplyError("there is no offer to answer")
        self.agreed = agree(offer, self._wish)
        self._quiet = frozenset(kind for kind, step in QUIET.items() if step in self.agreed.steps)
        self.owed = None
        return self.agreed.encode()

    def reply(self, reply: r.Reply) -> bytes:
        """Answer the command that is owed a reply: return the bytes to send.

        Edits and Progress leave the question open; any other reply settles it. Raises ReplyError for a reply
        that this command, this state or this agreement does not allow.
        """
        kind, owed, agreed = type(reply), self.owed, self.agreed
        if owed is None or agreed is None or kind not in ANSWERS.get(owed, frozenset()):
            raise ReplyError(f"{kind.__name__} does not answer {owed.__name__ if owed else 'anything'}")
        if reply.needs & ~agreed.actions:
            raise ReplyError(f"{kind.__name__} was not negotiated")
        if kind is r.Skip and Step.SKIP not in agreed.steps:
            raise ReplyError("Skip was not negotiated")
        data = b"".join(reply.frames(agreed))
        if kind not in _OPEN:
            self._settle(owed, kind)
        return data

    def _settle(self, owed: type[c.Command], kind: type[r.Reply]) -> None:
        self.owed = None
        ends_message = (kind in _REFUSING and owed in _TRANSACTION) or (
            kind in _ENDING and owed in (_TRANSACTION | {c.Rcpt})
        )
        if ends_message:
            self.state = State.CONNECTED
        if ends_message or owed is c.EndOfMessage:
            self._message_macros.clear()
        if kind in _AFTER_CLIENT_GONE and self.state is not State.CLOSED:
            # The MTA drops the client: only QUIT, QUIT_NC or ABORT can follow.
            self.state = State.NEGOTIATED
