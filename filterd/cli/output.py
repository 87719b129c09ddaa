"""What is printed: tables for a person, records as JSON, progress where somebody looks on.

What stands in a message may be hostile to a terminal: control characters are shown escaped.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TextIO

import msgspec

from filterd.errors import FilterdError
from filterd.log import Log

_WIDEST: Final = 60  # characters of one cell
_WIDEST_NOTE: Final = 300
_PROGRESS_S: Final = 0.2
_STREAMS: Final = ("stdin", "stdout", "stderr")
_NOTES: Final[Mapping[str, str]] = {
    "parse_sandbox_incomplete": "the sandbox that messages are taken apart in lacks",
}


class OutputError(FilterdError):
    """Standard output cannot be written."""


class LeftError(FilterdError):
    """Whoever read standard output has left (`| head`)."""


def descriptors_open() -> None:
    """Have standard input, output and error lead somewhere, so that no file takes the place of one that was closed.

    What is printed to an output that was closed fails, as it does where there is no room; what is said on standard error is
    lost.
    """
    for number, name in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            # The lowest number that is free, which is this one.
            descriptor = os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_RDWR)
            setattr(sys, name, os.fdopen(descriptor, "w" if number else "r", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal whose letters are few is no reason to print nothing.
        sys.stdout.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Say of what is printed within that it cannot be written, where it cannot. Raises OutputError, LeftError."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError as error:
        discard(sys.stdout)
        raise LeftError from error
    except OSError as error:
        discard(sys.stdout)
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def printable() -> None:
    """Return if standard output can be written at all. Raises OutputError, LeftError."""
    with printing():
        os.write(sys.stdout.fileno(), b"")


def discard(stream: TextIO) -> None:
    """Have Python, which flushes once more when it ends, say nothing then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), stream.fileno())


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows below their heads, as wide as they need to be; "" without rows."""
    cells = [[cell(one) for one in row] for row in rows]
    if not cells:
        return ""
    widths = [max(len(row[column]) for row in (head, *cells)) for column in range(len(head))]
    return "\n".join(
        "  ".join(one.ljust(width) for one, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *cells)
    )


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """Return names and values, one a line; those without a value are left out."""
    shown = [(name, cell(value, 500)) for name, value in rows]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in shown if value)


def cell(value: object, widest: int = _WIDEST) -> str:
    """Return a value that is fit for a terminal, cut to one cell."""
    if isinstance(value, tuple | list):
        value = ", ".join(map(str, value))
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in ("" if value is None else f"{value:g}" if isinstance(value, float) else str(value))
    )
    return text if len(text) <= widest else f"{text[: widest - 1]}…"


def say(record: object, text: str, *, as_json: bool) -> None:
    """Print a record as one line of JSON, or as its text. Raises OutputError, LeftError."""
    with printing():
        print(msgspec.json.encode(record).decode() if as_json else text)


class Notes(Log):
    """What the daemon would log, as sentences on standard error; nothing where JSON was asked for."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._silent = as_json

    def event(self, event: str, **fields: object) -> None:
        """Write one sentence."""
        if not self._silent:
            values = ", ".join(cell(value, _WIDEST_NOTE) for value in fields.values())
            print(
                f"filterd: note: {_NOTES.get(event, event.replace('_', ' ') + ':')} {values}", file=sys.stderr
            )


class Progress:
    """How far long work has come, on standard error where that is a terminal; nothing elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = 0.0
        self._there = sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        """Say how much is done."""
        if self._there and time.monotonic() - self._shown > _PROGRESS_S:
            self._shown = time.monotonic()
            print(f"\r{self._what}: {done}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the line away."""
        if self._there and self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
