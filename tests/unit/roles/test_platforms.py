"""The platform table: what is known of a distribution, and what is said of one that is not."""

import re

import pytest

from roles.errors import SettingError
from roles.mta.agents import AGENTS
from roles.platforms import DEBIAN_12, PLATFORMS, Platform, platform_of
from roles.registry import LAYERS
from roles.settings import Mta


def test_debian_12_is_known_by_its_os_release() -> None:
    assert platform_of("debian", "12") is DEBIAN_12


@pytest.mark.parametrize(
    ("os_id", "version"),
    [("debian", "11"), ("debian", ""), ("Debian", "12"), ("rocky", "9"), ("", ""), ("None", "None")],
)
def test_an_unknown_platform_is_refused_by_name_with_the_known_ones(os_id: str, version: str) -> None:
    with pytest.raises(SettingError) as error:
        platform_of(os_id, version)
    assert f"{os_id} {version}" in str(error.value)
    assert all(platform.title in str(error.value) for platform in PLATFORMS)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.title)
class TestEveryPlatform:
    def test_it_names_packages_for_each_layer_and_no_other(self, platform: Platform) -> None:
        assert {*platform.packages, "mta"} == {layer for layer, _ in LAYERS}
        assert all((*platform.packages.values(), *platform.parts.values(), *platform.mta.values()))
        assert set(platform.mta) == set(AGENTS)

    @pytest.mark.parametrize("mta", AGENTS)
    def test_package_names_are_what_dpkg_takes(self, platform: Platform, mta: Mta) -> None:
        # Debian policy 5.6.1
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in platform.every_package(mta))

    @pytest.mark.parametrize("mta", AGENTS)
    def test_every_package_is_listed_once_and_sorted(self, platform: Platform, mta: Mta) -> None:
        layers = (*platform.packages.values(), *platform.parts.values(), platform.mta[mta])
        assert list(platform.every_package(mta)) == sorted({name for names in layers for name in names})


def test_no_platform_is_in_the_table_twice() -> None:
    assert len({platform.os_release for platform in PLATFORMS}) == len(PLATFORMS)
