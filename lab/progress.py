"""What a person sees while the lab works: a line a step, with the seconds it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done and, when it is done, how long it took.

    On a terminal the first line is replaced by the second; elsewhere only the second is written. Nothing is said
    of a step that fails: its error speaks.
    """
    terminal = sys.stderr.isatty()
    if terminal:
        print(f"  … {title}", end="", file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        if terminal:
            print(file=sys.stderr)
        raise
    lead = "\r\x1b[K" if terminal else ""
    print(f"{lead}  ✓ {title} ({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Write one line for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)
