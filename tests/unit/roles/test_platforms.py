"""The platform table: what is known of a distribution, and what is said of one that is not."""

import re
from typing import get_args

import pytest

from roles.defence import Lacking
from roles.errors import SettingError
from roles.kinds import HostState, Sandbox, resolved
from roles.managers import APT
from roles.mta.agents import AGENTS
from roles.platforms import DEBIAN_12, DEBIAN_13, EL_9, PLATFORMS, Platform, row
from roles.registry import LAYERS
from roles.session import platform_of
from roles.settings import Mta, PlatformName
from tests.unit.roles.examples import gateway


def test_platforms_are_known_by_their_os_release_and_by_name() -> None:
    assert platform_of("debian", "12") is DEBIAN_12
    assert platform_of("debian", "13") is DEBIAN_13
    assert platform_of("rocky", "9.6") is platform_of("almalinux", "9") is EL_9
    assert row(gateway()) is DEBIAN_12
    assert row(gateway(platform="debian13")) is DEBIAN_13
    assert {each.name for each in PLATFORMS} == set(get_args(PlatformName))


def test_a_unit_is_called_as_under_debian_12_where_nothing_else_is_said() -> None:
    assert DEBIAN_13.unit("postfix@-.service") == "postfix.service"
    assert DEBIAN_13.unit("ssh.service") == DEBIAN_12.unit("ssh.service") == "ssh.service"


# What each record asks and writes for a platform beside the first one, by a word that is that platform's alone.
@pytest.mark.parametrize(
    ("platform", "unit", "ready", "mount"),
    [
        ("debian12", "postfix@-.service", "configure-instance.sh %i", " /bin/mount "),
        ("debian13", "postfix.service", "/usr/sbin/postfix check", " /usr/bin/mount "),
    ],
)
def test_records_speak_the_platforms_words(platform: PlatformName, unit: str, ready: str, mount: str) -> None:
    mine = gateway(platform=platform)
    sets = {each.id: each.sets for layer in LAYERS for each in layer[1]}
    (box,) = (each for each in sets["sandbox.postfix"] if isinstance(each, Sandbox))
    assert all(unit in each.question(mine) for each in sets["sandbox.postfix"])
    assert [line for each in box.directives if (line := resolved(each, mine)).endswith(ready)]
    (left,) = (each for each in sets["hardening.few-privileged-programs"] if isinstance(each, HostState))
    assert mount in left.question(mine).replace("in ", "in  ")
    assert mount in left.remedy_of(mine).replace("in ", "in  ")


@pytest.mark.parametrize(
    ("os_id", "version"),
    [
        ("debian", "11"),
        ("debian", ""),
        ("Debian", "12"),
        ("rocky", "10.1"),
        ("fedora", "42"),
        ("rocky", "90"),
        ("", ""),
        ("None", "None"),
    ],
)
def test_an_unknown_platform_is_refused_by_name_with_the_known_ones(os_id: str, version: str) -> None:
    with pytest.raises(SettingError) as error:
        platform_of(os_id, version)
    assert f"{os_id} {version}" in str(error.value)
    assert all(platform.title in str(error.value) for platform in PLATFORMS)


@pytest.mark.parametrize(("os_id", "version"), [("centos", "7"), ("rocky", "8.10"), ("rhel", "8.4")])
def test_el_7_and_8_are_refused_by_name(os_id: str, version: str) -> None:
    with pytest.raises(SettingError, match=r"EL 7 and 8 .* will not be supported"):
        platform_of(os_id, version)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.title)
