"""What a host may have besides its system: the lists of what deploys bring are what they bring."""

import re
from pathlib import Path

import pytest

from roles.errors import SettingError
from roles.filterd.wheelhouse import wheelhouse
from roles.hardening.defences.declared import UNITS, _expression
from roles.platforms import DEBIAN_12
from roles.settings import Gateway
from tests.unit.roles.examples import SETTINGS
from tests.unit.roles.plans import Case, plans
from tests.unit.roles.test_layers import BARE


def written(directory: Path) -> set[str]:
    """Return the names of the units that deploys write, with either MTA."""
    wheels = directory / wheelhouse(DEBIAN_12.python)
    wheels.mkdir(parents=True)
    (wheels / "release").write_text("0.1.0+abcdef12\n")
    (wheels / "requirements.lock").write_text("bastide-filterd==0.1.0 --hash=sha256:0\n")
    cases = {
        mta: Case(target="deploy.py", data={**SETTINGS, "mta": mta}, responses=BARE)
        for mta in ("postfix", "sendmail")
    }
    found = plans(cases, directory)
    assert {plan.error for plan in found.values()} == {""}
    form = re.compile(r"/etc/systemd/system/([\w-]+)\.(?:service|timer)$")
    return {match[1] for plan in found.values() for path in plan.uploads() if (match := form.search(path))}


def test_each_unit_that_a_deploy_writes_is_declared_and_no_other(tmp_path: Path) -> None:
    assert written(tmp_path) == set(UNITS)


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("g++-12", True),
        ("g++", False),
        ("libx11.6", True),
        ("libx1116", False),
        ("linux-image-6.1", True),
        ("notlinux-x", False),
    ],
)
def test_names_are_matched_whole_and_as_they_are(name: str, *, matches: bool) -> None:
    assert bool(re.search(_expression(["g++-*", "libx11.6", "linux-*"]), name)) is matches


@pytest.mark.parametrize(
    ("setting", "name"),
    [("packages", "$(id)"), ("packages", "a b"), ("units", "x;reboot"), ("units", "a|b"), ("units", "")],
)
def test_a_name_that_a_shell_would_obey_is_refused(setting: str, name: str) -> None:
    own = {setting: {name: "why not"}}
    with pytest.raises(SettingError, match=f"hardening.{setting}"):
        Gateway.of({**SETTINGS, "hardening": own})
