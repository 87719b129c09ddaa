"""The report for a reader: sections, as text and as HTML. Pure.

The attack it stops: a sender whose address is a script, or moves the reader's cursor. Everything is shown, nothing obeyed.
"""

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from .figures import Figures, Row

_WIDEST: Final = 70
_KILO: Final = 1000
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
# No script, no picture, nothing from elsewhere: the page is for a mail reader too.
_STYLE: Final = (
    "body{font-family:sans-serif;max-width:60em;margin:1em auto;padding:0 1em}table{border-collapse:collapse}"
    "th,td{padding:.15em .8em .15em 0;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}"
    "td.n,th.n{text-align:right}pre{overflow-x:auto}.bad{color:#a00}"
)


class Section(Struct, frozen=True, kw_only=True):
    """One part of the page: a table, or lines as they are. ``numbers``: columns that are right-aligned."""

    title: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numbers: frozenset[int] = frozenset()
    note: str = ""
    text: str = ""
    bad: bool = False


def sections(of: Figures) -> Iterator[Section]:
    """Yield the sections, what somebody should act on first."""
    yield from _attention(of)
    yield Section(
        title="Messages",
        head=("What", "Messages", "Size"),
        rows=(
            ("all", str(of.messages), size(of.bytes)),
            *((f"direction {one.key}", str(one.messages), size(one.bytes)) for one in of.directions),
        ),
        numbers=frozenset({1, 2}),
    )
    yield _counts("Classes", "Class", of.verdicts, of.messages)
    yield _counts("What became of them", "Outcome", of.outcomes, of.messages, sized=False)
    yield _rules(of)
    yield from _door(of)
    yield _counts("Lists by SpamAssassin's score", "Rule", of.dnsbl, of.messages, sized=False)
    yield _candidates(of)
    yield _counts("Senders", "Sender", of.senders, of.messages)
    yield _counts("Recipients", "Recipient", of.recipients, of.messages)
    yield _counts("Clients", "Client", of.clients, of.messages)
    yield _counts("Sizes", "Size", of.sizes, of.messages)
    yield _counts("Hours", "Hour", of.hours, of.messages)
    yield _store(of)
    if of.mta:
        yield Section(title="The MTA (pflogsumm)", text=of.mta)


def _attention(of: Figures) -> Iterator[Section]:
    failing = tuple((one.name, one.problem) for one in of.parts if one.problem)
    if failing:
        yield Section(title="Fails now", head=("Part", "Why"), rows=failing, bad=True)
    age = "not known" if of.signatures_hours is None else f"{of.signatures_hours:.0f} hours"
    working = ", ".join(one.name for one in of.parts if not one.problem) or "none"
    yield Section(
        title="Parts", head=("What", "State"), rows=(("works", working), ("age of virus signatures", age))
    )


def _counts(title: str, what: str, rows: Sequence[Row], every: int, *, sized: bool = True) -> Section:
    return Section(
        title=title,
        head=(what, "Messages", "Share", *(("Size",) if sized else ())),
        rows=tuple(
            (one.key, str(one.messages), share(one.messages, every), *((size(one.bytes),) if sized else ()))
            for one in rows
        ),
        numbers=frozenset({1, 2, 3}),
    )


def _rules(of: Figures) -> Section:
    return Section(
        title="Rules of the filter",
        head=("Rule", "Messages", "Only warned", "Share"),
        rows=tuple(
            (one.key, str(one.messages), str(one.warned), share(one.messages, of.messages))
            for one in of.rules
        ),
        numbers=frozenset({1, 2, 3}),
    )


def _door(of: Figures) -> Iterator[Section]:
    door = of.door
    yield Section(
        title="Refused by the MTA",
        head=("Rule", "Refusals", "Share"),
        rows=(
            *((one.key, str(one.messages), share(one.messages, door.refused)) for one in door.rules),
            ("total", str(door.refused), ""),
        ),
        numbers=frozenset({1, 2}),
        note=door.note,
        bad=bool(door.note),
    )
    yield Section(
        title="Refused by list of addresses",
        head=("List", "Refusals", "Share"),
        rows=tuple((one.key, str(one.messages), share(one.messages, door.refused)) for one in door.lists),
        numbers=frozenset({1, 2}),
    )
    for title, rows in (
        ("Only warned of by the MTA", door.warned),
        ("Held by the MTA", door.held),
        ("Discarded by the MTA", door.discarded),
    ):
        yield Section(
            title=title,
            head=("Rule", "Hits"),
            rows=tuple((one.key, str(one.messages)) for one in rows),
            numbers=frozenset({1}),
        )


