"""Each library that parses bytes of a message is one that decision 0015 accepts, or its module says so first."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from filterd.parse import native

PARSE: Final = Path(native.__file__).parent
DECISION: Final = Path(__file__).parents[3] / "docs/decisions/0015-parse-workers-live-for-plain-mail.md"

# Python, or C that turns each byte into as many others, matches, counts or is asked of the kernel and not of a message.
_HARMLESS: Final = (
    "asyncio base64 binascii bisect codecs collections contextlib decimal email fcntl functools gc hashlib html io "
    "ipaddress itertools logging math msgspec operator os pathlib platform re resource secrets select signal socket stat "
    "string struct sys threading time traceback typing unicodedata urllib"
)
HARMLESS: Final = frozenset(_HARMLESS.split())
# Readers in Python, which have no memory of their own to overrun.
PYTHON: Final = frozenset({"olefile", "oletools"})
ACCEPTED: Final = {"selectolax": "lexbor", "zlib": "zlib", "fast_mail_parser": "fast_mail_parser"}
# Modules that import another and give it no byte of a message unsaid.
EXCEPTED: Final = {
    ("archive_streams", "bz2"): "through zip_data.Unpacked, which says it",
    ("archive_streams", "lzma"): "through zip_data.Unpacked, which says it",
    ("landlock", "ctypes"): "system calls",
    ("sandbox", "ctypes"): "system calls",
    ("search", "ctypes"): "memmem(3), which compares bytes within the lengths that it is given",
}


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the packages from elsewhere that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def unsaid(name: str, source: str) -> set[str]:
    """Return what a module imports that is on no list, unless it calls native.note()."""
    tree = ast.parse(source)
    if any(isinstance(node, ast.Call) and ast.unparse(node.func) == "native.note" for node in ast.walk(tree)):
        return set()
    listed = HARMLESS | PYTHON | ACCEPTED.keys() | {"filterd"}
    return {one for one in imported(tree) if one not in listed and (name, one) not in EXCEPTED}


@pytest.mark.parametrize("module", sorted(PARSE.glob("*.py")), ids=lambda path: path.stem)
def test_a_reader_that_is_not_accepted_is_said_first(module: Path) -> None:
    assert unsaid(module.stem, module.read_text(encoding="utf-8")) == set()


def test_a_new_reader_is_on_no_list() -> None:
    assert unsaid("new", "import lzma\nfrom lxml.etree import XML\nimport re, zlib") == {"lzma", "lxml"}
    assert unsaid("new", "import lzma\nfrom . import native\nnative.note()") == set()


def test_what_is_accepted_is_imported_and_stands_in_the_decision() -> None:
    decision = DECISION.read_text(encoding="utf-8")
    sources = {path.stem: set(imported(ast.parse(path.read_text("utf-8")))) for path in PARSE.glob("*.py")}
    every = set().union(*sources.values())
    assert (ACCEPTED.keys() | PYTHON) <= every
    assert all(f"| {name}" in decision for name in ACCEPTED.values())
    assert all(library in sources[module] for module, library in EXCEPTED)
    assert {one for one in HARMLESS if one not in sys.stdlib_module_names} == {"msgspec"}


def test_it_is_said_once_and_not_taken_for_said_before_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def fails() -> None:
        raise BrokenPipeError

    monkeypatch.setattr(native, "_say", [])
    native.note()
    native.tell_by(fails)
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            native.note()

    native.tell_by(lambda: said.append("spent"))
    native.note()
    native.note()
    assert said == ["spent"]
