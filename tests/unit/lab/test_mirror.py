"""The mirror's key and file names."""

import pytest

from lab import mirror
from lab.platforms import DEBIAN12, DEBIAN13, PLATFORMS


@pytest.mark.parametrize("platform", [DEBIAN12, DEBIAN13])
def test_it_holds_what_the_roles_install(platform: str) -> None:
    row = PLATFORMS[platform].row
    assert row is not None
    assert mirror.packages(platform) == (row.every_package("postfix"), row.every_package("sendmail"))
    # For the length of a scan (audit.scanners), and for servers that somebody has used before.
    assert mirror.sets(platform) == (*mirror.packages(platform), row.scanners, mirror.USED)


def test_each_platform_has_its_own() -> None:
    assert mirror.place(DEBIAN12) != mirror.place(DEBIAN13)


def test_key_changes_with_image_and_packages_but_not_with_their_order() -> None:
    key = mirror.key("gateway-1", [["a", "b"], ["c"]])
    assert key == mirror.key("gateway-1", [["c"], ["b", "a"]])
    others = (
        ("gateway-2", [["a", "b"], ["c"]]),
        ("gateway-1", [["a"], ["c"]]),
        ("gateway-1", [["a", "b", "c"]]),
    )
    assert len({key, *(mirror.key(*other) for other in others)}) == 4


@pytest.mark.parametrize(
    ("downloaded", "stored"),
    [
        ("postfix_3.7.11-0+deb12u1_amd64.deb", "postfix_3.7.11-0+deb12u1_amd64.deb"),
        ("dialog_1%3a2.3_all.deb", "dialog_2.3_all.deb"),
        ("g++_4%3a12.2.0-3_amd64.deb", "g++_12.2.0-3_amd64.deb"),
    ],
)
def test_stored_name_has_no_epoch(downloaded: str, stored: str) -> None:
    assert mirror.stored_name(downloaded) == stored
