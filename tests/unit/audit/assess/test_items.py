"""Items: what a host's answers make of a defence, at each level, under each MTA."""

import msgspec
import pytest

from audit.assess import items
from audit.assess.items import Item
from audit.probes.host import Answer
from roles.claims import Greeting
from roles.defence import Defence
from roles.hardening.defences.kernel import DEFENCES as KERNEL
from roles.hardening.settings import LEVELS, Level
from roles.registry import DEFENCES
from roles.settings import Gateway
from tests.unit.audit.assess.samples import GATEWAY, answered, asking, host, record
from tests.unit.roles.examples import gateway


def only(defence: Defence, answers: dict[str, Answer], of: Gateway = GATEWAY) -> Item:
    (found,) = host([defence], answers, of=of).items
    return found


@pytest.mark.parametrize(
    ("answers", "state"),
    [(("yes", "yes"), "yes"), (("yes", "no"), "partly"), (("no", "no"), "no"), (("", "no"), "no")],
)
def test_an_item_is_what_its_settings_are(answers: tuple[str, str], state: str) -> None:
    found = only(record("mta.one", "a", "b"), answered(dict(zip("ab", answers, strict=True))))
    assert found.state == state
    assert [each.wanted for each in found.settings] == ["yes", "yes"]
    assert found.settings[1].seen == (answers[1] or "an empty answer")


def test_a_question_that_fails_or_lacks_its_program_is_a_no_that_says_so() -> None:
    missing = Answer(code=0, output="yes", errors="sh: 1: clamconf: not found\n")
    bash = Answer(code=127, output="", errors="sh: line 1: postconf: command not found\n")
    failed = Answer(code=2, output="", errors="no such unit")
    found = only(record("mta.one", "a", "b", "c"), {**answered({}), "a": missing, "b": bash, "c": failed})
    assert found.state == "no"
    assert [each.seen for each in found.settings] == [
        "the host has no clamconf",
        "the host has no postconf",
        "exit code 2: no such unit",
    ]


def test_what_a_container_cannot_show_is_not_seen_there_and_seen_on_a_machine() -> None:
    bound = Defence(
        id="mta.bound",
        title="A record for tests",
        why="It is a test.",
        rows=("A20",),
        sets=(*asking("a"), *asking("b", needs="kernel")),
        unseen="It is a test.",
    )
    inside = only(bound, answered({"a": "yes", "b": "yes"}, contained=True))
    assert (inside.state, inside.seen, inside.count("not seen")) == ("yes", 1, 1)
    assert "container" in inside.settings[1].why
    assert only(bound, answered({"a": "yes", "b": "no"})).state == "partly"


def test_what_only_an_outsider_sees_is_not_seen() -> None:
    outside = Defence(
        id="mta.outside",
        title="A record for tests",
        why="It is a test.",
        rows=("A20",),
        claims=(Greeting(matches="220 x", refuted_by="y"),),
    )
    found = only(outside, answered({}))
    assert (found.state, found.looks) == ("not seen", 1)
    assert "python -m audit" in found.reason


def test_what_the_mta_lacks_says_what_stands_in_its_place() -> None:
    lacking = next(each for each in DEFENCES if "sendmail" in each.lacks)
    found = only(lacking, answered({}), gateway(mta="sendmail"))
    assert (found.state, found.reason, found.settings) == ("not applicable", lacking.lacks["sendmail"], ())


def test_what_the_settings_do_not_ask_for_is_not_declared() -> None:
    by_id = {each.id: each for each in DEFENCES}
    assert only(by_id["hardening.grub-password"], answered({})).state == "not declared"
    # It stands on every gateway, and has no rule on one without an authority's proof: an empty firewall must not hold it.
    assert only(by_id["firewall.acme"], answered({})).state == "not declared"


def test_a_rule_that_only_warns_is_never_whole() -> None:
    by_id = {each.id: each for each in DEFENCES}
    warns = gateway(mta_rules={"warn_only": ["mta.sender-domain"]})
    asked = items.questions([by_id["mta.sender-domain"]], warns, "lax")
    good = {
        each: Answer(code=0, output=_wanted(by_id["mta.sender-domain"], each, warns), errors="")
        for each in asked
    }
    found = only(by_id["mta.sender-domain"], {**answered({}), **good}, warns)
    assert found.state == "partly"
    assert [each.name for each in found.settings if each.state == "no"] == ["mta_rules.warn_only"]


def _wanted(defence: Defence, question: str, of: Gateway) -> str:
    """Return what a host that has it all answers to a question."""
    return " ".join(each.wanted(of) for each in defence.sets if each.question(of) == question)


def test_more_than_a_level_asks_for_is_as_good() -> None:
    surface = next(each for each in KERNEL if each.id == "hardening.kernel-surface")
    at: dict[Level, dict[str, Answer]] = {}
    for level in LEVELS:
        of = items.at_level(GATEWAY, level)
        at[level] = {
            each.question(of): Answer(code=0, output=each.wanted(of), errors="") for each in surface.sets
        }
    assert at["moderate"] != at["paranoid"], "the record's values no longer depend on the level"

    def states(answers: dict[str, Answer]) -> list[str]:
        return [
            found.state
            for level in LEVELS
            for found in items.items([surface], GATEWAY, level, answers, contained=False)
        ]

    assert states(at["moderate"]) == ["yes", "partly"]
    assert states(at["paranoid"]) == ["yes", "yes"]


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
@pytest.mark.parametrize("answer", ["", "0", "no", "\x00\xff nonsense\n" * 3], ids=repr)
def test_every_record_bears_any_answer(mta: str, answer: str) -> None:
    of = gateway(mta=mta)
    asked = items.questions(DEFENCES, of, "paranoid")
    given = {each: Answer(code=0, output=answer, errors="") for each in asked}
    found = host(DEFENCES, {**answered({}), **given}, of=of)
    assert len(found.items) == len(DEFENCES)
    assert found.matches is None
    assert found.score.percent is not None
    assert found.score.percent < 40


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_a_host_without_any_program_has_nothing_and_nothing_breaks(mta: str) -> None:
    of = gateway(mta=mta)
    asked = items.questions(DEFENCES, of, "paranoid")
    missing = Answer(code=0, output="", errors="sh: 1: thing: not found\n")
    found = host(DEFENCES, {**answered({}), **dict.fromkeys(asked, missing)}, of=of)
    assert found.score.percent == 0
    assert {each.state for each in found.items} <= {"no", "not seen", "not applicable", "not declared"}


def test_a_level_asks_for_its_own_and_for_those_below() -> None:
    found = {level: host(DEFENCES, answered({}), level=level).items for level in LEVELS}
    for level in LEVELS:
        levels = {each.level for each in found[level]}
        assert levels == set(LEVELS[: LEVELS.index(level) + 1])
    declared = msgspec.structs.replace(GATEWAY, hardening_level="lax")
    assert len(host(DEFENCES, answered({}), of=declared).items) == len(DEFENCES)
