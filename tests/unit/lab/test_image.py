"""The image's key: it names every input; which image is whose."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.image import MACHINE, SERVICES, gateway, image_of, images_for, key_of
from lab.plan import CONTAINER, VM, plan_lab
from lab.platforms import DEBIAN12, DEBIAN13, PLATFORMS

GATEWAY = gateway(DEBIAN12)
# Already on a server that an administrator can log in to over ssh, and that can be deployed to.
BARE = {"ca-certificates", "openssh-server", "python3", "sudo"}


def test_key_changes_with_each_input() -> None:
    others = [
        GATEWAY,
        SERVICES,
        replace(GATEWAY, packages=(*GATEWAY.packages, "more")),
        replace(GATEWAY, masked=()),
        replace(GATEWAY, suite="trixie"),
        replace(GATEWAY, disabled=("x.service",)),
    ]
    assert len({key_of(each) for each in others}) == len(others)


@pytest.mark.parametrize("platform", [DEBIAN12, DEBIAN13])
def test_gateway_image_holds_nothing_that_a_role_brings(platform: str) -> None:
    row = PLATFORMS[platform].row
    assert row is not None
    brought = {name for mta in row.mta for name in row.every_package(mta)}
    assert set(gateway(platform).packages) & brought <= BARE


def test_a_platform_is_the_gateways_alone() -> None:
    lab = plan_lab(name="lab", index=0, gateways=1, directory=Path("/state/lab"), platform=DEBIAN13)
    assert {name: image_of(host) for name, host in lab.hosts.items()} == {
        "gw1": gateway(DEBIAN13),
        "world": SERVICES,
        "mailhost": SERVICES,
    }
    assert (gateway(DEBIAN13).suite, SERVICES.suite) == ("trixie", "bookworm")


def test_what_is_built_is_what_the_hosts_are_of() -> None:
    assert images_for(CONTAINER, DEBIAN13) == (gateway(DEBIAN13), SERVICES)
    assert images_for(VM, DEBIAN12) == (GATEWAY, SERVICES, MACHINE)
