"""The corpus itself: enough of it, well formed where it means to be, and the test file whole in no file of ours."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.corpus import __main__ as command
from tests.corpus.payload import EICAR, HARMLESS
from tests.corpus.runner import Result, Sight, failed, report, run
from tests.corpus.table import BY_ID, VARIANTS
from tests.corpus.variant import FAMILIES, MALFORMED, Variant

# Line ends are what these are about.
_ODD_LINES = re.compile(r"bare-(cr|lf)|soft-(cr|lf)|cr-in-fold|binary|gzip|pdf|7bit|wide")


def test_payloads_differ_in_letters_alone() -> None:
    assert len(EICAR) == len(HARMLESS) == 68
    assert EICAR != HARMLESS
    assert {byte for byte in EICAR if not chr(byte).isalnum()} - set(HARMLESS) <= set(b"!")


def test_there_are_enough_variants_of_every_family() -> None:
    counted = Counter(one.family for one in VARIANTS if one.recoverable)
    assert counted.total() >= 150
    assert set(counted) == set(FAMILIES)
    assert min(counted.values()) >= 20


def test_titles_tell_variants_apart() -> None:
    for family in FAMILIES:
        titles = Counter(one.title for one in VARIANTS if one.family == family)
        assert titles.most_common(1)[0][1] == 1, titles.most_common(3)


@pytest.mark.parametrize("name", BY_ID)
def test_a_variant_and_its_twin_are_mail_of_the_same_structure(name: str) -> None:
    variant = BY_ID[name]
    mail, twin = variant.build(EICAR), variant.build(HARMLESS)
    assert HARMLESS not in mail
    assert EICAR not in twin
    for field in (b"From:", b"To:", b"Subject:", b"Date:", b"Message-ID:"):
        assert field in mail
        assert field in twin
    # Compressors do not pack both alike; nothing else may differ in size.
    assert abs(len(mail) - len(twin)) <= max(16, len(mail) // 20)
    assert len(mail) < 512 * 1024
    if not _ODD_LINES.search(name):
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", mail)


def _repeatable(name: str) -> bool:
    # Ciphers draw salts, these two formats note the hour and an id.
    return not re.search(r"^encryption|\.(zip-)?iso|warc", name)


@pytest.mark.parametrize("name", [name for name in BY_ID if _repeatable(name)])
def test_what_draws_no_salt_is_the_same_again(name: str) -> None:
    assert BY_ID[name].build(EICAR) == BY_ID[name].build(EICAR)


def test_the_test_file_stands_whole_in_no_file() -> None:
    root = Path(command.__file__).parents[2]
    for file in (
        *root.glob("tests/corpus/**/*.py"),
        *root.glob("tests/unit/corpus/**/*.py"),
        *root.glob("tests/fuzz/*.py"),
    ):
        assert EICAR not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("id_", "title", "may"),
    [
        ("header.", "no slug", MALFORMED),
        ("unknown.slug", "no such family", MALFORMED),
        ("header.slug", "", MALFORMED),
        ("header.slug", "no such class", frozenset({"dubious"})),
    ],
)
def test_an_unfinished_variant_cannot_be_made(id_: str, title: str, may: frozenset[str]) -> None:
    with pytest.raises(ValueError, match=r"header|unknown"):
        Variant(id=id_, title=title, build=bytes, twin_may_be=may)


def _examined(sight: Sight, twin: Sight, *, recoverable: bool = True) -> Result:
    variant = Variant(
        id="header.one", title="one", build=bytes, twin_may_be=MALFORMED, recoverable=recoverable
    )
    (result,) = run((variant,), lambda raw, _: sight if raw == EICAR else twin)
    return result


def test_what_counts_as_missed_and_as_alarm() -> None:
    nothing, malformed, banned = (
        Sight(seen=False, classes=frozenset(classes)) for classes in ((), ("malformed",), ("banned",))
    )
    assert _examined(nothing, nothing).missed
    assert _examined(banned, nothing).missed
    assert not _examined(nothing, nothing, recoverable=False).missed
    assert not _examined(malformed, nothing).missed
    assert not _examined(Sight(seen=True), nothing).missed
    assert not _examined(nothing, malformed).alarms
    assert _examined(nothing, banned).alarms == {"banned"}
    bad = _examined(nothing, banned)
    assert failed([bad])
    assert not failed([_examined(Sight(seen=True), malformed)])
    lines = list(report([bad]))
    assert lines[-2].startswith("missed: header.one")
    assert lines[-1].startswith("false alarm: header.one")
    assert json.dumps(bad.as_data())


def test_the_command_lists_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--family", "header", "--list"]) == 0
    assert "header.single" in capsys.readouterr().out
    assert command.main(["--id", "header.single", "--write", str(tmp_path)]) == 0
    assert (tmp_path / "header.single.eml").read_bytes() == BY_ID["header.single"].build(EICAR)
    assert (tmp_path / "header.single.twin.eml").exists()
    with pytest.raises(SystemExit, match="2"):
        command.main(["--id", "header.none"])
