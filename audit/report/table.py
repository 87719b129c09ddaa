"""The table: results by layer, plain text for files and pipes, coloured on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit import unseen
from audit.engine import Result
from audit.probes import UNLOOKED, State

_STYLES: Mapping[State, str] = {
    "held": "green",
    "broken": "bold red",
    "not seen": "yellow",
    "not seen: container": "cyan",
    "not available": "cyan",
}


def printed(results: Sequence[Result], console: Console) -> None:
    """Print the results by host and layer, then the totals."""
    for (host, layer), group in groupby(results, key=lambda result: (result.host, result.layer)):
        rows = list(group)
        if console.is_terminal:
            console.print(_rich(f"{host} · {layer}", rows))
        else:
            # Unwrapped: a line of a log is one result.
            console.out(f"\n{host} {layer}", highlight=False)
            for text in _plain(rows):
                console.out(text, highlight=False)
    console.out(f"\n{totals(results)}", highlight=False)


def totals(results: Sequence[Result]) -> str:
    """Return one sentence with how many checks of how many defences held, broke and were not seen, and why not."""
    counts = [f"{sum(result.state == state for result in results)} {state}" for state in ("held", "broken")]
    if unavailable := sum(result.state == "not available" for result in results):
        counts.append(f"{unavailable} not available here")
    if contained := sum(result.state == "not seen: container" for result in results):
        counts.append(f"{contained} not seen in a container")
    defences = len({(result.host, result.defence_id) for result in results})
    return f"{len(results)} checks of {defences} defences: {', '.join([*counts, unseen.summary(results)])}"


def shown(result: Result) -> str:
    """Return the evidence of one result: what was seen, with what was wanted beside it where they differ."""
    if result.state in UNLOOKED:
        return result.why
    if result.state == "held":
        return result.seen
    return f"wanted: {result.wanted}; seen: {result.seen}"


def _plain(rows: Sequence[Result]) -> Iterator[str]:
    width = max(len(result.item) for result in rows)
    states = max(len("not seen"), *(len(result.state) for result in rows))
    for result in rows:
        yield f"  {result.state:<{states}}  {result.item:<{width}}  {shown(result)}"


def _rich(title: str, rows: Sequence[Result]) -> Table:
    table = Table(title=title, title_justify="left", expand=True)
    table.add_column("defence", ratio=2, overflow="fold")
    table.add_column("what", ratio=2, overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("evidence", ratio=5, overflow="fold")
    previous = ""
    for result in rows:
        defence, _, what = result.item.partition(":")
        state = Text(result.state, style=_STYLES[result.state])
        table.add_row(
            Text(defence if defence != previous else ""),
            Text(what),
            state,
            # What a peer sent is text, never markup.
            Text(shown(result)),
        )
        previous = defence
    return table
