"""Carrying out: real policy, real rewriting, a real store and a small MTA; only the engines are not there."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

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
from filterd.log import Log
from filterd.message import Envelope, Message, Spool
from filterd.milter import negotiation, replies
from filterd.pipeline import Report, StageResult
from filterd.rewrite import rewrite
from tests.unit.filterd.mta import Mta

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


@pytest.fixture
def mta(tmp_path: Path) -> Iterator[Mta]:
    with Mta(tmp_path / "inject.sock") as server:
        yield server


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
        message = Message(envelope, Spool(str(self.home), 1_000_000), max_bytes=1_000_000)
        heading = Heading()
        for name, value in head:
            message.add_header(name, value)
            heading.note(name, value)
        message.end_headers()
        message.add_body(BODY)
        message.complete()

        async def run() -> Carried:
            with (self.home / "log").open("ab") as log:
                carrier = Carrier(self.config, Log(log.fileno()), self.bench)
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

    def store(self, kind: str) -> list[Any]:
        return [json.loads(path.read_bytes()) for path in sorted((self.home / "store" / kind).glob("*.json"))]

    def log(self) -> list[Any]:
        return [json.loads(line) for line in (self.home / "log").read_text().splitlines()]


AGREED = negotiation.Agreement(
    version=6, actions=negotiation.Action(0x1FF), steps=negotiation.Step.LEADING_SPACE, macros={}
)


def kinds(carried: Carried) -> list[str]:
    return [type(one).__name__ for one in carried.replies]


def test_clean_mail_gets_one_reply_and_leaves_no_trace(tmp_path: Path) -> None:
    post = Post(tmp_path, {})
    assert post().replies == (replies.Continue(),)
    assert post.log() == []
    assert not (tmp_path / "store").exists()
    assert post.bench.orders == []


def test_clean_removes_the_part_and_looks_again(tmp_path: Path) -> None:
    post = Post(tmp_path, {"infected": ("clean", "reject")})
    carried = post(VIRUS)
    assert kinds(carried) == ["ReplaceBody", "Continue"]
    body = carried.replies[0]
    assert isinstance(body, replies.ReplaceBody)
    assert body.content == b"--b\r\nContent-Type: text/plain\r\n\r\nGr\xfc\xdfe\r\n.\r\n--b--\r\n"


def test_chain_goes_on_when_the_variant_is_still_infected(tmp_path: Path) -> None:
    post = Post(tmp_path, {"infected": ("clean", "delete", "discard")}, stubborn=True)
    carried = post(VIRUS)
    assert kinds(carried) == ["Discard"]
    assert [edit.action for order in post.bench.orders for edit in order.edits] == ["remove", "warn"]
    (entry,) = post.store("discarded")
    assert entry["recipients"] == ["a@rcpt.example"]
    assert entry["findings"][0]["rule"] == "virus.signature"
    assert (tmp_path / "store" / "discarded" / f"{entry['id']}.eml").read_bytes() == RAW
    assert RAW[entry["header_bytes"] :] == BODY


def test_edit_that_cannot_be_made_passes_on_to_the_next_step(tmp_path: Path) -> None:
    post = Post(tmp_path, {"infected": ("clean", "reject")})
    carried = post(
        Finding(stage="virus", verdict=Verdict.INFECTED, rule="virus.signature", part="1.9", path="1.9")
    )
    assert carried.replies[-1] == replies.ReplyCode(
        "550", "5.7.1", ("Message refused: virus [virus.signature] id=4XyZ",)
    )


def test_parse_workers_that_are_down_mean_later(tmp_path: Path) -> None:
    post = Post(tmp_path, {"infected": ("archive", "clean", "discard")}, down=True)
    carried = post(VIRUS)
    assert carried.replies == (
        replies.ReplyCode("451", "4.3.0", ("Message not accepted for now: local problem id=4XyZ",)),
    )
    assert post.store("archive") == []
    assert [one["event"] for one in post.log()] == ["carry_failed"]


def test_warn_has_the_decoded_size_and_names_what_was_there(tmp_path: Path) -> None:
    post = Post(tmp_path, {"banned": ("delete notice", "reject")})
    body = post(BANNED).replies[0]
    assert isinstance(body, replies.ReplaceBody)
    assert b"x.exe" in body.content
    assert b"attachment.extension" in body.content
    assert b"EVIL" not in body.content


def test_rename_is_not_measured_by_the_virus_engine(tmp_path: Path) -> None:
    body = Post(tmp_path, {"infected": ("rename", "reject")})(VIRUS).replies[0]
    assert isinstance(body, replies.ReplaceBody)
    assert b'name="x.exe.txt"' in body.content
    assert b"\r\nEVIL program\r\n" in body.content


def test_tag_marks_the_header_and_takes_forged_marks_away(tmp_path: Path) -> None:
    carried = Post(tmp_path, {"spam": ("tag subject", "ignore")})(SPAM)
    assert carried.replies == (
        replies.ChangeHeader(1, b"x-bastide-tag"),
        replies.InsertHeader(0, b"X-Bastide-Tag", b" spam content.pills"),
        replies.ChangeHeader(1, b"Subject", b" [spam] hello"),
        replies.Continue(),
    )


def test_stamp_changes_the_body_alone(tmp_path: Path) -> None:
    carried = Post(tmp_path, {"spam": ("stamp legal", "ignore"), "infected": ("ignore",)})(SPAM, VIRUS)
    assert kinds(carried) == ["ReplaceBody", "Continue"]
    assert b"\r\n\r\nChecked." in b"".join(carried.replies[0].frames(AGREED))


TRUSTING = Group(
    name="lab",
    recipients=("b@rcpt.example",),
    chains=GroupChains(infected=("ignore",), spam=("tag", "ignore")),
)
CAREFUL = Group(
    name="careful", recipients=("c@rcpt.example",), chains=GroupChains(infected=("move",), spam=("move",))
)


def test_each_recipient_meets_his_own_fate(tmp_path: Path, mta: Mta) -> None:
    post = Post(tmp_path, {"infected": ("clean", "reject")}, [TRUSTING, CAREFUL])
    carried = post(VIRUS, recipients=(A, B, C))
    # The untouched one is carried, the cleaned one injected, the third is in quarantine.
    assert carried.replies == (replies.DeleteRecipient(A), replies.DeleteRecipient(C), replies.Continue())
    ((sender, recipients, content),) = mta.letters
    assert (sender, recipients) == (b"<s@sender.example>", [A])
    trace, rest = content.split(b"Subject:", 1)
    assert trace.startswith(
        b"Received: from he?lo (client.example [198.51.100.7])\r\n\tby mx.gw.example with ESMTP id 4XyZ;\r\n\t"
    )
    assert b"EVIL" not in content
    assert (b"Subject:" + rest).startswith(RAW.partition(b"\r\n\r\n")[0] + b"\r\n\r\n--b\r\n")
    (entry,) = post.store("quarantine")
    assert (entry["recipients"], entry["fate"], entry["sender"]) == (
        ["c@rcpt.example"],
        "move",
        "s@sender.example",
    )
    (event,) = post.log()
    assert (event["event"], event["stored"], len(event["injected"])) == ("carried", [entry["id"]], 1)


def test_marked_variant_is_injected_with_its_marks(tmp_path: Path, mta: Mta) -> None:
    other = Group(
        name="x", recipients=("a@rcpt.example", "c@rcpt.example"), chains=GroupChains(spam=("ignore",))
    )
    carried = Post(tmp_path, {"spam": ("tag", "ignore")}, [other])(SPAM, recipients=(A, B, C))
    assert carried.replies == (replies.DeleteRecipient(B), replies.Continue())
    ((_, recipients, content),) = mta.letters
    assert recipients == [B]
    head = content.split(b"\r\n", 3)[3]
    assert head == b"X-Bastide-Tag: spam content.pills\r\n" + RAW.replace(b"X-Bastide-Tag: forged\r\n", b"")


@pytest.mark.parametrize("stage", [b"", b"RCPT", b"DATA", b"."])
def test_variant_that_the_mta_refuses_leaves_nothing_behind(tmp_path: Path, mta: Mta, stage: bytes) -> None:
    post = Post(tmp_path, {"infected": ("archive", "clean", "reject")}, [TRUSTING, CAREFUL])
    mta.answers[stage] = b"550 5.1.1 no"
    carried = post(VIRUS, recipients=(A, B, C))
    assert kinds(carried) == ["ReplyCode"]
    assert post.store("quarantine") == post.store("archive") == []
    assert mta.letters == []


def test_full_store_means_later_and_nothing_is_injected(tmp_path: Path, mta: Mta) -> None:
    post = Post(tmp_path, {"infected": ("clean", "reject")}, [TRUSTING, CAREFUL])
    (tmp_path / "store").write_bytes(b"no directory")
    carried = post(VIRUS, recipients=(A, B, C))
    assert kinds(carried) == ["ReplyCode"]
    assert mta.letters == []


def test_move_for_all_drops_the_milter_message(tmp_path: Path) -> None:
    post = Post(tmp_path, {"spam": ("copy", "archive", "move")})
    assert post(SPAM, recipients=(A, B)).replies == (replies.Discard(),)
    for kind in ("copy", "archive", "quarantine"):
        (entry,) = post.store(kind)
        assert entry["recipients"] == ["a@rcpt.example", "b@rcpt.example"]


def test_refused_message_is_still_copied_and_told_of(tmp_path: Path, mta: Mta) -> None:
    post = Post(tmp_path, {"infected": ("copy", "forward lab@gw.example", "notify admin", "reject")})
    carried = post(VIRUS)
    assert kinds(carried) == ["ReplyCode"]
    assert len(post.store("copy")) == 1
    assert [(sender, to) for sender, to, _ in mta.letters] == [
        (b"<s@sender.example>", [b"<lab@gw.example>"]), (b"<>", [b"<soc@gw.example>"]),
    ]  # fmt: skip
    assert mta.letters[0][2].endswith(RAW)


def test_forwarded_mail_never_bounces_to_the_sender(tmp_path: Path, mta: Mta) -> None:
    # He may be forged, and is not to learn who reads his mail.
    mta.extensions = (b"DSN",)
    Post(tmp_path, {"infected": ("forward lab@gw.example", "reject")})(VIRUS)
    assert b"RCPT TO:<lab@gw.example> NOTIFY=NEVER\r\n" in mta.lines
    carried = Post(tmp_path, {"infected": ("forward lab@gw.example", "ignore")})(VIRUS)
    assert carried.replies[0] == replies.AddRecipientWithParameters(b"<lab@gw.example>", b"NOTIFY=NEVER")


def test_variant_keeps_what_its_recipient_was_given_with(tmp_path: Path, mta: Mta) -> None:
    mta.extensions = (b"DSN",)
    post = Post(tmp_path, {"infected": ("clean", "reject")}, [TRUSTING])
    post(VIRUS, recipients=(A, B), parameters={A: (b"NOTIFY=NEVER",), B: ()})
    assert b"MAIL FROM:<s@sender.example> RET=HDRS\r\n" in mta.lines
    assert b"RCPT TO:<a@rcpt.example> NOTIFY=NEVER\r\n" in mta.lines


def test_recipient_who_cannot_be_taken_off_with_certainty_gets_nothing(tmp_path: Path, mta: Mta) -> None:
    routed = b"<@x.example:c@rcpt.example>"
    carried = Post(tmp_path, {"infected": ("reject",)}, [TRUSTING, CAREFUL])(VIRUS, recipients=(B, routed))
    assert carried.replies == (replies.Discard(),)
    ((_, recipients, content),) = mta.letters
    assert recipients == [B]
    assert content.endswith(RAW)


def test_reply_that_cannot_be_sent_is_known_before_anything_is_done(
    tmp_path: Path, mta: Mta, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsendable(*_: object) -> tuple[replies.Reply, ...]:
        return (replies.InsertHeader(0, b"X-Bastide-Tag", b" a\nb"), replies.Continue())

    monkeypatch.setattr("filterd.carry.carrier.as_replies", unsendable)
    post = Post(tmp_path, {"infected": ("tag", "clean", "reject")}, [TRUSTING, CAREFUL])
    carried = post(VIRUS, recipients=(A, B, C))
    assert kinds(carried) == ["ReplyCode"]
    assert mta.letters == post.store("quarantine") == []


def test_variants_have_a_time_in_which_they_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sender waits ten minutes (RFC 5321 4.5.3.2.6); then it comes again, whatever was injected meanwhile.
    async def slow(*_: object) -> Report:
        await asyncio.sleep(60)
        return report()

    monkeypatch.setattr(Bench, "look_again", slow)
    post = Post(tmp_path, {"infected": ("clean", "reject")}, milter=MilterSettings(scan_timeout_s=0.1))
    assert kinds(post(VIRUS)) == ["ReplyCode"]
    assert post.log()[0]["why"] == "TimeoutError"


def test_notice_that_cannot_be_sent_holds_no_mail_up(tmp_path: Path) -> None:
    post = Post(tmp_path, {"spam": ("notify admin", "ignore")})
    assert post(SPAM).replies == (replies.Continue(),)
    assert [one["event"] for one in post.log()] == ["notice_failed"]


def test_subject_that_no_header_may_have_is_mended_when_tagged(tmp_path: Path) -> None:
    head = ((b"Subject", b" a\n \n b\r"), *HEAD[1:])
    carried = Post(tmp_path, {"spam": ("tag subject", "ignore")})(SPAM, head=head)
    assert replies.ChangeHeader(1, b"Subject", b" [spam] a\n b") in carried.replies
