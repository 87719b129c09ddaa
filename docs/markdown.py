"""Markdown as the generated pages use it: tables and code that survive pipes, back-ticks and line ends."""

from collections.abc import Iterable, Sequence

# Said first on each generated page, so that nobody edits it by hand.
NOTICE = "<!-- Written by `python -m docs.generate`. Do not edit: change the code that it names, then run that. -->"


def code(text: str) -> str:
    """Return text as code, one span a line; an empty text says so in words."""
    if not text:
        return "(empty)"
    return "<br>".join(_span(line) for line in text.splitlines())


def _span(line: str) -> str:
    fence = "``" if "`" in line else "`"
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    # A table ends its cell at a bare pipe, even inside a code span (GitHub Flavored Markdown 4.10).
    return f"{fence}{pad}{line.replace('|', chr(92) + '|')}{pad}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already, but for line ends, which become blanks."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(' '.join(cell.split()) for cell in line)} |\n" for line in lines)


def page(title: str, source: str, *sections: str) -> str:
    """Return a whole page; ``source`` is the sentence that says where its facts stand."""
    return "\n".join([NOTICE, f"\n# {title}\n", f"{source}\n", *sections]).rstrip("\n") + "\n"


def paragraph(struct: type) -> str:
    """Return a class's docstring as Markdown: paragraphs, and code in single back-ticks."""
    text = (struct.__doc__ or "").replace("``", "`")
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))
