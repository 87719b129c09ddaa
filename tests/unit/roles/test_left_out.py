"""Defences of the hardening layer that an operator leaves out, with a reason (issue 6)."""

import pytest

from audit.assess.items import items
from audit.engine import items as audited
from roles.errors import SettingError
from roles.hardening.defences import DEFENCES
from roles.hardening.files import files, sysctl_file
from roles.platforms import row
from roles.settings import Gateway
from tests.unit.roles.examples import gateway

REASON = "our authority signs the administrators' keys"


def without(name: str) -> Gateway:
    return gateway(hardening_level="paranoid", hardening={"left_out": {name: REASON}})


@pytest.mark.parametrize(
    "name", [each.id for each in DEFENCES if each.stands(gateway(hardening_level="paranoid"))]
)
def test_each_can_be_left_out_and_is_then_never_taken_for_held(name: str) -> None:
    chosen = without(name)
    # What is left can still be written.
    assert sysctl_file(chosen)
    assert list(files(chosen, row(chosen)))
    (defence,) = [each for each in DEFENCES if each.id == name]
    assert not defence.stands(chosen)
    (item,) = audited([defence], chosen)
    assert item.id == f"{name}:left-out"
    assert REASON in getattr(item.check, "why", "")
    (assessed,) = items([defence], chosen, "paranoid", {}, contained=False)
    assert assessed.state == "no"
    assert [(each.name, each.state) for each in assessed.settings] == [("hardening.left_out", "no")]


def test_what_is_left_out_is_not_written() -> None:
    name = "hardening.no-router-advertisements"
    assert "accept_ra" in sysctl_file(gateway()).content
    assert "accept_ra" not in sysctl_file(without(name)).content


def test_what_a_level_does_not_ask_for_is_not_reported_as_left_out() -> None:
    (high,) = [each for each in DEFENCES if each.level == "paranoid"][:1]
    assert high.checks(gateway(hardening_level="lax", hardening={"left_out": {high.id: REASON}})) == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"hardening.ssh-own-key": REASON}, "did you mean `hardening.ssh-own-keys`"),
        ({"mta.no-relay": REASON}, "is no defence of the hardening layer"),
        ({"hardening.ssh-own-keys": " "}, "hardening.left_out"),
        (["hardening.ssh-own-keys"], "hardening.left_out"),
    ],
)
def test_an_id_that_is_none_and_a_reason_that_is_none_are_refused(value: object, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        gateway(hardening={"left_out": value})
