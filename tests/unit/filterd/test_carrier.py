"""Carrying out: variants, marks, the store, and what is answered when something cannot be done."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from filterd.carry.carrier import Carrier
from filterd.config import (
    MilterSettings,
)
from filterd.findings import Finding, Verdict
from filterd.log import Log
from filterd.milter import replies
from filterd.pipeline import Report
from tests.unit.filterd.carrying import (
    AGREED,
    BANNED,
    BODY,
    HEAD,
    RAW,
    SPAM,
    VIRUS,
    A,
    B,
    Bench,
    Post,
    kinds,
    report,
)


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


def test_move_for_all_drops_the_milter_message(tmp_path: Path) -> None:
    post = Post(tmp_path, {"spam": ("copy", "archive", "move")})
    assert post(SPAM, recipients=(A, B)).replies == (replies.Discard(),)
    for kind in ("copy", "archive", "quarantine"):
        (entry,) = post.store(kind)
        assert entry["recipients"] == ["a@rcpt.example", "b@rcpt.example"]


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


def test_store_is_tidied_without_any_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post(tmp_path, {"spam": ("discard",)})
    post(SPAM)
    (entry,) = post.store("discarded")
    later = time.time() + 31 * 86_400
    monkeypatch.setattr("filterd.carry.store.time.time", lambda: later)

    async def idle() -> None:
        with (tmp_path / "log").open("ab") as log:
            carrier = Carrier(post.config, Log(log.fileno()), post.bench)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await carrier.keep_tidy()

    asyncio.run(idle())
    assert entry["id"]
    assert post.store("discarded") == []
    assert [one["removed"] for one in post.log() if one["event"] == "store_tidied"] == [1]
