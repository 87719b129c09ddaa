"""What filterd's processes tell the ledger, and what it answers. Data only.

A frame is its length (4 bytes, big-endian) and one of these structures in MessagePack.
"""

import secrets
import struct
import time
from typing import Final, Literal

import msgspec
from msgspec import Struct

HEAD: Final = struct.Struct("!I")
MAX_FRAME: Final = 4 * 1024 * 1024  # bytes; a record of 1000 recipients and 100 findings is far below

Kind = Literal["quarantine", "archive", "copy", "discarded"]
KINDS: Final[tuple[Kind, ...]] = ("quarantine", "archive", "copy", "discarded")
# passed: the MTA was told to go on with it. injected: handed over anew. deferred: answered 4xx, the sender comes again.
Outcome = Literal["passed", "injected", "quarantined", "discarded", "refused", "deferred"]

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(one + other for one in _ALPHABET for other in _ALPHABET)
_SHIFTS: Final = tuple(range(110, -1, -10))


def new_id(now_ms: int | None = None) -> str:
    """Return an id of 25 letters and digits that sorts by time: 48 bits of milliseconds, 77 of chance."""
    number = ((time.time_ns() // 1_000_000 if now_ms is None else now_ms) << 77) | secrets.randbits(77)
    return _ALPHABET[number >> 120] + "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


class FoundIn(Struct, frozen=True, kw_only=True, array_like=True):
    """One finding as the ledger has it."""

    stage: str
    rule: str
    verdict: str
    path: str = ""
    name: str = ""
    detail: str = ""
    score: float | None = None
    counted: bool = True  # False: of a rule in warn mode


class ToRecipient(Struct, frozen=True, kw_only=True, array_like=True):
    """What became of the message for one recipient; addresses are as SMTP had them, without angle brackets.

    ``wanted``: what this one's chains said alone. ``changed``: it was not delivered as it came. ``parameters``: of
    RCPT, those that still hold when it is handed over later (RFC 3461), a blank between them.
    """

    address: str
    fate: str
    wanted: str
    verdict: str
    rule: str
    outcome: Outcome
    changed: bool = False
    parameters: str = ""


class Kept(Struct, frozen=True, kw_only=True, array_like=True):
    """One entry of the store: why the content is kept, and for whom. Times in ms since 1970; expires 0: never."""

    id: str
    kind: Kind
    reason: str
    verdict: str
    rule: str
    recipients: tuple[str, ...]
    expires_ms: int = 0


class MessageRecord(Struct, frozen=True, kw_only=True, array_like=True):
    """One message. ``digest``: SHA-256 of the content in the store, in hex; "" where it is not kept.

    ``header_bytes``: where the body begins. ``reply``: what the MTA was told. ``sender_parameters``: of
    MAIL, those that still hold when it is handed over later (RFC 3461, 6152, 6531), a blank between them.
    """

    id: str
    gateway: str
    received_ms: int
    queue_id: str
    message_id: str
    sender: str
    client_address: str
    client_name: str
    helo: str
    user: str
    direction: str
    size: int
    header_bytes: int
    verdict: str
    rule: str
    score: float | None
    reply: str
    ms: float
    digest: str = ""
    recipients: tuple[ToRecipient, ...] = ()
    findings: tuple[FoundIn, ...] = ()
    kept: tuple[Kept, ...] = ()
    stage_ms: dict[str, float] = {}
    sender_parameters: str = ""


class Record(Struct, frozen=True, kw_only=True, tag="record"):
    """Write a record; answered when it is on the disk."""

    number: int
    message: MessageRecord


class TakeBack(Struct, frozen=True, kw_only=True, tag="take-back"):
    """The message was answered 451 after all: nothing is kept, every recipient is "deferred"."""

    number: int
    message_id: str
    reply: str


class Injected(Struct, frozen=True, kw_only=True, tag="injected"):
    """Queue ids of what was handed to the MTA anew for a message."""

    number: int
    message_id: str
    queue_ids: tuple[str, ...]


class Again(Struct, frozen=True, kw_only=True, tag="again"):
    """Count one more try of a message that could not be inspected; answered with ``count``."""

    number: int
    fingerprint: bytes


class Noted(Struct, frozen=True, kw_only=True, tag="noted"):
    """A figure of a process, for metrics and alerts: ``component`` works (``problem`` "") or not. Not answered."""

    component: str
    problem: str = ""
    gauges: dict[str, float] = {}


class Ping(Struct, frozen=True, kw_only=True, tag="ping"):
    """Is the database writable? Answered when a transaction was committed."""

    number: int


class AskLists(Struct, frozen=True, kw_only=True, tag="ask-lists"):
    """Ask for the lists of senders that the ledger has; ``found`` is a MessagePack array of ListEntry."""

    number: int


Request = Record | TakeBack | Injected | Again | Noted | Ping | AskLists


class Answer(Struct, frozen=True, kw_only=True, array_like=True):
    """The answer to the request of that number. ``error`` "": done."""

    number: int
    error: str = ""
    count: int = 0
    found: bytes = b""


_ENCODER: Final = msgspec.msgpack.Encoder()


def framed(one: Request | Answer) -> bytes:
    """Return a structure as it is sent."""
    data = _ENCODER.encode(one)
    return HEAD.pack(len(data)) + data
