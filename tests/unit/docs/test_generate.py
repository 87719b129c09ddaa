"""The generated pages: the same each time, stale when the code or the page changes, and whole."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct, inspect

from docs import defence_page, generate, struct_table
from docs.markdown import code, table
from inventory.example import gateways
from roles.defence import Defence
from roles.kinds import MainCf
from roles.registry import DEFENCES, LAYERS
from roles.settings import Gateway

ROOT = Path(__file__).parents[3]
GATEWAY = Gateway.of(gateways[0][1])


class Sample(Struct, frozen=True, kw_only=True):
    """A struct with one field of each sort."""

    name: Annotated[str, Meta(description="What it is called.", max_length=9)]
    ports: tuple[Annotated[int, Meta(ge=1, le=9)], ...] = ()
    mode: Literal["a", "b"] = "b"
    seconds: Annotated[float, Meta(gt=0)] = 2.5  # from the first byte
    extra: dict[str, str] = {}


def test_written_pages_are_not_stale_and_a_changed_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check"], tmp_path) == 1
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    capsys.readouterr()
    page = tmp_path / "settings.md"
    page.write_text(page.read_text().replace("sshd", "telnetd"))
    assert generate.main(["--check"], tmp_path) == 1
    said = capsys.readouterr().err
    assert "docs/settings.md is stale" in said
    assert "python -m docs.generate" in said
    assert "defences.md" not in said
    assert "telnetd" in page.read_text(), "a check must write nothing"


def test_writing_touches_only_what_is_stale(tmp_path: Path) -> None:
    generate.main([], tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "filterd.md").unlink()
    generate.main([], tmp_path)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"filterd.md"}


def test_output_does_not_depend_on_the_process() -> None:
    script = "from docs.generate import pages; import hashlib; print(hashlib.sha256(repr(pages()).encode()).hexdigest())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_a_new_record_makes_the_page_stale() -> None:
    record = Defence(
        id="mta.extra",
        title="One more",
        why="It is there.",
        rows=("A20",),
        sets=(MainCf("x", "a|b"),),
        unseen="Nothing | to see.",
        lacks={"sendmail": "It is not what is tried here."},
    )
    layers = tuple((name, (*own, record) if name == "mta" else own) for name, own in LAYERS)
    before, after = defence_page.text(LAYERS, GATEWAY), defence_page.text(layers, GATEWAY)
    assert before != after
    assert "### mta.extra" in after
    assert r"`a\|b`" in after


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.id)
def test_each_record_is_told_whole(defence: Defence) -> None:
    page = defence_page.text(LAYERS, GATEWAY)
    section = page.partition(f"### {defence.id}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert defence.why in section
    rows = [line for line in section.splitlines() if line.startswith("| ") and "---" not in line]
    heads = bool(defence.sets) + bool(defence.claims)
    assert len(rows) == len(defence.sets) + len(defence.claims) + heads
    assert not defence.unseen or defence.unseen in section


def test_each_setting_has_a_meaning() -> None:
    for line in struct_table.settings(Gateway).splitlines()[2:]:
        assert line.rstrip(" |").rpartition("| ")[2].endswith("."), line


def test_settings_table_shows_type_default_bounds_and_meaning() -> None:
    lines = struct_table.settings(Sample).splitlines()
    assert lines[0] == "| Setting | Type | Default | Bounds | Meaning |"
    assert lines[2:] == [
        "| `name` | text | required | up to 9 characters | What it is called. |",
        "| `ports` | list of whole number | `[]` | each: 1 to 9 |  |",
        '| `mode` | `"a"` or `"b"` | `"b"` |  |  |',
        "| `seconds` | number | `2.5` | above 0 | From the first byte. |",
        "| `extra` | table: text to text | `{}` |  |  |",
    ]


def test_a_type_without_words_is_refused() -> None:
    with pytest.raises(TypeError, match="_WORDS"):
        struct_table._type(inspect.type_info(bytes))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "(empty)"),
        ("a|b", r"`a\|b`"),
        ("one\ntwo", "`one`<br>`two`"),
        ("a`b", "``a`b``"),
        ("`b", "`` `b ``"),
    ],
)
def test_code_survives_tables(text: str, shown: str) -> None:
    assert code(text) == shown


def test_a_cell_is_one_line() -> None:
    assert table(("A",), [("x\ny",)]) == "| A |\n| --- |\n| x y |\n"
