"""What a live test does where it cannot run: it skips and says why; under CI, where all must run, it fails."""

import os
from typing import NoReturn

import pytest

from roles.absent import ABSENT
from roles.managers import APT
from roles.platforms import row
from roles.registry import DEFENCES
from tests.acceptance.gateway import SETTINGS

# The mark of tests that compare a host by dpkg's books, or install there by apt.
OF_APT = pytest.mark.skipif(
    row(SETTINGS).manager is not APT, reason="it asks apt and dpkg, which this platform has not"
)


def lacks(what: str) -> NoReturn:
    """End the test: skipped, or failed if CI is set; ``what`` says what was lacking and how to get it."""
    if os.environ.get("CI"):
        pytest.fail(f"under CI no test is skipped: {what}", pytrace=False)
    pytest.skip(what)


def missing(record: str) -> str:
    """Return why the lab's MTA or platform lacks a record, or nothing where both have it; what an id begins with means them all."""
    exact = [each for each in DEFENCES if each.id == record]
    lacked = [each.lacking(SETTINGS) for each in exact or DEFENCES if each.id.startswith(record)]
    assert lacked, record
    return "" if None in lacked else f"{record}: {lacked[0]}"


def needs(record: str) -> pytest.MarkDecorator:
    """Return the mark of a test that is about one record; where the MTA or the platform lacks it the test skips, with why."""
    why = missing(record)
    return pytest.mark.skipif(bool(why), reason=why)


def wants(setting: str) -> pytest.MarkDecorator:
    """Return the mark of a test that is about a setting; where the platform cannot have what it asks for the test skips, with why."""
    why = next((each.why for each in ABSENT.get(SETTINGS.platform, ()) if each.setting == setting), "")
    return pytest.mark.skipif(bool(why), reason=f"{setting}: {why}")
