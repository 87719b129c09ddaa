"""docs/mta-rules.md: its examples are deployed together, and its dialogues spoken."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest

from lab.plan import LabState
from tests.acceptance.gateway import ROOT
from tests.acceptance.labs import INVENTORY, deploy
from tests.acceptance.lacking import missing
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_dialogs import spoken

PAGE = (ROOT / "docs/mta-rules.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [ast.literal_eval(text) for kind, text in BLOCKS if kind == "python"]
DIALOGUES = [text for kind, text in BLOCKS if kind == "smtp"]

CONTENT = "mta.content-rules"


def together() -> dict[str, Any]:
    """Return all examples as one gateway's settings: lists one after the other, tables merged, values as they are."""
    made: dict[str, Any] = {}
    for example in EXAMPLES:
        for setting, table in example.items():
            if not isinstance(table, dict):
                made[setting] = table
                continue
            own = made.setdefault(setting, {})
            for name, value in table.items():
                own[name] = [*own.get(name, ()), *value] if isinstance(value, list) else value
    if missing(CONTENT):
        del made["mta_rules"]["content"]
    return made


@pytest.fixture(scope="module")
def deployed(lab: LabState, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    file = varied(tmp_path_factory.mktemp("page"), f"data.update({together()!r})")
    try:
        done = deploy("apply", file, lab=lab.name)
        assert done.returncode == 0, done.stderr[-3000:]
        yield lab
    finally:
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 6
    assert len(DIALOGUES) >= 8


@pytest.mark.parametrize("number", range(len(DIALOGUES)))
def test_dialogue(number: int, deployed: LabState) -> None:
    if (why := missing(CONTENT)) and re.search(r"rule mta\\\.(header|mime|body)\\\.", DIALOGUES[number]):
        pytest.skip(why)
    spoken(DIALOGUES[number], deployed)
