"""The figures of one day, as data; where they come from stands in gather.py, how they look in pages.py."""

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    """One thing that was counted. ``warned``: how often of these it counted for nobody (mode warn)."""

    key: str
    messages: int
    bytes: int = 0
    warned: int = 0


class Candidate(Struct, frozen=True, kw_only=True):
    """A message that a rule in warn mode found: it would have been refused, and somebody may say that it was honest."""

    rule: str
    received: str
    queue_id: str
    sender: str
    client: str
    detail: str


class Part(Struct, frozen=True, kw_only=True):
    """One part of the gateway at the time of the report. ``problem`` "": it works."""

    name: str
    problem: str = ""


class Door(Struct, frozen=True, kw_only=True):
    """What the MTA did by itself, by its log: refused by rule and by list of addresses, only warned of, held, discarded.

    ``lines`` is how many lines of the log there were; ``note`` says what is missing.
    """

    lines: int = 0
    refused: int = 0
    rules: tuple[Row, ...] = ()
    lists: tuple[Row, ...] = ()
    warned: tuple[Row, ...] = ()
    held: tuple[Row, ...] = ()
    discarded: tuple[Row, ...] = ()
    note: str = ""


class Kept(Struct, frozen=True, kw_only=True):
    """The store: entries of a kind, how many of them are of this day."""

    kind: str
    entries: int
    fresh: int


class Figures(Struct, frozen=True, kw_only=True):
    """One day of one gateway. Times are ISO 8601; ``mta`` is the text of pflogsumm(1), "" without it."""

    gateway: str
    day: str
    since: str
    until: str
    made: str
    messages: int
    bytes: int
    directions: tuple[Row, ...]
    verdicts: tuple[Row, ...]
    outcomes: tuple[Row, ...]
    rules: tuple[Row, ...]
    dnsbl: tuple[Row, ...]
    senders: tuple[Row, ...]
    recipients: tuple[Row, ...]
    clients: tuple[Row, ...]
    sizes: tuple[Row, ...]
    hours: tuple[Row, ...]
    candidates: tuple[Candidate, ...]
    kept: tuple[Kept, ...]
    store_bytes: int
    ledger_bytes: int
    parts: tuple[Part, ...]
    signatures_hours: float | None
    door: Door
    mta: str