class TestEveryPlatform:
    def test_it_names_packages_for_each_layer_and_no_other(self, platform: Platform) -> None:
        without = {layer for layer, _ in LAYERS} & platform.lacks.keys()
        assert {*platform.packages, "mta"} == {layer for layer, _ in LAYERS} - without
        assert all((*platform.parts.values(), platform.mta["postfix"]))
        assert set(platform.mta) == set(AGENTS)

    @pytest.mark.parametrize("mta", AGENTS)
    def test_package_names_are_what_a_package_manager_takes(self, platform: Platform, mta: Mta) -> None:
        # Debian policy 5.6.1; RPM's may have capitals
        letters = "a-z" if platform.manager is APT else "A-Za-z"
        named = re.compile(rf"[{letters}0-9][{letters}0-9+.-]+")
        assert all(named.fullmatch(name) for name in platform.every_package(mta))

    @pytest.mark.parametrize("mta", AGENTS)
    def test_every_package_is_listed_once_and_sorted(self, platform: Platform, mta: Mta) -> None:
        layers = (*platform.packages.values(), *platform.parts.values(), platform.mta[mta])
        assert list(platform.every_package(mta)) == sorted({name for names in layers for name in names})


def test_no_platform_is_in_the_table_twice() -> None:
    known = [(os_id, platform.version) for platform in PLATFORMS for os_id in platform.os_ids]
    assert len(set(known)) == len(known)
    assert len({platform.name for platform in PLATFORMS}) == len(PLATFORMS)


def test_a_text_is_said_in_the_platforms_words() -> None:
    text = "cp $stage/etc/clamav/clamd.conf '/etc/clamav/x.conf'; python3 -I /opt/x/bin/python3 /usr/bin/python3; ls /etc/clamavs"
    assert DEBIAN_12.here(text) == text
    assert EL_9.here(text) == (
        "cp $stage/etc/clamd.d/scan.conf '/etc/clamd.d/x.conf'; python3.11 -I /opt/x/bin/python3 /usr/bin/python3.11; ls /etc/clamavs"
    )
    drop_in = "/etc/systemd/system/clamav-daemon.service.d/bastide.conf"
    assert EL_9.here(drop_in) == "/etc/systemd/system/clamd@scan.service.d/bastide.conf"
    assert EL_9.here("systemctl show xspamd.service") == "systemctl show xspamd.service"


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.title)
def test_what_was_said_in_the_platforms_words_stays_so(platform: Platform) -> None:
    words = (*platform.units, *platform.paths, *platform.programs)
    assert all(platform.here(platform.here(word)) == platform.here(word) for word in words)
    sets = [setting for layer in LAYERS for defence in layer[1] for setting in defence.sets]
    mine = gateway(platform=platform.name)
    asked = [each.question(mine) for each in sets if getattr(each, "mta", None) != "sendmail"]
    assert all(platform.here(question) == question for question in asked if "postfix@-" not in question)


def test_a_record_that_the_platform_lacks_says_why_in_place_of_its_checks() -> None:
    known = {defence.id: defence for layer in LAYERS for defence in layer[1]}
    mine = gateway(platform="el9")
    assert all(name in known or name in dict(LAYERS) for name in EL_9.lacks)
    for name in ("sandbox.apparmor", "hardening.su", "integrity.baseline"):
        (instead,) = known[name].checks(mine)
        assert isinstance(instead, Lacking)
        assert not known[name].stands(mine)
    assert known["sandbox.selinux"].stands(mine)
    assert not known["sandbox.selinux"].stands(gateway())


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"integrity": {"engine": "aide"}}, "integrity.engine"),
        ({"mta": "sendmail"}, "mta"),
        ({"tls": {"mta_sts": True}}, "tls.mta_sts"),
        ({"tls": {"certificate": "acme"}}, "tls.certificate"),
    ],
)
def test_what_the_platform_cannot_have_is_refused_and_is_no_default(
    given: dict[str, object], setting: str
) -> None:
    plain = gateway(platform="el9")
    assert (plain.integrity.engine, plain.tls.mta_sts) == ("none", False)
    with pytest.raises(SettingError, match=rf"`{re.escape(setting)}`: .* is not possible on el9: .*; write "):
        gateway(platform="el9", **given)
