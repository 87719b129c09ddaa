"""The image's key: it names every input."""

from dataclasses import replace

from lab.image import GATEWAY, SERVICES, key_of
from roles.platforms import DEBIAN_12

# Already on a server that an administrator can log in to over ssh.
BARE = {"ca-certificates", "openssh-server", "sudo"}


def test_key_changes_with_each_input() -> None:
    others = [
        GATEWAY,
        SERVICES,
        replace(GATEWAY, packages=(*GATEWAY.packages, "more")),
        replace(GATEWAY, masked=()),
        replace(GATEWAY, disabled=("x.service",)),
    ]
    assert len({key_of(each) for each in others}) == len(others)


def test_gateway_image_holds_nothing_that_a_role_brings() -> None:
    assert (
        set(GATEWAY.packages) & ({name for mta in DEBIAN_12.mta for name in DEBIAN_12.every_package(mta)})
        <= BARE
    )
