"""decide(): one table a rule of the policy language. Properties over all configurations: test_filterd_policy_any.py."""

from itertools import pairwise
from typing import Any

import pytest

from filterd.anatomy import Edit
from filterd.disposition import Attempt, Side
from filterd.findings import Finding, Verdict
from filterd.policy import PRECEDENCE, PRECISION, STRICTNESS, decide, settled
from filterd.stages import ORDER
from tests.unit.filterd.policies import MONDAY, config, envelope, found, group, one, report, spam

# --- classes and chains


@pytest.mark.parametrize(
    ("findings", "verdict", "fate"),
    [
        ((), "clean", "deliver"),
        ((found("infected"),), "infected", "reject"),
        ((found("suspicious"),), "suspicious", "reject"),
        ((found("banned"),), "banned", "reject"),
        ((found("malformed"),), "malformed", "reject"),
        ((found("over-limit"),), "over-limit", "reject"),
        ((found("encrypted"),), "encrypted", "deliver"),
        ((found("not-inspected"),), "not-inspected", "tempfail"),
        ((spam(4.99),), "clean", "deliver"),
        ((spam(5.0),), "bulk", "deliver"),
        ((spam(10.0),), "spam", "reject"),
        ((found("not-inspected"), found("infected")), "infected", "reject"),
        ((found("not-inspected"), spam(3.0)), "not-inspected", "tempfail"),
        ((found("clean"),), "clean", "deliver"),
    ],
    ids=str,
)
def test_the_default_table(findings: tuple[Finding, ...], verdict: str, fate: str) -> None:
    made = one(report(*findings))
    assert (made.verdict, made.fate, made.wanted) == (verdict, fate, fate)
    assert made.recipients == (b"<a@example.org>", b"<b@example.org>")


def test_what_is_convicted_names_its_rule() -> None:
    made = one(report(found("malformed", rule="integrity.nul"), found("infected", rule="virus.signature")))
    assert (made.rule, len(made.findings)) == ("virus.signature", 2)


@pytest.mark.parametrize("missing", [stage.id for stage in ORDER])
def test_a_stage_that_did_not_run_never_makes_clean(missing: str) -> None:
    ran = tuple(stage.id for stage in ORDER if stage.id != missing)
    made = one(report(ran=ran))
    assert (made.verdict, made.fate, made.rule) == ("not-inspected", "tempfail", f"{missing}.unavailable")


def test_an_empty_report_is_not_inspected() -> None:
    assert one(report(ran=())).verdict is Verdict.NOT_INSPECTED


def test_a_stage_that_was_not_asked_behind_a_refusal_changes_nothing() -> None:
    made = one(report(found("infected"), ran=("parse", "virus")))
    assert (made.verdict, made.fate, len(made.findings)) == ("infected", "reject", 1)


def test_a_missing_stage_holds_up_what_a_chain_would_deliver() -> None:
    made = one(report(found("infected"), ran=("virus",)), config(chains={"infected": ["clean", "discard"]}))
    assert (made.verdict, made.fate) == ("not-inspected", "tempfail")


def test_no_part_is_deleted_for_a_stage_that_did_not_run() -> None:
    settings = config(chains={"not_inspected": ["delete", "reject"]})
    assert one(report(found("not-inspected")), settings).fate == "deliver"
    assert one(report(found("not-inspected"), ran=("virus",)), settings).fate == "reject"


ENDS = {"move": "move", "ignore": "deliver", "reject": "reject", "discard": "discard", "tempfail": "tempfail"}


@pytest.mark.parametrize(("end", "fate"), ENDS.items())
def test_each_end(end: str, fate: str) -> None:
    assert one(report(found("infected")), config(chains={"infected": [end]})).fate == fate


@pytest.mark.parametrize("name", [verdict.value for verdict in PRECEDENCE])
def test_a_chain_that_runs_out_refuses(name: str) -> None:
    settings = config(chains={name.replace("-", "_"): ["copy", "clean"]})
    finding = spam(6 if name == "bulk" else 60) if name in {"bulk", "spam"} else found(name, part="")
    assert one(report(finding), settings).fate == ("tempfail" if name == "not-inspected" else "reject")


@pytest.mark.parametrize(
    ("failed", "action", "fate"),
    [((), "clean", "deliver"), (("clean",), "delete", "deliver"), (("clean", "delete"), None, "discard")],
)
def test_the_papers_clean_delete_discard(failed: tuple[Any, ...], action: str | None, fate: str) -> None:
    settings = config(chains={"infected": ["clean", "delete", "discard"]})
    before = frozenset(Attempt(chain="infected", action=name, parts=("1.2",)) for name in failed)
    made = one(report(found("infected")), settings, failed=before)
    assert made.fate == fate
    assert [attempt.action for attempt in made.attempts] == ([action] if action else [])
    edits = {"clean": "remove", "delete": "warn"}
    assert made.order.edits == ((Edit(part="1.2", action=edits[action]),) if action else ())  # type: ignore[arg-type]  # values of the table


