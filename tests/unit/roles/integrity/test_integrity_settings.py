"""What is watched is in the engine's configuration, and settings that cannot be used are refused."""

import pytest

from roles.errors import SettingError
from roles.integrity.onhost import baseline, cli
from roles.integrity.paths import FILES, HOME
from roles.integrity.settings import Integrity
from roles.integrity.watching import LEFT_OUT, WATCHED, lines
from roles.operations import NOTES
from tests.unit.roles.examples import gateway


def test_each_place_has_its_reason_and_what_is_left_out_comes_first() -> None:
    found = list(lines(Integrity(watch=("/srv/keys.d",), leave_out={"/etc/own.state": "it counts"})))
    assert [line for line in found if line.startswith("!")] == found[1 : 2 * len(LEFT_OUT) + 2 : 2]
    assert "!/etc/own\\.state(/|$)" in found
    assert found[found.index("!/etc/own\\.state(/|$)") - 1] == "# it counts"
    assert found[-4:] == [
        "/srv/keys\\.d$ d OwnerMode",
        "/srv/keys\\.d$ InodeData",
        "/srv/keys\\.d/ d OwnerMode",
        "/srv/keys\\.d/ InodeData",
    ]
    assert all(place.why for place in (*WATCHED, *LEFT_OUT))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"watch": ["etc"]}, "`integrity.watch`"),
        ({"watch": ["/"]}, "`integrity.watch`"),
        ({"watch": ["/a b"]}, "`integrity.watch`"),
        ({"leave_out": {"/etc/x/": "why"}}, "`integrity.leave_out`"),
        ({"leave_out": {"/etc/x": " "}}, "has no reason"),
        ({"leave_out": {"/etc/x": "a\nb"}}, "has no reason"),
        ({"watch": ["/a"], "leave_out": {"/a": "why"}}, "in one of both"),
        ({"engine": "osiris"}, "engine"),
        ({"at": "24:00"}, "at"),
    ],
)
def test_what_cannot_be_used_is_refused(setting: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        gateway(integrity=setting)


def test_the_host_and_the_control_host_mean_the_same_places() -> None:
    assert str(baseline.HOME) == HOME
    assert (*baseline.KEPT, baseline.CHAIN) == FILES
    assert str(cli.NOTE.parent) == NOTES
