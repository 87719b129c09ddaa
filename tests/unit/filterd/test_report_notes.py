"""Notes of the host's other watchers stand in the report as parts that fail."""

from pathlib import Path

from filterd.report.figures import Part
from filterd.report.gather import notes


def test_each_file_is_a_part_that_fails(tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("3 messages wait\nand more\n")
    (tmp_path / "certificate").write_bytes(b"ends \xff soon" + b"x" * 5000)
    (tmp_path / "empty").write_text("")
    (tmp_path / ".being-written").write_text("half")
    (tmp_path / "a-folder").mkdir()
    found = {part.name: part.problem for part in notes(str(tmp_path))}
    assert list(found) == ["a-folder", "certificate", "empty", "queue"]
    assert found["queue"] == "3 messages wait"
    assert found["certificate"].startswith("ends \\xff soon")
    assert len(found["certificate"]) <= 1000
    assert "cannot be read" in found["a-folder"]
    assert found["empty"]


def test_there_need_be_no_directory(tmp_path: Path) -> None:
    assert not list(notes(""))
    assert not list(notes(str(tmp_path / "none")))
    (tmp_path / "other").write_text("x")
    assert list(notes(str(tmp_path))) == [Part(name="other", problem="x")]
