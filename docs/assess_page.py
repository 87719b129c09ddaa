"""docs/assess.md: how a host is assessed; its prose stands in docs/sources/assess.md."""

import json
from pathlib import Path

import msgspec

from audit.assess.report.document import Document
from audit.assess.score import FORMULA
from docs.markdown import NOTICE, table
from roles.tasks import TASKS

SOURCE = Path(__file__).parent / "sources" / "assess.md"


def text() -> str:
    """Return the page: the source, with each `@NAME@` line replaced by what the code says."""
    text = SOURCE.read_text()
    schema = json.dumps(msgspec.json.schema(Document), indent=1, sort_keys=True)
    made = {"FORMULA": f"{FORMULA[:1].upper()}{FORMULA[1:]}\n", "TASKS": _tasks(), "SCHEMA": f"{schema}\n"}
    for name, part in made.items():
        if f"@{name}@\n" not in text:
            raise ValueError(f"{SOURCE.name} has no place for @{name}@; put it where that is to stand")
        text = text.replace(f"@{name}@\n", part)
    return f"{NOTICE}\n<!-- Its prose stands in docs/sources/{SOURCE.name}. -->\n\n{text}"


def _tasks() -> str:
    return table(
        ("Id", "Task", "Why", "Asked of", "Then holds"),
        [
            (f"`{each.id}`", each.title, each.why, ", ".join(each.asked_of) or "you", _defence(each.defence))
            for each in TASKS
        ],
    )


def _defence(id_: str) -> str:
    return f"[{id_}](defences.md#{id_.replace('.', '')})" if id_ else ""
