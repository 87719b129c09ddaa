"""A reader that runs the scripts of a page in a JavaScript engine and keeps the files that they save.

The engine is V8; the browser around it is lenient_browser.js. Nothing of the product takes part.
"""

import base64
import contextlib
import html
import json
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from py_mini_racer import JSEvalException, MiniRacer

_BROWSER: Final = Path(__file__).with_name("lenient_browser.js").read_text(encoding="ascii")
_MEMORY: Final = 64 << 20
_MILLISECONDS: Final = 2000  # of one script
_RUNS: Final = 4  # of one page: a run ends where it needs something inflated
_WRITTEN: Final = 8  # pages that a page writes
# A text is run where setTimeout runs it: outside of every function.
_LATER: Final = """
for (let count = 0; __later.length && count < 100; count++) {
  const next = __later.shift();
  try { typeof next === 'function' ? next() : (0, eval)(next); } catch (error) { void error; }
}
"""
_EMPTY: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"}
)


class _Page(HTMLParser):
    """The elements of a page in order, each with its attributes, its text and its source."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.elements: list[dict[str, Any]] = []
        self._open: list[dict[str, Any]] = []
        self.feed(source)
        self.close()

    @property
    def scripts(self) -> list[str]:
        return [one["html"] for one in self.elements if one["tag"] == "script"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._say("", self.get_starttag_text() or "")
        given = {name: value or "" for name, value in attrs}
        self.elements.append({"tag": tag, "attributes": given, "text": "", "html": ""})
        if tag not in _EMPTY:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        if tag in (one["tag"] for one in self._open):
            while self._open.pop()["tag"] != tag:
                pass
            self._say("", f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._say(data, data)

    def handle_entityref(self, name: str) -> None:
        self._say(html.unescape(f"&{name};"), f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._say(html.unescape(f"&#{name};"), f"&#{name};")

    def _say(self, text: str, source: str) -> None:
        for one in self._open:
            one["text"] += text
            one["html"] += source


def saved(blob: bytes) -> Iterator[bytes]:
    """Every file that a page's scripts save: by a click on a link that they make, by going to its address."""
    if b"<script" not in blob.lower():
        return
    try:
        source = blob.decode("utf-8")
    except UnicodeDecodeError:
        source = blob.decode("latin-1")
    inflated: dict[str, str] = {}
    for _ in range(_RUNS):
        files, asked = _run(_Page(source), inflated)
        if not asked:
            break
        inflated.update((one, _inflated(one)) for one in asked)
    yield from (one.encode("latin-1") for one in files)


def _inflated(asked: str) -> str:
    packed = base64.b64decode(asked)
    # The format by its first byte: gzip and zlib have a header (RFC 1950, 1952), the rest is bare.
    form = 47 if packed[:1] in {b"\x1f", b"\x78"} else -15
    return base64.b64encode(zlib.decompressobj(form).decompress(packed)).decode("ascii")


def _run(page: _Page, inflated: dict[str, str]) -> tuple[list[str], list[str]]:
    """What a page saved, and what it needs inflated to go on."""
    with MiniRacer() as engine:
        engine.set_hard_memory_limit(_MEMORY)
        given = f"var page = {json.dumps(page.elements)}, inflated = {json.dumps(inflated)};"
        engine.eval(given + _BROWSER)
        waiting = page.scripts
        for _ in range(_WRITTEN):
            for script in waiting:
                _try(engine, script)
            waiting = _Page("".join(_taken(engine, "__written"))).scripts
            if not waiting:
                break
        return _taken(engine, "__saved"), _taken(engine, "__asked")


def _try(engine: MiniRacer, script: str) -> None:
    """Run a script and what it leaves for later; what one throws ends that one alone, as in a browser."""
    for code in (script, _LATER):
        with contextlib.suppress(JSEvalException):
            engine.eval(code, timeout=_MILLISECONDS)


def _taken(engine: MiniRacer, name: str) -> list[str]:
    taken = json.loads(str(engine.eval(f"JSON.stringify({name}.splice(0))")))
    return [str(one) for one in taken]
