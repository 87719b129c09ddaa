"""docs/filterd.md: every setting of filterd.toml, and the schemas of what filterd prints as JSON."""

import json
from collections.abc import Iterator

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from docs.markdown import page
from docs.struct_table import tables
from filterd.config import Config
from filterd.listing import StageListed
from filterd.scan import Scanned

_SOURCE = (
    "`/etc/filterd/filterd.toml`, read by `filterd/config/`, which refuses unknown names and settings that contradict "
    "each other; `filterd check` says what is wrong with a file, `filterd check --json` prints every setting in force, "
    "`filterd check --live` also asks the engines. On a gateway the file is rendered by "
    "`roles/filterd/templates/filterd.toml.j2` from the gateway's own [settings](settings.md): change those, not the "
    "file. Names that end in `_s` are seconds, `_bytes` bytes. What the actions, chains and groups mean stands in "
    "[policy.md](policy.md)."
)
_RULES = (
    "Rule ids, each with its mode: `on` counts, `warn` is reported and nothing is done, `off` does not count. "
    "`filterd stages` lists all rules; a rule of class not-inspected is always on.\n"
)
_SCAN = """\
## filterd scan

`filterd scan FILE…` examines messages as the gateway would, and says every finding, every decision and its reasons.
`-` is standard input. A file whose lines end in LF is read with CRLF, as the MTA would hand it over. What a chain attempts
(`clean`, `delete` …) is tried on a copy and examined again, as on the gateway; nothing is stored, sent or changed.

| Option | Meaning |
| --- | --- |
| `--sender ADDRESS` | Envelope sender; the null sender if left out. |
| `--recipient ADDRESS` | Envelope recipient; may be repeated. Left out: one whom no group names. |
| `--client IP`, `--helo NAME` | The sending host. |
| `--json` | One JSON object a message, a line each, of the schema below. |

Exit code: 0 all messages would be delivered, changed or not; 1 one would be refused, moved or discarded for someone;
2 usage or configuration; 3 one could not be inspected. The highest of all messages counts. 141: whoever read the output has
left (`filterd scan … | head`).
"""
_STAGES = """\
## filterd stages

`filterd stages` lists every stage and rule with class and title, and the mode in force in `--config FILE` outside of
groups (without it: the rule's own). `--json` prints one array of objects of this schema.
"""


def text() -> str:
    """Return the page."""
    sections = [f"{_head(path)}{section}" for path, section in _sections()]
    return page(
        "filterd's configuration and commands",
        _SOURCE,
        *sections,
        _SCAN,
        _schema(Scanned),
        _STAGES,
        _schema(StageListed),
    )


def _head(path: str) -> str:
    return f"## {path}\n\n"


def _sections() -> Iterator[tuple[str, str]]:
    """Yield each table of the file as it is written there, with its text; tables behind the one that they are in."""
    for name, field, text in tables(Config):
        if text:
            yield f"[{name}]" if isinstance(field.type, types.StructType) else f"[[{name}]]", text
        elif isinstance(field.type, types.DictType):
            yield f"[{name}]", _RULES


def _schema(struct: type[Struct]) -> str:
    schema = msgspec.json.schema(struct)
    return f"```json\n{json.dumps(schema, indent=1, sort_keys=True)}\n```\n"
