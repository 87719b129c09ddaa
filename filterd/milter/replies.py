"""What a filter may say: a class a reply. ``payload`` raises ReplyError for text that is not safe to send.

Header values, addresses and reply texts are checked here once more, whoever made them: a CR, LF or NUL that
slips through is a forged header or a forged SMTP reply.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from msgspec import Struct

from filterd.errors import ReplyError

from .frames import frame
from .negotiation import Action, Agreement, Step

# MILTER_CHUNK_SIZE: the most that a body frame may carry.
CHUNK: Final = 65535
# smfi_setmlreply(3): 32 lines of 980 bytes.
_MAX_LINES: Final = 32
_MAX_TEXT: Final = 980
_MAX_VALUE: Final = 60 * 1024  # fits MILTER_MAX_DATA_SIZE with its name beside it
_MAX_HEADER_NAME: Final = 256
_MAX_ADDRESS: Final = 4096

_INDEX: Final = struct.Struct("!I")
_MAX_INDEX: Final = 2**31 - 1
_NAME: Final = re.compile(rb"[!-9;-~]+")  # RFC 5322 3.6.8: printable US-ASCII but the colon
_CODE: Final = re.compile(r"[45][0-9]{2}")
_ENHANCED: Final = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}")  # RFC 3463 2
_BAD_FOLD: Final = re.compile(rb"[\r\0]|\n(?![ \t])|\n[ \t]*(?=\n)|\n[ \t]*\Z")
_ANY: Final = Agreement(version=6, actions=~Action(0), steps=Step.LEADING_SPACE, macros={})
_CONTROL: Final = re.compile(rb"[\0-\x1f\x7f]")


class Reply(Struct, frozen=True):
    """Base of the replies. ``code`` is the reply byte, ``needs`` the negotiated actions it takes."""

    code: ClassVar[int]
    needs: ClassVar[Action] = Action(0)

    def payload(self, agreed: Agreement) -> bytes:
        """Return the payload under an agreement."""
        del agreed
        return b""

    def frames(self, agreed: Agreement) -> Iterator[bytes]:
        """Return the frames of this reply."""
        yield frame(self.code, self.payload(agreed))


class Continue(Reply, frozen=True):
    """SMFIR_CONTINUE: go on; at the end of a message: take it."""

    code = ord("c")


class Accept(Reply, frozen=True):
    """SMFIR_ACCEPT: take this message (or connection) without asking further."""

    code = ord("a")


class Discard(Reply, frozen=True):
    """SMFIR_DISCARD: tell the client yes and drop the message."""

    code = ord("d")


class Reject(Reply, frozen=True):
    """SMFIR_REJECT: refuse for good, with the MTA's own words."""

    code = ord("r")


class TempFail(Reply, frozen=True):
    """SMFIR_TEMPFAIL: refuse for now, with the MTA's own words."""

    code = ord("t")


class ConnectionFail(Reply, frozen=True):
    """SMFIR_CONN_FAIL: the MTA acts as if the filter's connection had failed."""

    code = ord("f")


class Shutdown(Reply, frozen=True):
    """SMFIR_SHUTDOWN: the MTA sends the client 421 and hangs up."""

    code = ord("4")


class Skip(Reply, frozen=True):
    """SMFIR_SKIP: send no more pieces of the body."""

    code = ord("s")


class Progress(Reply, frozen=True):
    """SMFIR_PROGRESS: still at work; the MTA starts its time-out anew."""

    code = ord("p")


class ReplyCode(Reply, frozen=True):
    """SMFIR_REPLYCODE: refuse with this SMTP reply. ``status`` is "451", ``enhanced`` "4.7.1"; lines are ASCII."""

    code = ord("y")
    status: str
    enhanced: str
    lines: tuple[str, ...]

    def payload(self, agreed: Agreement) -> bytes:
        """Return the reply, line by line; a percent sign is doubled, as smfi_setreply(3) asks."""
        del agreed
        if not _CODE.fullmatch(self.status) or not _ENHANCED.fullmatch(self.enhanced):
            raise ReplyError(f"{self.status} {self.enhanced} is no SMTP refusal")
        if self.status[0] != self.enhanced[0]:
            raise ReplyError(f"{self.status} and {self.enhanced} are of different classes")
        if not 1 <= len(self.lines) <= _MAX_LINES:
            raise ReplyError(f"an SMTP reply of {len(self.lines)} lines; 1 to {_MAX_LINES} are allowed")
        for line in self.lines:
            if not (line.isascii() and line.isprintable() and len(line) <= _MAX_TEXT):
                raise ReplyError("a line of an SMTP reply is too long or not printable ASCII")
        last = len(self.lines) - 1
        rows = (
            f"{self.status}{' ' if number == last else '-'}{self.enhanced} {line.replace('%', '%%')}"
            for number, line in enumerate(self.lines)
        )
        return "\r\n".join(rows).encode("ascii") + b"\0"