def _candidates(of: Figures) -> Section:
    return Section(
        title="Delivered, although a rule in warn mode found something",
        head=("Rule", "Received", "Queue id", "Sender", "Client", "What"),
        rows=tuple(
            (one.rule, one.received, one.queue_id, one.sender, one.client, one.detail)
            for one in of.candidates
        ),
        note="Look whether these were honest before the rule is switched on." if of.candidates else "",
    )


def _store(of: Figures) -> Section:
    return Section(
        title="Kept",
        head=("Kind", "Entries", "Of this day"),
        rows=tuple((one.kind, str(one.entries), str(one.fresh)) for one in of.kept),
        numbers=frozenset({1, 2}),
        note=f"The store takes {size(of.store_bytes)}, the ledger {size(of.ledger_bytes)}.",
    )


def share(some: int, every: int) -> str:
    """Return a share in percent."""
    return f"{some / every:.1%}" if every else ""


def size(many: int) -> str:
    """Return a number of bytes for a reader."""
    value = float(many)
    for unit in _UNITS[:-1]:
        if value < _KILO:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KILO
    return f"{value:.1f} {_UNITS[-1]}"


def visible(value: str, widest: int = _WIDEST) -> str:
    """Return a peer's text with what cannot be seen escaped, cut to one cell."""
    seen = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode()
        for one in value
    )
    return seen if len(seen) <= widest else f"{seen[: widest - 1]}…"


def title(of: Figures) -> str:
    """Return the report's title, which is its subject as well."""
    return f"Mail gateway {visible(of.gateway) or 'without a name'}: report of {of.day}"


def as_text(of: Figures) -> str:
    """Return the report as plain text."""
    blocks = [f"{title(of)}\n{of.since} to {of.until}, made {of.made}"]
    for one in sections(of):
        lines = [one.title, "-" * len(one.title)]
        if one.head:
            lines += _aligned(one) if one.rows else ["none"]
        lines += [visible(line, 400) for line in one.text.splitlines()]
        lines += [visible(one.note, 400)] if one.note else []
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _aligned(one: Section) -> list[str]:
    rows = [one.head, *(tuple(visible(cell) for cell in row) for row in one.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(one.head))]
    return [
        "  ".join(
            cell.rjust(width) if column in one.numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def as_html(of: Figures) -> str:
    """Return the report as one HTML page without anything from elsewhere."""
    body = "".join(f"<section>{_html(one)}</section>\n" for one in sections(of))
    head = html.escape(title(of))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{head}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{head}</h1>\n"
        f"<p>{html.escape(f'{of.since} to {of.until}, made {of.made}')}</p>\n{body}</body></html>\n"
    )


def _html(one: Section) -> str:
    heading = (
        f'<h2 class="bad">{html.escape(one.title)}</h2>' if one.bad else f"<h2>{html.escape(one.title)}</h2>"
    )
    made = [heading]
    if one.rows:
        made.append(f"<table><tr>{_cells('th', one.head, one)}</tr>")
        made += [f"<tr>{_cells('td', row, one)}</tr>" for row in one.rows]
        made.append("</table>")
    elif one.head:
        made.append("<p>none</p>")
    if one.text:
        made.append(f"<pre>{html.escape(_lines(one.text))}</pre>")
    if one.note:
        made.append(f"<p>{html.escape(visible(one.note, 400))}</p>")
    return "\n".join(made)


def _lines(text: str) -> str:
    return "\n".join(visible(line, 400) for line in text.splitlines())


def _cells(tag: str, cells: Iterable[str], one: Section) -> str:
    return "".join(
        f'<{tag} class="n">{html.escape(visible(cell))}</{tag}>'
        if column in one.numbers
        else f"<{tag}>{html.escape(visible(cell))}</{tag}>"
        for column, cell in enumerate(cells)
    )
