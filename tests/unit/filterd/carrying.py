"""A carrier at work: real policy, real rewriting, a real store; only the engines are not there."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filterd import policy
from filterd.anatomy import Anatomy, Leaf, RewriteOrder, Rewritten
from filterd.carry.carrier import Carried, Carrier
from filterd.carry.heading import Heading
from filterd.carry.plan import needed
from filterd.config import (
    Config,
    Group,
    InjectSettings,
    MilterSettings,
    NotifySettings,
    PolicySettings,
    StoreSettings,
)
from filterd.config.policy import Chains, GroupChains
from filterd.disposition import Attempt, Disposition
from filterd.errors import ScannerDownError
from filterd.findings import Finding, Verdict
from filterd.ledger.blobs import Blobs
from filterd.ledger.records import Kept, MessageRecord
from filterd.log import Log
from filterd.message import Envelope, Message, Spool
from filterd.milter import negotiation
from filterd.pipeline import Report, StageResult
from filterd.rewrite import rewrite
from tests.unit.filterd.recorder import Recorder

VIRUS = Finding(
    stage="virus",
    verdict=Verdict.INFECTED,
    rule="virus.signature",
    part="1.2",
    path="1.2",
    name="x.exe",
    detail="Evil",
)
BANNED = Finding(
    stage="attachment",
    verdict=Verdict.BANNED,
    rule="attachment.extension",
    part="1.2",
    path="1.2",
    name="x.exe",
)
SPAM = Finding(stage="content", verdict=Verdict.SPAM, rule="content.pills")
A, B, C = b"<a@rcpt.example>", b"<b@rcpt.example>", b"<c@rcpt.example>"
HEAD = (
    (b"Subject", b" hello"),
    (b"X-Bastide-Tag", b" forged"),
    (b"MIME-Version", b" 1.0"),
    (b"Content-Type", b' multipart/mixed;\n boundary="b"'),
)
BODY = (
    b"--b\r\nContent-Type: text/plain\r\n\r\nGr\xfc\xdfe\r\n.\r\n--b\r\nContent-Type: application/x-msdownload; name=x.exe\r\n"
    b"\r\nEVIL program\r\n--b--\r\n"
)
RAW = b"".join(name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in HEAD) + b"\r\n" + BODY


class Bench:
    """The workshop: what an engine would find is the word EVIL; ``stubborn`` content stays infected."""

    def __init__(self, config: Config, *, stubborn: bool = False, down: bool = False) -> None:
        self.config = config
        self.stubborn = stubborn
        self.down = down
        self.orders: list[RewriteOrder] = []

    async def rewrite(self, message: Message, order: RewriteOrder) -> tuple[Rewritten, Spool]:
        self.orders.append(order)
        if self.down:
            raise ScannerDownError("no parse worker")
        rewritten, whole = rewrite(b"".join(message.spool.pieces()), order)
        spool = Spool("/tmp", 1_000_000)  # noqa: S108 - nothing is written there
        spool.write(whole)
        return rewritten, spool

    async def look_again(self, message: Message) -> Report:
        content = b"".join(message.spool.pieces())
        return report(*([VIRUS] if b"EVIL" in content or self.stubborn else []))

    def decide(
        self, found: Report, envelope: Envelope, *, failed: frozenset[Attempt] = frozenset()
    ) -> tuple[Disposition, ...]:
        now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        return policy.decide(found, envelope, self.config, now=now, failed=failed, required=frozenset())


def report(*findings: Finding) -> Report:
    leaves = (
        Leaf(path="1.1", claimed="text/plain"),
        Leaf(path="1.2", names=("x.exe",), claimed="application/x-msdownload"),
    )
    return Report(
        results=(StageResult(stage="all", milliseconds=1.0, findings=findings),),
        anatomy=Anatomy(findings=findings, leaves=leaves, headers=(("subject", "hello"),)),
    )


class Post:
    """One message through the carrier, and what came of it."""

    def __init__(
        self, home: Path, chains: dict[str, tuple[str, ...]], groups: Sequence[Group] = (), **more: Any
    ) -> None:
        self.config = Config(
            policy=PolicySettings(chains=Chains(**chains), **more.pop("policy", {})),
            group=tuple(groups),
            milter=more.pop("milter", MilterSettings()),
            store=StoreSettings(directory=str(home / "store")),
            notify=NotifySettings(admin="soc@gw.example", templates=str(home), stamps={"legal": "Checked."}),
            inject=InjectSettings(socket=str(home / "inject.sock"), timeout_s=3),
        )
        self.home = home
        self.bench = Bench(self.config, **more)
        self.ledger = Recorder()
        self.max_bytes = 1_000_000
        (home / "log").touch()

    def __call__(
        self,
        *findings: Finding,
        recipients: Sequence[bytes] = (A,),
        head: Any = HEAD,
        parameters: dict[bytes, tuple[bytes, ...]] | None = None,
    ) -> Carried:
        envelope = Envelope(
            sender=b"<s@sender.example>", sender_parameters=(b"RET=HDRS",), recipients=list(recipients),
            parameters=parameters or {}, queue_id=b"4XyZ", host=b"mx.gw.example",
            client_name=b"client.example", client_address=b"198.51.100.7", helo=b"he(lo",
        )  # fmt: skip
        message = Message(envelope, Spool(str(self.home), 1_000_000), max_bytes=self.max_bytes)
        heading = Heading()
        for name, value in head:
            message.add_header(name, value)
            heading.note(name, value)
        message.end_headers()
        message.add_body(BODY)
        message.complete()

        async def run() -> Carried:
            with (self.home / "log").open("ab") as log:
                carrier = Carrier(self.config, Log(log.fileno()), self.bench, self.ledger)
                found = report(*findings)
                return await carrier.carry_out(message, found, self.bench.decide(found, envelope), heading)

        try:
            carried = asyncio.run(run())
        finally:
            message.close()
        # Whatever is answered has been negotiated.
        for reply in carried.replies:
            assert not reply.needs & ~needed(self.config)
            assert b"".join(reply.frames(AGREED))
        return carried

    def store(self, kind: str) -> list[tuple[MessageRecord, Kept]]:
        """What is kept of that kind, and not taken back."""
        there = [one for one in self.ledger.records if one.id not in self.ledger.taken_back]
        return [(one, kept) for one in there for kept in one.kept if kept.kind == kind]

    def content(self, record: MessageRecord) -> bytes:
        return b"".join(Blobs(self.home / "store").pieces(record.digest))

    def log(self) -> list[Any]:
        return [json.loads(line) for line in (self.home / "log").read_text().splitlines()]


AGREED = negotiation.Agreement(
    version=6, actions=negotiation.Action(0x1FF), steps=negotiation.Step.LEADING_SPACE, macros={}
)


def kinds(carried: Carried) -> list[str]:
    return [type(one).__name__ for one in carried.replies]


TRUSTING = Group(
    name="lab",
    recipients=("b@rcpt.example",),
    chains=GroupChains(infected=("ignore",), spam=("tag", "ignore")),
)
CAREFUL = Group(
    name="careful", recipients=("c@rcpt.example",), chains=GroupChains(infected=("move",), spam=("move",))
)
