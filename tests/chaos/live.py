"""Trials on a lab's gateway, with real Postfix and engines: what the senders saw against what became of each letter."""

import json
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from filterd.config.ledger import LedgerSettings
from filterd.ledger import database
from filterd.ledger.blobs import BlobError, Blobs
from lab.access import ssh_argv
from tests.acceptance.desk import said
from tests.acceptance.gateway import ROOT, GatewayHost, Record
from tests.acceptance.letters import BOB, GROUPS, own
from tests.acceptance.outside import Outside
from tests.acceptance.policy import policy
from tests.acceptance.test_reconcile import COPY, LOG, backed_up, logged
from tests.chaos import account
from tests.chaos.senders import CHAINS, FATES, Fate, Senders, Try, kind, mark, message
from tests.chaos.traffic import ACCEPTED, CLOSED, LATER

_KNOWN: Final = {ACCEPTED, LATER, CLOSED}
# Postfix starts nothing of a kind for a minute whose process ended before its first work (service_throttle_time): letters pass
# within two such minutes.
_STARTED_AGAIN_S: Final = 150.0


class Result(Struct, kw_only=True):
    """What came of it. ``doubled``: letters of which there is more than one copy. ``unheard``: by how many of their answers were lost.

    A copy more than answers were lost is wrong (docs/failures.md, "Copies").
    """

    tries: Counter[str]
    letters: int
    done: Counter[str]
    seconds: float
    wrong: list[str]
    doubled: Counter[str]
    unheard: Counter[int]

    def __str__(self) -> str:
        def shown(of: Counter[str]) -> str:
            return ", ".join(f"{count} {what}" for what, count in sorted(of.items())) or "none"

        lost = Counter({f"letters with {lost}": count for lost, count in self.unheard.items()})
        return (
            f"{self.letters} letters: {shown(self.tries)} | lost answers: {shown(lost)} | doubled: {shown(self.doubled)}"
            f" | {shown(self.done)} | {self.seconds:.0f} s"
        )


def killing(wan: Outside, gateway: GatewayHost, seconds: float, seed: int) -> Result:
    """Kill any of the service's processes at random for so long, under traffic."""
    with trial(wan, gateway, policy(gateway, CHAINS, *GROUPS)) as (senders, result):
        command = [*ssh_argv(gateway.host), f"python3 - {seconds} {seed}"]
        with (ROOT / "tests/chaos/family.py").open("rb") as program:
            done = subprocess.run(
                command, stdin=program, capture_output=True, check=True, timeout=seconds + 120
            )
        result.done.update(json.loads(done.stdout))
        senders.await_more(10)
    return result


def killing_mta(wan: Outside, gateway: GatewayHost, times: int) -> Result:
    """Kill all processes of the MTA so often, under traffic: who speaks, who delivers, who starts them."""
    with trial(wan, gateway, policy(gateway, CHAINS, *GROUPS), once=False) as (senders, result):
        for _ in range(times):
            senders.await_more(2, _STARTED_AGAIN_S)
            gateway.run(gateway.mta.killed)
            result.done["mta"] += 1
        senders.await_more(10, _STARTED_AGAIN_S)
    return result


@contextmanager
def trial(
    wan: Outside, gateway: GatewayHost, rules: AbstractContextManager[None], *, once: bool = True
) -> Iterator[tuple[Senders, Result]]:
    """Send for the length of a block; the result is whole when the block has been left.

    Under ``rules`` the gateway works by the senders' CHAINS and by letters.GROUPS. Not ``once``: the MTA is killed, and what
    it has handed on and not yet crossed off it hands on again.
    """
    began = time.monotonic()
    result = Result(
        tries=Counter(), letters=0, done=Counter(), seconds=0, wrong=[], doubled=Counter(), unheard=Counter()
    )
    with rules:
        started = datetime.fromisoformat(gateway.run("date -Iseconds").strip())
        with Senders(wan) as senders:
            yield senders, result
        gateway.sent_on()
        _balance(gateway, senders, result, once=once)
        logged(gateway, started)
        whole = said(gateway, "reconcile", "--log", LOG)
        result.wrong += [f"unexplained: {one}" for one in whole.json.get("unexplained", ())]
        if whole.code:
            result.wrong.append(f"reconcile: {whole.code} {whole.errors}")
        result.done["differences that reconcile explains"] = sum(whole.json.get("explained", {}).values())
    result.seconds = time.monotonic() - began


class _Sent(Struct, kw_only=True):
    """One letter, and what its sender saw."""

    number: int
    content: bytes
    tries: list[Try]

    @property
    def fate(self) -> Fate:
        return FATES[kind(self.number)]

    @property
    def unheard(self) -> int:
        """How many of its answers were lost."""
        return sum(one.unheard for one in self.tries)

    def __str__(self) -> str:
        return f"letter {self.number} ({kind(self.number)})"