def test_an_attempt_that_failed_on_other_parts_is_not_held_against_it() -> None:
    settings = config(chains={"infected": ["clean", "reject"]})
    other = frozenset({Attempt(chain="infected", action="clean", parts=("1.3",))})
    assert one(report(found("infected")), settings, failed=other).fate == "deliver"


@pytest.mark.parametrize(
    ("step", "part", "rule", "edit"),
    [
        ("clean", "1.2", "virus.signature", "remove"),
        ("clean", "1.2", "html.smuggling", "disarm"),
        ("clean", "1.2", "document.macro-autorun", "disarm"),
        ("clean", "1", "html.smuggling", "disarm"),
        ("clean", "1", "virus.signature", None),
        ("clean", "", "virus.signature", None),
        ("delete", "1.2", "virus.signature", "warn"),
        ("delete", "1", "virus.signature", "warn"),
        ("delete", "", "virus.signature", None),
        ("delete notice", "1.2", "virus.signature", "notice"),
        ("rename", "1.2", "attachment.extension", "rename"),
        ("rename", "1", "attachment.extension", None),
        ("disarm", "1.2", "html.smuggling", "disarm"),
        ("disarm", "1.2", "virus.signature", None),
    ],
)
def test_which_attempts_are_possible(step: str, part: str, rule: str, edit: str | None) -> None:
    made = one(report(found("suspicious", part, rule)), config(chains={"suspicious": [step, "move"]}))
    assert made.fate == ("deliver" if edit else "move")
    assert [(each.part, each.action) for each in made.order.edits] == ([(part, edit)] if edit else [])


def test_one_finding_without_a_part_makes_the_attempt_impossible() -> None:
    seen = report(found("infected"), found("infected", part=""))
    assert one(seen, config(chains={"infected": ["clean", "move"]})).fate == "move"


def test_after_a_success_nothing_more_is_done() -> None:
    made = one(
        report(found("infected")), config(chains={"infected": ["copy", "clean", "archive", "discard"]})
    )
    assert [side.action for side in made.sides] == ["copy"]
    assert made.fate == "deliver"


def test_what_stands_behind_a_failed_attempt_is_done() -> None:
    failed = frozenset({Attempt(chain="infected", action="clean", parts=("1.2",))})
    settings = config(chains={"infected": ["copy", "clean", "archive", "discard"]})
    made = one(report(found("infected")), settings, failed=failed)
    assert [side.action for side in made.sides] == ["copy", "archive"]
    assert made.kept


# --- several classes


def test_the_strictest_end_of_all_classes_holds() -> None:
    fates = {"infected": "ignore", "suspicious": "tempfail", "banned": "discard", "malformed": "move"}
    findings = [found(name) for name in fates]
    settings = config(chains={name: [end] for name, end in fates.items()})
    expected = ["move", "discard", "tempfail", "deliver"]
    while findings:
        assert one(report(*findings), settings).fate == expected.pop(0)
        findings.pop()
    assert STRICTNESS == ("reject", "move", "discard", "tempfail", "deliver")


def test_edits_and_sides_of_all_classes_that_deliver_are_put_together() -> None:
    settings = config(
        chains={
            "infected": ["notify recipient", "clean"],
            "banned": ["tag", "rename"],
            "encrypted": ["tag subject", "ignore"],
        }
    )
    made = one(report(found("infected", "1.2"), found("banned", "1.3"), found("encrypted", "1.4")), settings)
    assert [(each.part, each.action) for each in made.order.edits] == [("1.2", "remove"), ("1.3", "rename")]
    assert made.sides == (
        Side(action="notify", argument="recipient", verdict=Verdict.INFECTED, rule="test.infected"),
    )
    assert made.tags == ("banned test.banned", "encrypted test.encrypted")
    assert made.subject == "[encrypted] "
    assert {attempt.chain for attempt in made.attempts} == {"infected", "banned"}


@pytest.mark.parametrize(
    ("findings", "edits"),
    [
        ((found("infected", "1.2"), found("banned", "1.2")), [("1.2", "remove")]),
        ((found("infected", "1.2"), found("banned", "1.2.1")), [("1.2", "remove")]),
        ((found("infected", "1.2.1"), found("banned", "1.2")), [("1.2", "rename"), ("1.2.1", "remove")]),
        ((found("infected", "1.10"), found("banned", "1.9")), [("1.9", "rename"), ("1.10", "remove")]),
    ],
)
def test_edits_of_one_part_do_not_clash(findings: tuple[Finding, ...], edits: list[tuple[str, str]]) -> None:
    made = one(report(*findings), config(chains={"infected": ["clean"], "banned": ["rename"]}))
    assert [(each.part, each.action) for each in made.order.edits] == edits


def test_a_refusal_has_side_steps_and_no_edits() -> None:
    made = one(
        report(found("infected"), found("banned")),
        config(chains={"infected": ["copy", "reject"], "banned": ["tag subject", "copy", "rename"]}),
    )
    assert (made.fate, made.tags, made.subject, made.attempts, made.rewritten) == (
        "reject",
        (),
        "",
        (),
        False,
    )
    assert [(side.action, side.rule) for side in made.sides] == [("copy", "test.infected")]


