"""Carrying out with a small MTA beside it: each variant to its recipients, notices, and what the MTA refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.config import (
    Group,
)
from filterd.config.policy import GroupChains
from filterd.milter import replies
from tests.unit.filterd.carrying import CAREFUL, RAW, SPAM, TRUSTING, VIRUS, A, B, C, Post, kinds
from tests.unit.filterd.mta import Mta


@pytest.fixture
def mta(tmp_path: Path) -> Iterator[Mta]:
    with Mta(tmp_path / "inject.sock") as server:
        yield server


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
    ((record, kept),) = post.store("quarantine")
    assert (kept.recipients, record.sender) == (("c@rcpt.example",), "s@sender.example")
    assert [(one.address, one.outcome) for one in record.recipients] == [
        ("a@rcpt.example", "injected"), ("b@rcpt.example", "passed"), ("c@rcpt.example", "quarantined"),
    ]  # fmt: skip
    (event,) = post.log()
    assert (event["event"], event["stored"], len(event["injected"])) == ("carried", [kept.id], 1)


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


def test_what_its_sender_asked_for_is_recorded_with_it(tmp_path: Path) -> None:
    """For a release at a later time; of the parameters those that still hold then."""
    post = Post(tmp_path, {"infected": ("move",)})
    post(
        VIRUS,
        recipients=(A, B),
        parameters={A: (b"NOTIFY=SUCCESS,DELAY", b"ORCPT=rfc822;x@y", b"X=y"), B: ()},
    )
    ((record, _),) = post.store("quarantine")
    assert record.sender_parameters == "RET=HDRS"
    assert [one.parameters for one in record.recipients] == ["NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y", ""]


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
    assert not mta.letters
    assert not post.store("quarantine")


@pytest.mark.parametrize("stage", [b"MAIL", b"."])
def test_variant_that_is_too_large_for_the_mta_is_refused_for_good(
    tmp_path: Path, mta: Mta, stage: bytes
) -> None:
    # It was 451, for as long as its sender tried.
    mta.answers[stage] = b"552 5.3.4 Message size exceeds fixed limit"
    post = Post(tmp_path, {"infected": ("archive", "clean", "reject")}, [TRUSTING, CAREFUL])
    assert post(VIRUS, recipients=(A, B, C)).replies == (
        replies.ReplyCode("552", "5.3.4", ("Message refused: too large to be handed on id=4XyZ",)),
    )
    assert not mta.letters
    assert not post.store("quarantine")
    assert not post.store("archive")


def test_recipient_who_cannot_be_written_again_is_refused_for_good(tmp_path: Path, mta: Mta) -> None:
    carried = Post(tmp_path, {"infected": ("clean", "reject")}, [TRUSTING])(
        VIRUS, recipients=(B, b"<a b@rcpt.example>")
    )
    assert carried.replies == (
        replies.ReplyCode(
            "554", "5.1.0", ("Message refused: an address of its envelope cannot be handed on id=4XyZ",)
        ),
    )
    assert mta.letters == []


def test_mta_is_told_how_large_a_variant_is(tmp_path: Path, mta: Mta) -> None:
    Post(tmp_path, {"infected": ("clean", "reject")}, [TRUSTING])(VIRUS, recipients=(A, B))
    ((_, _, content),) = mta.letters
    (mail,) = (line for line in mta.lines if line.startswith(b"MAIL"))
    assert mail.endswith(b" SIZE=%d\r\n" % len(content))