def _balance(gateway: GatewayHost, senders: Senders, result: Result, *, once: bool) -> None:
    """Hold what the senders saw against the mail server's records, the ledger and the store."""
    tries = defaultdict(list)
    for one in senders.tries:
        tries[one.number].append(one)
    result.tries.update(one.how for one in senders.tries)
    result.letters = len(tries)
    records = _by_letter(gateway, senders.run)
    with _ledger(gateway) as (rows, blobs):
        by_id = defaultdict(list)
        for row in rows:
            by_id[row.message_id.strip("<>").partition("@")[0]].append(row)
        for number, its in tries.items():
            name = mark(senders.run, number)
            sent = _Sent(number=number, content=message(senders.run, number), tries=its)
            result.unheard[sent.unheard] += 1
            result.wrong += [f"{sent}: answered {one.said!r}" for one in its if one.how not in _KNOWN]
            if all(one.how != ACCEPTED for one in its):
                result.wrong.append(f"{sent} was never accepted")
            _arrived(result, sent, records[name], once=once)
            _recorded(result, sent, by_id[name], blobs)


def _arrived(result: Result, sent: _Sent, there: list[Record], *, once: bool) -> None:
    """Each recipient has it, nobody else has; what went with the MTA's own copy came once."""
    arrived = Counter(who for one in there for who in one.recipients)
    for who in sent.fate.delivered:
        count = arrived.pop(who, 0)
        if not once:
            _at_least(result, sent, who, count)
        elif who in sent.fate.injected:
            _count(result, sent, "injected", count)
        elif count != 1:
            result.wrong.append(f"{sent} was delivered to {who} {count} times")
    result.wrong += [f"{sent} was delivered to {who}" for who in arrived]
    for one in there:
        # What was infected is taken out of Bob's.
        if own(one) != sent.content and not (sent.fate.infected and one.recipients == (BOB,)):
            result.wrong.append(f"{sent} arrived for {one.recipients} with another content")


def _recorded(result: Result, sent: _Sent, rows: list[account.Row], blobs: Blobs) -> None:
    """What was accepted has one record that says what became of it; what is kept can be read."""
    settled = [row for row in rows if row.settled]
    for queue_id in (one.queue_id for one in sent.tries if one.how == ACCEPTED):
        if (count := sum(row.queue_id == queue_id for row in settled)) != 1:
            result.wrong.append(f"{sent}: {count} records say what became of {queue_id}")
    kept = [one for row in settled for one in row.kept]
    if sent.fate.kept:
        _count(result, sent, "kept", len(kept))
    elif kept:
        result.wrong.append(f"{sent}: kept are {kept}")
    for one in kept:
        if one.recipients != set(sent.fate.kept):
            result.wrong.append(f"{sent}: kept for {one.recipients}")
        try:
            if b"".join(blobs.pieces(one.digest)) != sent.content:
                result.wrong.append(f"{sent}: another content is kept")
        except (BlobError, OSError) as error:
            result.wrong.append(f"{sent}: what is kept cannot be read: {error}")


def _at_least(result: Result, sent: _Sent, who: str, count: int) -> None:
    if not count:
        result.wrong.append(f"{sent} never came to {who}")
    elif count > 1:
        result.doubled[f"delivered {count} times"] += 1


def _count(result: Result, sent: _Sent, what: str, count: int) -> None:
    """There is one copy at least, and for each lost answer one more at most."""
    if not 1 <= count <= 1 + sent.unheard:
        result.wrong.append(f"{sent}, {what}: there {count} times, and {sent.unheard} answers were lost")
    elif count > 1:
        result.doubled[f"{what} {count} times"] += 1


def _by_letter(gateway: GatewayHost, run: str) -> dict[str, list[Record]]:
    """Return what the mail server recorded of a run, by what its Message-ID begins with."""
    found = defaultdict(list)
    for one in gateway.received(f"<{run}-"):
        name = one.content.partition(f"<{run}-".encode())[2].partition(b"@")[0].decode()
        found[f"{run}-{name}"].append(one)
    return found


@contextmanager
def _ledger(gateway: GatewayHost) -> Iterator[tuple[list[account.Row], Blobs]]:
    """Return the ledger's rows and its store, from a copy."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as home, backed_up(gateway):
        there = [*ssh_argv(gateway.host), f"tar -C /var/lib/filterd -cf - store {Path(COPY).name}"]
        with subprocess.Popen(there, stdout=subprocess.PIPE) as sender:
            subprocess.run(["tar", "-C", home, "-xf", "-"], stdin=sender.stdout, check=True)
        assert sender.returncode == 0
        engine = database.opened(LedgerSettings(url=f"sqlite:///{home}/{Path(COPY).name}/ledger.db"))
        try:
            yield account.rows(engine), Blobs(Path(home) / "store")
        finally:
            engine.dispose()
