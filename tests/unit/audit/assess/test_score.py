"""The score: what it counts, what it does not, and that mending never lowers it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.assess.items import Item, Verdict
from audit.assess.score import by_layer, levels, matched, score
from tests.unit.audit.assess.samples import item

STATES: Sequence[Verdict] = ("yes", "no", "not seen")
SETTINGS = st.lists(st.sampled_from(STATES), max_size=6)
HOSTS = st.lists(st.tuples(SETTINGS, st.integers(1, 10)), min_size=1, max_size=8)
Host = list[tuple[list[Verdict], int]]


def made(host: Host) -> list[Item]:
    return [item(*states, weight=weight, id_=f"mta.n{at}") for at, (states, weight) in enumerate(host)]


@given(HOSTS)
def test_mending_any_setting_never_lowers_the_score(host: Host) -> None:
    before = score(made(host))
    for states, _ in host:
        for at, state in enumerate(states):
            if state == "no":
                states[at] = "yes"
                after = score(made(host))
                assert before.percent is not None
                assert after.percent is not None
                assert after.held > before.held
                assert after.percent >= before.percent
                states[at] = "no"


@given(HOSTS, st.data())
def test_whatever_is_wrong_somewhere_it_is_less_than_100(host: Host, data: st.DataObject) -> None:
    states, _ = data.draw(st.sampled_from(host))
    states.append("no")
    found = score(made(host))
    assert found.percent is not None
    assert found.percent < 100


@given(HOSTS)
def test_all_that_was_seen_held_is_100_and_none_of_it_is_0(host: Host) -> None:
    ends: Sequence[tuple[Verdict, float]] = (("yes", 100), ("no", 0))
    for verdict, percent in ends:
        changed: Host = [
            ([each if each == "not seen" else verdict for each in states], weight) for states, weight in host
        ]
        found = score(made(changed))
        seen = any(each != "not seen" for states, _ in host for each in states)
        assert found.percent == (percent if seen else None)


@given(HOSTS)
def test_what_was_not_seen_is_beside_the_score_and_within_its_bounds(host: Host) -> None:
    found = score(made(host))
    assert found.weight == sum(weight for _, weight in host)
    assert found.seen + found.unseen == pytest.approx(found.weight)
    assert 0 <= found.held <= found.seen <= found.weight
    assert found.at_least is not None
    assert found.at_most is not None
    if found.percent is not None:
        assert found.at_least <= found.percent <= found.at_most
    bounds: Sequence[tuple[Verdict, float]] = (("no", found.at_least), ("yes", found.at_most))
    for verdict, bound in bounds:
        whole: Host = [(states or [verdict], weight) for states, weight in host]
        told: Host = [([verdict if each == "not seen" else each for each in s], w) for s, w in whole]
        assert score(made(told)).percent == bound


def test_a_defence_counts_by_what_of_it_holds() -> None:
    assert score([item("yes", "yes", "yes", "no", weight=8)]).held == 3
    assert score([item("yes", "yes", "yes", "yes", weight=8)]).held == 8
    assert score([item("no", "no", weight=8)]).held == 0
    part = score([item("yes", "yes", "yes", "not seen", weight=8)])
    assert (part.held, part.seen, part.unseen, part.percent) == (6, 6, 2, 100)
    assert (part.at_least, part.at_most) == (37.5, 100)
    # What is seen to be wrong is judged whole: what was not seen of it is no excuse, and no credit.
    wrong = score([item("yes", "no", "not seen", "not seen", weight=8)])
    assert (wrong.held, wrong.seen, wrong.at_least, wrong.at_most) == (1, 8, 12.5, 37.5)


def test_per_cent_are_cut_and_never_rounded_up() -> None:
    many = [item("yes", id_=f"mta.n{at}", weight=10) for at in range(1000)]
    assert score([*many, item("no", weight=1)]).percent == 99.9


def test_what_the_mta_lacks_or_nobody_declared_has_no_weight() -> None:
    counted = score([item("yes"), item(state="not applicable"), item(state="not declared")])
    assert (counted.weight, counted.percent) == (5, 100)


def test_what_only_an_outsider_sees_is_all_weight_that_was_not_seen() -> None:
    alone = score([item(state="not seen", weight=9)])
    assert (alone.weight, alone.seen, alone.percent, alone.at_least, alone.at_most) == (9, 0, None, 0, 100)


def test_each_layer_has_a_score_of_its_own() -> None:
    layers = by_layer([item("yes"), item("no", id_="dns.one"), item("yes", id_="dns.two")])
    assert {layer: found.percent for layer, found in layers.items()} == {"mta": 100, "dns": 50}


LAX = item("yes", id_="mta.lax")
MODERATE = item("yes", id_="mta.moderate", level="moderate")
PARANOID = item("no", id_="mta.paranoid", level="paranoid")


def test_a_host_matches_the_highest_level_of_which_all_holds() -> None:
    found = levels({"lax": [LAX], "moderate": [LAX, MODERATE], "paranoid": [LAX, MODERATE, PARANOID]})
    assert matched(found) == "moderate"
    assert [each.lacking for each in found] == [(), (), ("mta.paranoid",)]
    assert [each.score.percent for each in found] == [100, 100, 66.6]
    assert [each.adds.percent for each in found] == [100, 100, 0]


def test_a_level_with_one_thing_missing_is_not_matched_whatever_the_ones_above_say() -> None:
    broken = item("yes", "no", id_="mta.lax")
    found = levels({"lax": [broken], "moderate": [broken, MODERATE]})
    assert matched(found) is None
    assert found[1].lacking == ("mta.lax",)


def test_a_level_of_which_too_little_was_seen_is_not_claimed() -> None:
    hidden = [item("not seen", id_="mta.kernel", level="paranoid", weight=6)]
    shown = [item("yes", id_="mta.tools", level="paranoid", weight=2)]
    near = levels({"lax": [LAX], "moderate": [LAX], "paranoid": [LAX, *hidden, *shown]})
    assert matched(near) == "moderate"
    assert (near[2].lacking, near[2].unseen, near[2].told) == ((), ("mta.kernel",), False)
    more = levels({"lax": [LAX], "paranoid": [LAX, *hidden, item("yes", level="paranoid", weight=6)]})
    assert matched(more) == "paranoid"


def test_a_host_of_which_nothing_was_seen_matches_nothing() -> None:
    assert matched(levels({"lax": [item("not seen")]})) is None
