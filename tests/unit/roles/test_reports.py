"""The daily report's settings and units."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from roles.errors import SettingError
from roles.rendering import rendered
from roles.reports.defences import SERVICE, STATE, TIMER
from roles.settings import Gateway
from tests.unit.roles.examples import gateway


def unit(name: str, chosen: Gateway) -> str:
    return rendered("reports", f"{name}.j2", chosen, state=STATE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": "ops"}, "setting `reports.address`: 'ops' is not a mail address"),
        ({"address": 'a@example.org"\nrows = 1'}, "setting `reports.address`"),
        ({"at": "24:00"}, "at"),
        ({"at": "0:15"}, "at"),
        ({"at": "00:15\nOnBootSec=1"}, "at"),
        ({"days": 0}, "days"),
        ({"rows": 1001}, "rows"),
        ({"hour": 3}, "hour"),
    ],
)
def test_what_cannot_be_is_refused_with_its_setting(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        gateway(reports=changes)


def test_an_address_of_somebody_else_is_taken() -> None:
    assert gateway(reports={"address": "ops@example.com"}).reports.address == "ops@example.com"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("at", ["00:00", "00:15", "23:59"])
def test_the_timer_is_due_once_a_day_at_the_time_that_is_set(at: str) -> None:
    (when,) = re.findall(r"(?m)^OnCalendar=(.*)$", unit(TIMER, gateway(reports={"at": at})))
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=3", when],
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    due = re.findall(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC", done.stdout)
    assert len({day for day, _ in due}) == 3
    assert {time for _, time in due} == {f"{at}:00"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_services_exposure_is_low(tmp_path: Path) -> None:
    path = tmp_path / SERVICE
    path.write_text(unit(SERVICE, gateway()))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_may_write_where_filterd_keeps_its_state_alone() -> None:
    assert re.findall(r"(?m)^ReadWritePaths=(.*)$", unit(SERVICE, gateway())) == ["/var/lib/filterd"]