def _header(name: bytes, value: bytes, agreed: Agreement) -> bytes:
    """Return the strings of a header; with SMFIP_HDR_LEADSPC the blank behind the colon is ours to send."""
    if len(name) > _MAX_HEADER_NAME or not _NAME.fullmatch(name):
        raise ReplyError(f"{name!r} is no header name")
    if len(value) > _MAX_VALUE or _BAD_FOLD.search(value):
        raise ReplyError(f"the value of header {name!r} is too long or would end the header early")
    if value and Step.LEADING_SPACE in agreed.steps and value[:1] not in b" \t":
        value = b" " + value
    return name + b"\0" + value + b"\0"


def _index(number: int, lowest: int) -> bytes:
    if not lowest <= number <= _MAX_INDEX:
        raise ReplyError(f"header index {number} is out of range; the first is {lowest}")
    return _INDEX.pack(number)


def _address(address: bytes) -> bytes:
    if not 1 <= len(address) <= _MAX_ADDRESS or _CONTROL.search(address):
        raise ReplyError("an address is empty, too long or holds a control character")
    return address + b"\0"


def check(replies: Iterable[Reply]) -> None:
    """Raise ReplyError if one of the replies could not be sent on any connection; the body's content is not looked at."""
    for reply in replies:
        if not isinstance(reply, ReplaceBody):
            reply.payload(_ANY)


class AddHeader(Reply, frozen=True):
    """SMFIR_ADDHEADER: add a header behind the others."""

    code = ord("h")
    needs = Action.ADD_HEADERS
    name: bytes
    value: bytes

    def payload(self, agreed: Agreement) -> bytes:
        """Return name and value."""
        return _header(self.name, self.value, agreed)


class InsertHeader(Reply, frozen=True):
    """SMFIR_INSHEADER: put a header before the ``index``-th; 0 is the top."""

    code = ord("i")
    needs = Action.ADD_HEADERS
    index: int
    name: bytes
    value: bytes

    def payload(self, agreed: Agreement) -> bytes:
        """Return index, name and value."""
        return _index(self.index, 0) + _header(self.name, self.value, agreed)


class ChangeHeader(Reply, frozen=True):
    """SMFIR_CHGHEADER: change the ``index``-th header of that name (first is 1); no value deletes it."""

    code = ord("m")
    needs = Action.CHANGE_HEADERS
    index: int
    name: bytes
    value: bytes = b""

    def payload(self, agreed: Agreement) -> bytes:
        """Return index, name and value."""
        return _index(self.index, 1) + _header(self.name, self.value, agreed)


class ChangeSender(Reply, frozen=True):
    """SMFIR_CHGFROM: another envelope sender, perhaps with ESMTP parameters."""

    code = ord("e")
    needs = Action.CHANGE_SENDER
    address: bytes
    parameters: bytes = b""

    def payload(self, agreed: Agreement) -> bytes:
        """Return the address and, if given, its parameters."""
        del agreed
        return _address(self.address) + (_address(self.parameters) if self.parameters else b"")


class AddRecipient(Reply, frozen=True):
    """SMFIR_ADDRCPT: one recipient more."""

    code = ord("+")
    needs = Action.ADD_RECIPIENTS
    address: bytes

    def payload(self, agreed: Agreement) -> bytes:
        """Return the address."""
        del agreed
        return _address(self.address)


class AddRecipientWithParameters(Reply, frozen=True):
    """SMFIR_ADDRCPT_PAR: one recipient more, with ESMTP parameters."""

    code = ord("2")
    needs = Action.ADD_RECIPIENTS_WITH_PARAMETERS
    address: bytes
    parameters: bytes

    def payload(self, agreed: Agreement) -> bytes:
        """Return the address and its parameters."""
        del agreed
        return _address(self.address) + _address(self.parameters)


class DeleteRecipient(Reply, frozen=True):
    """SMFIR_DELRCPT: one recipient less; the address as the MTA gave it."""

    code = ord("-")
    needs = Action.DELETE_RECIPIENTS
    address: bytes

    def payload(self, agreed: Agreement) -> bytes:
        """Return the address."""
        del agreed
        return _address(self.address)


class ReplaceBody(Reply, frozen=True):
    """SMFIR_REPLBODY: another body, sent in pieces that the protocol can carry."""

    code = ord("b")
    needs = Action.CHANGE_BODY
    content: bytes

    def frames(self, agreed: Agreement) -> Iterator[bytes]:
        """Return a frame for each piece; an empty body is one empty frame."""
        del agreed
        for start in range(0, max(len(self.content), 1), CHUNK):
            yield frame(self.code, self.content[start : start + CHUNK])


class Quarantine(Reply, frozen=True):
    """SMFIR_QUARANTINE: the MTA holds the message, for this reason."""

    code = ord("q")
    needs = Action.QUARANTINE
    reason: bytes

    def payload(self, agreed: Agreement) -> bytes:
        """Return the reason."""
        del agreed
        return _address(self.reason)


VERDICTS: Final[frozenset[type[Reply]]] = frozenset({Continue, Accept, Discard, Reject, TempFail, ReplyCode})
EDITS: Final[frozenset[type[Reply]]] = frozenset(
    {
        AddHeader, InsertHeader, ChangeHeader, ChangeSender, AddRecipient, AddRecipientWithParameters,
        DeleteRecipient, ReplaceBody, Quarantine,
    }
)  # fmt: skip
REPLIES: Final[frozenset[type[Reply]]] = VERDICTS | EDITS | {ConnectionFail, Shutdown, Skip, Progress}
