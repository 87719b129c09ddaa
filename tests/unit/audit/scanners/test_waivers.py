"""The waivers: each with a reason and with what compensates it; and the tailoring that is made of them."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from audit.scanners import tailoring
from audit.scanners.accepted import LYNIS, SSH_AUDIT, UNITS, named
from audit.scanners.errors import ScanError
from audit.scanners.waivers import MACHINE, REFINED, WAIVED, Refined, Waived
from roles.hardening.settings import LEVELS, Level
from roles.registry import DEFENCES

XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
BY_ID = {each.id: each for each in DEFENCES}
ID = "xccdf_org.ssgproject.content_"
# A data stream as Debian's package has it, but for its size.
CONTENT = f"""<collection xmlns:x="http://checklists.nist.gov/xccdf/1.2"><x:Benchmark>
<x:Value id="{ID}value_var_deny"/>
<x:Group><x:Rule id="{ID}rule_kernel_config_bug"/><x:Rule id="{ID}rule_kernel_config_list"/></x:Group>
<x:Rule id="{ID}rule_package_sendmail_removed"/>
</x:Benchmark></collection>"""
WHY = "It is <one> of the two."


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "ds.xml"
    path.write_text(CONTENT)
    return path


@pytest.mark.parametrize("waived", WAIVED, ids=lambda each: each.rules[0])
def test_each_waiver_has_a_reason_and_something_in_its_place(waived: Waived) -> None:
    assert waived.why.endswith(".")
    assert waived.instead
    assert [name for name in waived.instead if name != MACHINE and name not in BY_ID] == []
    assert all(re.fullmatch(r"[A-Za-z0-9_*-]+", rule) for rule in waived.rules)


@pytest.mark.parametrize("waived", [each for each in WAIVED if each.below], ids=lambda each: each.rules[0])
def test_what_is_waived_below_a_level_is_what_that_level_has(waived: Waived) -> None:
    assert waived.below in {BY_ID[name].level for name in waived.instead}


def test_no_rule_is_waived_twice() -> None:
    rules = [rule for each in WAIVED for rule in each.rules]
    assert len(set(rules)) == len(rules)


@pytest.mark.parametrize("refined", REFINED, ids=lambda each: each.value)
def test_each_value_has_a_reason(refined: Refined) -> None:
    assert refined.why.endswith(".")
    assert refined.to


def test_what_stays_is_named_once_and_has_a_reason() -> None:
    for accepted in (LYNIS, SSH_AUDIT, UNITS):
        assert len(named(accepted)) == sum(len(each.names) for each in accepted)
        assert all(each.why.endswith(".") and each.asks for each in accepted)


@pytest.mark.parametrize("level", LEVELS)
def test_the_tailoring_deselects_what_is_waived_on_that_level(content: Path, level: Level) -> None:
    waived = (
        Waived(rules=("kernel_config_*",), why=WHY, instead=(MACHINE,)),
        Waived(rules=("package_sendmail_removed",), why=WHY, instead=("a.b",), below="paranoid"),
    )
    refined = (Refined(value="var_deny", to="5", why="So."),)
    root = ET.fromstring(tailoring.text(content, level, waived=waived, refined=refined))  # noqa: S314 - made here
    profiles = {each.get("extends", ""): each for each in root.iter(f"{XCCDF}Profile")}
    assert set(profiles) == {tailoring.published(name) for name in tailoring.PROFILES}
    expected = {"kernel_config_bug", "kernel_config_list"}
    if level != "paranoid":
        expected.add("package_sendmail_removed")
    for profile in profiles.values():
        selected = list(profile.iter(f"{XCCDF}select"))
        assert {each.get("idref", "").removeprefix(f"{ID}rule_") for each in selected} == expected
        assert {each.get("selected") for each in selected} == {"false"}
        assert WHY in "".join(selected[0].itertext())
        (value,) = profile.iter(f"{XCCDF}set-value")
        assert (value.get("idref"), value.text) == (f"{ID}value_var_deny", "5")


def test_a_waiver_or_value_that_the_content_lacks_is_said(content: Path) -> None:
    absent = Waived(rules=("package_lpr_removed",), why=WHY, instead=(MACHINE,))
    with pytest.raises(ScanError, match="no rule package_lpr_removed"):
        tailoring.text(content, "lax", waived=(absent,), refined=())
    with pytest.raises(ScanError, match="no value var_tries"):
        tailoring.text(content, "lax", waived=(), refined=(Refined(value="var_tries", to="1", why="So."),))
