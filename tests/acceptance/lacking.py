"""What a live test does where it cannot run: it skips and says why; under CI, where all must run, it fails."""

import os
from typing import NoReturn

import pytest


def lacks(what: str) -> NoReturn:
    """End the test: skipped, or failed if CI is set; ``what`` says what was lacking and how to get it."""
    if os.environ.get("CI"):
        pytest.fail(f"under CI no test is skipped: {what}", pytrace=False)
    pytest.skip(what)
