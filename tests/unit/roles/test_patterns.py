"""Patterns of settings: none takes a text with a line end behind it, as `$` does in Python (re, "Regular Expression Syntax")."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from filterd.config import Config
from roles.errors import SettingError
from roles.settings import Gateway
from tests.unit.roles.examples import gateway


def patterns(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(pattern := found.get("pattern"), str):
            yield pattern
        for each in found.values():
            yield from patterns(each)
    elif isinstance(found, list):
        for each in found:
            yield from patterns(each)


@pytest.mark.parametrize("settings", [Gateway, Config])
def test_13_no_pattern_of_a_setting_ends_before_a_line_end(settings: Any) -> None:
    found = sorted(set(patterns(msgspec.json.schema(settings))))
    assert found
    assert not [each for each in found if re.search(r"(?<!\\)\$", each)]


@pytest.mark.parametrize(
    "changes",
    [
        {"dnsbl": [{"id": "zen\n", "zone": "bl.example.net"}]},
        {"reports": {"at": "03:00\n"}},
        {"integrity": {"at": "03:00\n"}},
    ],
)
def test_13_a_line_end_behind_a_value_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        gateway(**changes)
