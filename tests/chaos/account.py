"""What was seen on the milter's side, held against what is on the disks. Every difference is one line."""

from collections import Counter, defaultdict
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Engine, select

from filterd.ledger import schema as s
from filterd.ledger.blobs import BlobError, Blobs
from tests.chaos.gateway import Gateway
from tests.chaos.letters import A, LetterSent
from tests.chaos.traffic import ACCEPTED, CLOSED, LATER, NOBODY, Traffic, Try

_KNOWN: Final = {ACCEPTED, LATER, CLOSED, NOBODY}


class Entry(Struct, kw_only=True):
    """One kept entry, read back."""

    kind: str
    recipients: set[str]
    digest: str


class Row(Struct, kw_only=True):
    """One record with what belongs to it."""

    id: str
    queue_id: str
    message_id: str
    outcomes: dict[str, str]
    kept: list[Entry]

    @property
    def settled(self) -> bool:
        return any(one != "deferred" for one in self.outcomes.values())


class Account(Struct, kw_only=True):
    """The sum. ``wrong``: what must not be. ``unheard``: records of messages whose sender did not hear the answer."""

    tries: Counter[str]
    wrong: list[str]
    unheard: int = 0
    records: int = 0
    contents: int = 0

    def __str__(self) -> str:
        tries = ", ".join(f"{count} {how}" for how, count in self.tries.most_common())
        return f"{tries}; {self.records} records, {self.contents} contents read, {self.unheard} settled but unheard"


def rows(engine: Engine) -> list[Row]:
    """Return all records."""
    outcomes: dict[str, dict[str, str]] = defaultdict(dict)
    kept: dict[str, list[Entry]] = defaultdict(list)
    for_whom: dict[str, set[str]] = defaultdict(set)
    with engine.connect() as connection:

        def fetch(*columns: Any) -> list[Any]:
            return list(connection.execute(select(*columns)))

        for message, address, outcome in fetch(
            s.RECIPIENTS.c.message, s.RECIPIENTS.c.address, s.RECIPIENTS.c.outcome
        ):
            outcomes[message][address] = outcome
        for entry, address in fetch(s.KEPT_FOR.c.kept, s.KEPT_FOR.c.address):
            for_whom[entry].add(address)
        for entry, message, kind, digest in fetch(
            s.KEPT.c.id, s.KEPT.c.message, s.KEPT.c.kind, s.KEPT.c.digest
        ):
            kept[message].append(Entry(kind=kind, recipients=for_whom[entry], digest=digest))
        return [
            Row(id=id_, queue_id=queue_id, message_id=said, outcomes=outcomes[id_], kept=kept[id_])
            for id_, queue_id, said in fetch(s.MESSAGES.c.id, s.MESSAGES.c.queue_id, s.MESSAGES.c.message_id)
        ]


def balance(gateway: Gateway, *traffics: Traffic) -> Account:
    """Return what is wrong between the clients' view and the disks; the daemon may be stopped."""
    engine = gateway.ledger()
    try:
        found = rows(engine)
    finally:
        engine.dispose()
    return account_of(found, gateway.blobs(), gateway, *traffics)


def account_of(found: list[Row], blobs: Blobs, gateway: Gateway, *traffics: Traffic) -> Account:
    """Return what is wrong between the clients' view and these rows and contents."""
    tries = [one for traffic in traffics for one in traffic.tries]
    account = Account(tries=Counter(one.how for one in tries), wrong=[], records=len(found))
    by_id: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        by_id[row.queue_id].append(row)
    known = {one.queue_id for one in tries}
    account.wrong += [f"a record of {queue_id}, which nobody sent" for queue_id in by_id.keys() - known]
    for one in tries:
        _one(account, one, by_id[one.queue_id], blobs)
    _letters(account, gateway, tries)
    account.wrong += [
        f"letter {one.number} ({one.kind}) was never accepted"
        for traffic in traffics
        for one in traffic.unsent
    ]
    return account


def _one(account: Account, one: Try, found: list[Row], blobs: Blobs) -> None:
    name = f"{one.queue_id} ({one.letter.kind}, {one.how})"
    settled = [row for row in found if row.settled]
    for row in found:
        if not row.settled and row.kept:
            account.wrong.append(f"{name}: deferred, and kept")
    if one.how not in _KNOWN:
        account.wrong.append(f"{name}: answered {one.said!r}")
    elif one.how == ACCEPTED:
        if len(settled) != 1:
            account.wrong.append(f"{name}: {len(settled)} records of {len(found)} say what became of it")
    elif one.how == LATER and settled:
        account.wrong.append(f"{name}: answered {one.said!r}, and recorded as {settled[0].outcomes}")
    elif one.how == NOBODY and found:
        account.wrong.append(f"{name}: recorded, and never sent")
    elif settled:
        account.unheard += 1
    for row in settled:
        account.wrong += [f"{name}: {what}" for what in _differs(account, one.letter, row, blobs)]


def _differs(account: Account, letter: LetterSent, row: Row, blobs: Blobs) -> list[str]:
    """Return how one settled record differs from what must become of its letter."""
    fate, wrong = letter.fate, []
    if row.outcomes != fate.outcomes:
        wrong.append(f"the outcomes are {row.outcomes}")
    if [(one.kind, one.recipients) for one in row.kept] != (
        [(fate.kind, set(fate.kept))] if fate.kept else []
    ):
        wrong.append(f"kept are {row.kept}")
    for one in row.kept:
        try:
            content = b"".join(blobs.pieces(one.digest))
        except (BlobError, OSError) as error:
            wrong.append(f"its content cannot be read: {error}")
            continue
        account.contents += 1
        if content != letter.content:
            wrong.append("its content is another one")
    return wrong


def _letters(account: Account, gateway: Gateway, tries: list[Try]) -> None:
    """Each accepted split message has its variant at the MTA, whole, for the right recipient.

    There is one more at most for each answer that was lost, and none for a 451 (docs/failures.md, "Copies").
    """
    injected: Counter[bytes] = Counter()
    for _, recipients, content in list(gateway.mta.letters):
        token = content.partition(b"Subject: ")[2].partition(b"\r\n")[0]
        injected[token] += 1
        if recipients != [f"<{A}>".encode()]:
            account.wrong.append(f"{token!r} was injected for {recipients}")
    unheard = Counter(one.letter.token for one in tries if one.letter.kind == "split" and one.how == CLOSED)
    done = {
        one.letter.token: one.letter for one in tries if one.letter.kind == "split" and one.how == ACCEPTED
    }
    account.wrong += [
        f"{token!r} was accepted, its variant not injected" for token in done if not injected[token]
    ]
    account.wrong += [
        f"{token!r} was injected {count} times, {unheard[token]} answers were lost"
        for token, count in injected.items()
        if count > (token in done) + unheard[token]
    ]
    whole = {content.rpartition(b"\r\n\r\n")[2] for _, _, content in list(gateway.mta.letters)}
    account.wrong += [
        f"{token!r} was injected with another body" for token, one in done.items() if one.body not in whole
    ]
