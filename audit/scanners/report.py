"""The table of figures: plain text, a line a figure, with single findings below those that are bad."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from audit.evidence import line
from audit.scanners.figures import Figure

_TITLES = ("", "scanner", "figure", "value", "asked for")


def printed(found: Mapping[str, Sequence[Figure]], console: Console, *, details: bool) -> None:
    """Print the figures of each host; ``details``: also the single findings of figures that are good or only told."""
    for host, figures in found.items():
        console.out(f"\n{host}", highlight=False)
        rows = [
            _TITLES,
            *((each.judged, each.scanner, each.about, each.value, each.limit) for each in figures),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
        for number, row in enumerate(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            console.out(f"  {'  '.join(cells)}".rstrip(), highlight=False)
            own = (
                figures[number - 1].details
                if number and (details or figures[number - 1].judged == "bad")
                else ()
            )
            for detail in own:
                console.out(f"        {line(detail)}", highlight=False)
