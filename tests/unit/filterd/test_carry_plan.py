"""Dispositions become a plan, marks become header edits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.anatomy import Edit, RewriteOrder
from filterd.carry.heading import Heading, Marks, as_replies, edits, tagged
from filterd.carry.plan import Share, Variant, needed, planned, variant
from filterd.config import Config, Group, HtmlSettings, ListEntry, PolicySettings
from filterd.config.policy import Chains, GroupChains
from filterd.disposition import Disposition, Fate, Side
from filterd.fields import edited
from filterd.findings import Verdict
from filterd.milter.negotiation import Action
from filterd.milter.replies import AddHeader, ChangeHeader, InsertHeader

A, B, C, D = (f"<{name}@rcpt.example>".encode() for name in "abcd")
HEADERS = Action.ADD_HEADERS | Action.CHANGE_HEADERS
CUT = RewriteOrder(edits=(Edit(part="1.2", action="remove"),))
FORWARD = Side(action="forward", argument="soc@gw.example")


def disposition(*recipients: bytes, fate: Fate = "deliver", **more: Any) -> Disposition:
    return Disposition(
        recipients=recipients, verdict=Verdict.BANNED, fate=fate, wanted=more.pop("wanted", fate), **more
    )


def plan(*dispositions: Disposition) -> Any:
    shares = [
        Share(variant=variant(one, one.order, add_header=False), recipients=one.recipients)
        for one in dispositions
        if one.fate == "deliver"
    ]
    return planned(shares, dispositions)


def test_clean_mail_is_carried_and_nothing_else_happens() -> None:
    made = plan(disposition(A, B))
    assert made.carried == Share(variant=Variant(), recipients=(A, B))
    assert (made.injected, made.deleted, made.added, made.kept) == ((), (), (), ())


def test_untouched_variant_is_carried_even_for_the_few() -> None:
    made = plan(disposition(A), disposition(B, C, D, order=CUT))
    assert made.carried.recipients == (A,)
    assert made.deleted == (B, C, D)
    assert [one.recipients for one in made.injected] == [(B, C, D)]


def test_else_the_variant_with_the_most_recipients_is_carried() -> None:
    made = plan(
        disposition(A, tags=("banned x.y",)), disposition(B, C, order=CUT), disposition(D, fate="move")
    )
    assert made.carried.recipients == (B, C)
    assert made.deleted == (A, D)
    assert [one.recipients for one in made.injected] == [(A,)]
    assert [(one.kind, one.disposition.recipients) for one in made.kept] == [("quarantine", (D,))]


def test_dispositions_with_the_same_variant_share_it() -> None:
    made = plan(disposition(A, order=CUT), disposition(B, order=CUT, rule="x.y"))
    assert made.carried.recipients == (A, B)
    assert made.injected == ()


def test_nobody_left_means_dropped_not_emptied() -> None:
    made = plan(disposition(A, fate="move"), disposition(B, fate="discard"))
    assert made.carried is None
    assert made.deleted == ()
    assert [one.kind for one in made.kept] == ["quarantine", "discarded"]


def test_refusal_that_became_a_move_says_so() -> None:
    (kept,) = plan(disposition(A), disposition(B, fate="move", wanted="reject")).kept
    assert kept.reason == "move: banned (reject, but others get the message)"


def test_forward_rides_along_only_with_the_message_as_it_came() -> None:
    target = b"<soc@gw.example>"
    assert plan(disposition(A, sides=(FORWARD,))).added == (target,)
    for made in (
        plan(disposition(A, order=CUT, sides=(FORWARD,))),
        plan(disposition(A, fate="move", sides=(FORWARD,))),
    ):
        assert made.added == ()
        assert made.injected == (Share(variant=Variant(), recipients=(target,), forwarded=True),)
    assert plan(disposition(A), disposition(B, fate="reject", sides=(FORWARD,))).added == (target,)


@pytest.mark.parametrize(
    "odd",
    [
        b"<@x.example:b@rcpt.example>", b"< b@rcpt.example>", b"<b@ rcpt.example>", b'<"b"@rcpt.example>',
        b"<\\b@rcpt.example>", b"<b@rcpt.example.>", b"<postmaster>", "<ü@rcpt.example>".encode(), b"b@rcpt.example",
    ],
)  # fmt: skip
def test_recipient_of_several_spellings_is_never_taken_off(odd: bytes) -> None:
    # Postfix finds no recipient "@x.example:b@rcpt.example", and delivers to b what was moved.
    made = plan(disposition(A, sides=(FORWARD,)), disposition(odd, fate="move"), disposition(C, order=CUT))
    assert (made.carried, made.deleted, made.added) == (None, (), ())
    assert [(one.recipients, one.forwarded) for one in made.injected] == [
        ((A,), False), ((C,), False), ((b"<soc@gw.example>",), True),
    ]  # fmt: skip
    assert plan(disposition(odd), disposition(A, fate="move")).carried.recipients == (odd,)


def test_copy_and_archive_are_kept_beside_the_fate() -> None:
    one = disposition(
        A,
        fate="move",
        sides=(Side(action="copy"), Side(action="archive"), Side(action="notify", argument="admin")),
    )
    assert [kept.kind for kept in plan(one).kept] == ["copy", "archive", "quarantine"]


FATES = st.sampled_from(["deliver", "move", "discard"])
ORDERS = st.sampled_from([RewriteOrder(), CUT, RewriteOrder(stamp="s")])


@given(st.lists(st.tuples(FATES, ORDERS, st.integers(1, 4), st.booleans()), min_size=1, max_size=6))
def test_each_recipient_gets_his_variant_exactly_once_or_is_in_the_store(
    rows: list[tuple[Fate, RewriteOrder, int, bool]],
) -> None:
    dispositions = [
        disposition(
            *(f"<{at}-{number}@x.example>".encode() for number in range(count)), fate=fate,
            order=order if fate == "deliver" else RewriteOrder(), tags=("t",) if tagged_ and fate == "deliver" else (),
        )
        for at, (fate, order, count, tagged_) in enumerate(rows)
    ]  # fmt: skip
    made = plan(*dispositions)
    every = [who for one in dispositions for who in one.recipients]
    shares = [*made.injected, *([made.carried] if made.carried else [])]
    reached = {who: share.variant for share in shares for who in share.recipients}
    assert sum(len(share.recipients) for share in shares) == len(reached)
    for one in dispositions:
        for who in one.recipients:
            if one.fate == "deliver":
                assert reached[who] == variant(one, one.order, add_header=False)
            else:
                assert who not in reached
    if made.carried:
        assert set(made.deleted) == set(every) - set(made.carried.recipients)


@pytest.mark.parametrize(
    ("config", "needs"),
    [
        (Config(policy=PolicySettings(chains=Chains(encrypted=("ignore",), bulk=("ignore",)))), Action(0)),
        (Config(), Action.ADD_HEADERS | Action.CHANGE_HEADERS),
        (Config(policy=PolicySettings(chains=Chains(infected=("clean", "reject")))), HEADERS | Action.CHANGE_BODY),
        (Config(html=HtmlSettings(scripts="strip")), HEADERS | Action.CHANGE_BODY),
        (
            Config(
                policy=PolicySettings(chains=Chains(encrypted=("ignore",), bulk=("ignore",))),
                group=(Group(name="x", chains=GroupChains(spam=("forward a@b.example", "move"))),),
            ),
            Action.DELETE_RECIPIENTS | Action.ADD_RECIPIENTS_WITH_PARAMETERS,
        ),
        (Config(list=(ListEntry(name="x", verdict="reject", senders=("a@b.example",)),)), HEADERS),
        (
            Config(list=(ListEntry(name="x", verdict="accept", senders=("a@b.example",), recipients=("c@d.example",)),)),
            HEADERS | Action.DELETE_RECIPIENTS,
        ),
    ],
)  # fmt: skip
def test_only_what_may_be_done_is_asked_for(config: Config, needs: Action) -> None:
    # The lists of the ledger may at any time have two recipients meet different fates.
    assert needed(config) == needs | Action.DELETE_RECIPIENTS


MARKS = Marks(verdict="spam", tags=("spam spam.score", "bulk x.y"), subject="[spam] ")


def noted(*fields: tuple[bytes, bytes]) -> Heading:
    heading = Heading()
    for name, value in fields:
        heading.note(name, value)
    return heading


def test_forged_marks_go_when_ours_come_and_only_then() -> None:
    heading = noted(
        (b"X-Bastide-Tag", b" no"),
        (b"Subject", b" s"),
        (b"x-bastide-TAG", b" no"),
        (b"X-Bastide-Foo", b" no"),
    )
    assert edits(Marks(), heading) == ()
    assert as_replies(edits(MARKS, heading)) == (
        ChangeHeader(1, b"x-bastide-foo"), ChangeHeader(2, b"x-bastide-tag"), ChangeHeader(1, b"x-bastide-tag"),
        InsertHeader(0, b"X-Bastide-Verdict", b" spam"), InsertHeader(0, b"X-Bastide-Tag", b" spam spam.score"),
        InsertHeader(0, b"X-Bastide-Tag", b" bulk x.y"), ChangeHeader(1, b"Subject", b" [spam] s"),
    )  # fmt: skip


def test_message_without_a_subject_gets_one() -> None:
    assert as_replies(edits(Marks(subject="[spam] "), noted())) == (AddHeader(b"Subject", b" [spam]"),)


@pytest.mark.parametrize(
    ("subject", "result"),
    [
        (b" hello", b" [x] hello"), (b"hello", b" [x] hello"), (b"", b" [x]"), (None, b" [x]"),
        (b" =?utf-8?q?=C3=A4?=", b" [x] =?utf-8?q?=C3=A4?="), (b"\n folded\n\ton", b" [x]\n folded\n\ton"),
        (b" a\n \n b\n \t", b" [x] a\n b"), (b" a\rb", b" [x] ab"), (b" \xfc", b" [x] \xfc"),
    ],
)  # fmt: skip
def test_tag_stands_before_the_subject(subject: bytes | None, result: bytes) -> None:
    assert tagged("[x] ", subject) == result


@pytest.mark.parametrize("subject", [b" [x] hello", b"\n [x]hello", b"[X] [x]", b" " + b"a" * 60_000])
def test_tag_stands_once_and_only_where_there_is_room(subject: bytes) -> None:
    made = as_replies(edits(Marks(subject="[x] "), noted((b"Subject", subject))))
    assert made == ((ChangeHeader(1, b"Subject", b" [x] [X] [x]"),) if b"[X]" in subject else ())


def test_forged_field_with_an_endless_name_is_no_mark_of_ours() -> None:
    name = b"X-Bastide-" + b"a" * 300
    assert not any(one.value is None for one in edits(MARKS, noted((name, b" x"))))


def test_encoded_word_keeps_its_blank() -> None:
    assert tagged("[x]", b" =?utf-8?q?a?=") == b" [x] =?utf-8?q?a?="


def test_injected_variant_has_the_same_header_as_a_carried_one() -> None:
    header = b"X-Bastide-Tag: forged\r\nSubject: s\r\nX: y\r\n f\r\n"
    made = edited(
        header, edits(MARKS, noted((b"X-Bastide-Tag", b" forged"), (b"Subject", b" s"), (b"X", b" y\n f")))
    )
    assert made == (
        b"X-Bastide-Tag: bulk x.y\r\nX-Bastide-Tag: spam spam.score\r\nX-Bastide-Verdict: spam\r\n"
        b"Subject: [spam] s\r\nX: y\r\n f\r\n"
    )
