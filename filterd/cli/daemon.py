"""``filterd serve | check | stages``."""

import argparse
import asyncio
import sys
from pathlib import Path

from filterd import listing
from filterd.config import Config, load
from filterd.config.hints import hints, lacking
from filterd.config.places import same_as_running
from filterd.live import check_live

from .codes import GOOD, UNREACHABLE
from .output import say


def run(options: argparse.Namespace) -> int:
    """Run one of them. Returns the exit code."""
    match options.command:
        case "check":
            if options.reload:
                same_as_running(load(options.config), options.config)
            return _check(options.config, live=options.live, as_json=options.json)
        case "stages":
            return _stages(options.config, as_json=options.json)
        case _:
            # Only the daemon needs the event loop library and the process handling.
            from filterd.supervisor import serve  # noqa: PLC0415 - `check` runs before each start: keep it quick

            return serve(options.config)


def _check(path: Path, *, live: bool, as_json: bool) -> int:
    config = load(path)
    for hint in (*hints(config), *lacking(config)):
        print(f"filterd: {path}: note: {hint}", file=sys.stderr)
    results = asyncio.run(check_live(config)) if live else []
    answers = [{"part": name, "problem": problem} for name, problem in results]
    lines = [f"{path}: good; {config.workers} workers on {config.milter.socket}"]
    lines += [f"{name}: {problem or 'answers'}" for name, problem in results]
    # One object, whatever is asked.
    say({"settings": config, "parts": answers} if live else config, "\n".join(lines), as_json=as_json)
    return UNREACHABLE if any(problem for _, problem in results) else GOOD


def _stages(path: Path | None, *, as_json: bool) -> int:
    """Print every stage and rule with the mode in force; without a configuration the rules' own."""
    config = Config() if path is None else load(path)
    listed = listing.stages(config)
    say(listed, listing.as_text(listed), as_json=as_json)
    return GOOD
