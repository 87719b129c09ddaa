"""``filterd report``: the figures of one day, to look at, to keep, to mail."""

import argparse
import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from filterd.carry.inject import inject
from filterd.config import Config, load
from filterd.config.actions import is_address
from filterd.errors import ConfigError, FilterdError
from filterd.report.figures import Door, Figures
from filterd.report.gather import day_of, gathered, read_log
from filterd.report.pages import as_html, as_text
from filterd.report.shelf import Shelf, addressee, letter_of

from .codes import GOOD
from .desk import desk
from .output import printing

# A gateway that was away for longer gets no heap of letters about days on which it did nothing.
_MADE_UP_DAYS = 7


class ReportError(FilterdError):
    """The report could not be kept."""


def run(options: argparse.Namespace) -> int:
    """Make or show a report. Returns the exit code."""
    config = load(options.config)
    today = datetime.now(UTC).astimezone().date()
    day: date = options.day or today - timedelta(days=1)
    if day > today:
        raise ConfigError(f"--day {day} is to come: give one that has been")
    if options.mail and not is_address(addressee(config)):
        raise ConfigError("nobody is to get the report: set [report] address or [notify] admin")
    shelf = Shelf(Path(config.report.directory))
    kept = None if options.anew or options.keep or options.log else _kept(shelf, day)
    nightly = options.keep and not (options.day or options.log)
    # A gateway that was off in some nights, or whose ledger was away, makes up for them.
    days = _lacking(shelf, day, mailed=options.mail) if nightly else (day,)
    # The log first, and as who one is: whoever may read it need not be the ledger's owner, and the other way round.
    with _lines(options.log) as lines:
        read = [(Door(), "") if kept else read_log(config, day_of(one), lines) for one in days]
    with desk(options) as at, _told(config):
        at.allow("search")
        for one, (door, mta) in zip(days, read, strict=True):
            figures = kept or gathered(at.config, at.engine, one, door, mta)
            if options.keep:
                shelf.keep(figures)
            if options.mail and not (options.keep and shelf.mailed(one)):
                _mail(figures, config)
                if options.keep:
                    shelf.note_mailed(one)
        if options.keep:
            shelf.tidy(config.report.days, today)
    if not (options.keep or options.mail) or options.format:
        with printing():
            print(_shown(figures, options.format or "text"))
    return GOOD


def _lacking(shelf: Shelf, day: date, *, mailed: bool) -> tuple[date, ...]:
    """Return the days to report on, the last one ``day``; who may not look what is kept is told when he keeps his."""
    try:
        return shelf.lacking(day, _MADE_UP_DAYS, mailed=mailed)
    except OSError:
        return (day,)


def _kept(shelf: Shelf, day: date) -> Figures | None:
    """Return a kept report; who may not read it gets one that is made anew, if he may that."""
    try:
        return shelf.read(day)
    except OSError:
        return None


def _shown(figures: Figures, form: str) -> str:
    if form == "json":
        return msgspec.json.encode(figures).decode()
    return (as_html(figures) if form == "html" else as_text(figures)).rstrip("\n")


def _mail(figures: Figures, config: Config) -> None:
    """Hand the report to the MTA. Raises InjectError."""
    host = figures.gateway or socket.gethostname()
    asyncio.run(inject(config.inject, host.encode("ascii", "replace"), (letter_of(figures, config, host),)))


@contextlib.contextmanager
def _told(config: Config) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise ReportError(
            f"the report cannot be kept in {config.report.directory} ({error.strerror})"
        ) from error


@contextlib.contextmanager
def _lines(path: str | None) -> Iterator[Iterable[str] | None]:
    """Open a log that takes the place of the journal; None: the journal."""
    if path is None:
        yield None
    elif path == "-":
        with os.fdopen(os.dup(0), encoding="utf-8", errors="backslashreplace") as source:
            yield source
    else:
        try:
            with Path(path).open(encoding="utf-8", errors="backslashreplace") as source:
                yield source
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}): give the right --log") from error
