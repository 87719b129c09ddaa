"""Carrying out: variants, marks, the store, and what is answered when something cannot be done."""

import asyncio
from pathlib import Path

import pytest

from filterd.carry.variants import unfit
from filterd.config import (
    MilterSettings,
)
from filterd.disposition import Attempt, Disposition
from filterd.findings import Finding, Verdict
from filterd.milter import replies
from filterd.pipeline import Report
from tests.unit.filterd.carrying import (
    AGREED,
    BANNED,
    BODY,
    CAREFUL,
    HEAD,
    RAW,
    SPAM,
    TRUSTING,
    VIRUS,
    A,
    B,
    Bench,
    C,
    Post,
    kinds,
    report,
)


def test_clean_mail_gets_one_reply_and_leaves_no_trace(tmp_path: Path) -> None:
    post = Post(tmp_path, {})
    assert post().replies == (replies.Continue(),)
    assert post.log() == []
    assert not (tmp_path / "store").exists()
    (record,) = post.ledger.records
    assert (record.verdict, record.reply, record.digest, record.kept) == ("clean", "continue", "", ())
    assert [(one.address, one.outcome, one.changed) for one in record.recipients] == [
        ("a@rcpt.example", "passed", False)
    ]
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
    ((record, kept),) = post.store("discarded")
    assert kept.recipients == ("a@rcpt.example",)
    assert record.findings[0].rule == "virus.signature"
    assert post.content(record) == RAW
    assert RAW[record.header_bytes :] == BODY


def test_a_variant_of_which_only_a_part_was_looked_at_is_not_fit() -> None:
    """Not all of it was looked at, so that the virus is gone says nothing."""
    limit = Finding(stage="limits", verdict=Verdict.OVER_LIMIT, rule="limit.time")
    attempt = Attempt(chain="infected", action="clean", parts=("1.2",))
    one = Disposition(
        recipients=(A,),
        verdict=Verdict.INFECTED,
        fate="deliver",
        wanted="deliver",
        findings=(VIRUS,),
        attempts=(attempt,),
    )
    assert unfit(one, report(VIRUS), report(limit))
    assert not unfit(one, report(VIRUS, limit), report(limit))
    assert not unfit(one, report(VIRUS), report())


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


def test_move_for_all_drops_the_milter_message(tmp_path: Path) -> None:
    post = Post(tmp_path, {"spam": ("copy", "archive", "move")})
    assert post(SPAM, recipients=(A, B)).replies == (replies.Discard(),)
    for kind in ("copy", "archive", "quarantine"):
        ((_, kept),) = post.store(kind)
        assert kept.recipients == ("a@rcpt.example", "b@rcpt.example")


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
    assert post.log()[0]["why"] == "the changed message was not there in 0.1 s"


def test_notice_that_cannot_be_sent_holds_no_mail_up(tmp_path: Path) -> None:
    post = Post(tmp_path, {"spam": ("notify admin", "ignore")})
    assert post(SPAM).replies == (replies.Continue(),)
    assert [one["event"] for one in post.log()] == ["notice_failed"]


def test_subject_that_no_header_may_have_is_mended_when_tagged(tmp_path: Path) -> None:
    head = ((b"Subject", b" a\n \n b\r"), *HEAD[1:])
    carried = Post(tmp_path, {"spam": ("tag subject", "ignore")})(SPAM, head=head)
    assert replies.ChangeHeader(1, b"Subject", b" [spam] a\n b") in carried.replies


def test_what_is_too_long_to_be_kept_whole_is_refused_for_good(tmp_path: Path) -> None:
    post = Post(tmp_path, {"spam": ("move",)})
    post.max_bytes = 100
    assert post(SPAM).replies == (
        replies.ReplyCode("552", "5.3.4", ("Message refused: too large to be handed on id=4XyZ",)),
    )
    assert post.store("quarantine") == []


def test_a_ledger_that_is_down_means_later_for_what_would_be_accepted(tmp_path: Path) -> None:
    post = Post(tmp_path, {"infected": ("reject",), "spam": ("move",)})
    post.ledger.down = True
    later = (replies.ReplyCode("451", "4.3.0", ("Message not accepted for now: local problem id=4XyZ",)),)
    assert post().replies == later
    assert post(SPAM).replies == later
    assert [one["event"] for one in post.log()] == ["carry_failed"] * 2
    # One wait for the record, and one beside the answer to take it back, should it come late.
    assert post.ledger.asked == ["record", "take_back"] * 2
    # A refusal loses nothing.
    assert kinds(post(VIRUS)) == ["ReplyCode"]
    assert post(VIRUS).replies[0] != later[0]
    assert post.log()[-1]["event"] == "not_recorded"


def test_each_fate_is_recorded_for_each_recipient(tmp_path: Path) -> None:
    post = Post(tmp_path, {"spam": ("reject",)}, [TRUSTING, CAREFUL])
    post(SPAM, recipients=(B, C))
    (record,) = post.ledger.records
    assert [(one.address, one.fate, one.outcome, one.changed) for one in record.recipients] == [
        ("b@rcpt.example", "deliver", "passed", True),
        ("c@rcpt.example", "move", "quarantined", False),
    ]
    assert [(one.rule, one.counted) for one in record.findings] == [("content.pills", True)]
    assert (record.queue_id, record.sender, record.gateway) == ("4XyZ", "s@sender.example", "mx.gw.example")


def test_what_could_not_be_carried_out_is_recorded_as_put_off(tmp_path: Path) -> None:
    post = Post(tmp_path, {"infected": ("clean", "reject")}, down=True)
    post(VIRUS)
    (record,) = post.ledger.records
    assert record.reply.startswith("451 4.3.0")
    assert {one.outcome for one in record.recipients} == {"deferred"}