def test_a_message_that_comes_again_has_no_side_steps() -> None:
    made = one(
        report(found("banned")), config(chains={"banned": ["copy", "forward x@example.net", "tempfail"]})
    )
    assert (made.sides, made.kept) == ((), False)


# --- spam


def test_precision_is_monotone() -> None:
    levels = list(PRECISION.values())
    assert list(PRECISION) == ["low", "medium", "high", "very_high"]
    assert all(bulk < score for bulk, score in levels)
    assert all(
        later < earlier
        for before, after in pairwise(levels)
        for earlier, later in zip(before, after, strict=True)
    )
    order = ["clean", "bulk", "spam"]
    for score in (-3.0, 0.0, 2.9, 3.0, 3.9, 4.0, 4.9, 5.0, 6.9, 7.0, 7.9, 8.0, 9.9, 10.0, 14.9, 15.0, 900.0):
        seen = [
            order.index(one(report(spam(score)), config(policy={"precision": level})).verdict)
            for level in PRECISION
        ]
        assert seen == sorted(seen)


# --- what is done beside


def test_side_steps_carry_what_they_are_for() -> None:
    steps = ["copy", "archive", "forward soc@example.net", "notify admin recipient", "reject"]
    made = one(report(found("banned", rule="attachment.extension")), config(chains={"banned": steps}))
    assert [(side.action, side.argument) for side in made.sides] == [
        ("copy", ""),
        ("archive", ""),
        ("forward", "soc@example.net"),
        ("notify", "admin"),
        ("notify", "recipient"),
    ]
    assert {(side.verdict, side.rule) for side in made.sides} == {(Verdict.BANNED, "attachment.extension")}


@pytest.mark.parametrize(
    ("sender", "finding", "told"),
    [
        ("<s@sender.example>", (), True),
        ("<>", (), False),
        ("", (), False),
        ("<s@sender.example>", (found("infected"),), False),
        ("<s@sender.example>", (found("banned"),), False),
    ],
)
def test_the_sender_is_told_only_where_it_does_no_harm(
    sender: str, finding: tuple[Finding, ...], *, told: bool
) -> None:
    settings = config(
        chains={"spam": ["notify admin sender", "move"], "infected": ["move"], "banned": ["move"]}
    )
    made = one(report(spam(50), *finding), settings, envelope(sender=sender))
    assert [side.argument for side in made.sides] == (["admin", "sender"] if told else ["admin"])


@pytest.mark.parametrize(
    ("protected", "stamp"), [("", "one\ntwo"), ("signed", ""), ("encrypted", ""), ("calendar", "")]
)
def test_stamps(protected: str, stamp: str) -> None:
    settings = config(chains={"clean": ["stamp a", "stamp b"]}, notify={"stamps": {"a": "one", "b": "two"}})
    made = one(report(protected=protected), settings)
    assert (made.fate, made.order.stamp) == ("deliver", stamp)


def test_the_clean_chain_may_quarantine_and_runs_out_in_delivery() -> None:
    settings = config(
        chains={"clean": ["archive"]},
        group=[group("g", recipients=["a@example.org"], chains={"clean": ["move"]})],
    )
    first, second = decide(report(), envelope(), settings, now=MONDAY)
    assert (first.fate, second.fate, second.kept) == ("move", "deliver", True)


# --- settled


@pytest.mark.parametrize(
    ("chains", "findings", "is_settled"),
    [
        ({}, (), False),
        ({}, (found("infected"),), True),
        ({}, (found("over-limit"),), True),
        ({}, (found("not-inspected"),), True),
        ({}, (found("encrypted"),), False),
        ({"infected": ["clean", "reject"]}, (found("infected"),), False),
        ({"infected": ["move"]}, (found("infected"),), False),
        ({"over_limit": ["move"]}, (found("over-limit"),), True),
        ({"not_inspected": ["ignore"]}, (found("not-inspected"),), False),
        (
            {
                name: ["move"]
                for name in ("infected", "suspicious", "banned", "malformed", "over_limit", "spam")
            },
            (found("infected"),),
            True,
        ),
    ],
    ids=str,
)
def test_settled(chains: dict[str, Any], findings: tuple[Finding, ...], *, is_settled: bool) -> None:
    assert settled(findings, envelope(), config(chains=chains), MONDAY) is is_settled


def test_the_virus_engine_is_asked_about_all_but_what_is_over_its_limits() -> None:
    for verdict in ("infected", "banned", "malformed", "not-inspected"):
        assert not settled((found(verdict),), envelope(), config(), MONDAY, scanned=False)
    both = (found("banned"), found("over-limit"))
    assert settled(both, envelope(), config(), MONDAY, scanned=False)


def test_not_settled_while_one_recipient_would_get_it() -> None:
    settings = config(group=[group("g", recipients=["a@example.org"], chains={"infected": ["ignore"]})])
    assert not settled((found("infected"),), envelope(), settings, MONDAY)


def test_every_class_has_a_place() -> None:
    assert set(PRECEDENCE) | {Verdict.CLEAN} == set(Verdict)
